/** Elements made from text: nothing that anybody says is ever read as HTML. */

/** @param {object} properties of the element; text goes in as children, which are text nodes or elements */
export function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

export const byId = (id) => document.getElementById(id);

const HASH = /^[\w-]{22}$/;

/** Of a hash the first characters tell people apart, and a colour makes that easy; a server's name is a name. */
export const shortName = (id) => (HASH.test(id) ? id.slice(0, 6) : id);

export function person(id, me) {
  const hash = [...id].reduce((sum, character) => Math.imul(sum ^ character.codePointAt(0), 16777619), 0);
  const hue = (hash >>> 8) % 360;
  const name = element('span', { className: 'person', title: id }, id === me ? 'you' : shortName(id));
  name.style.setProperty('--hue', String(hue));
  return name;
}
