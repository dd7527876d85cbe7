/** Elements made from text, and rows that stay the same elements while what they show changes. */

/** @param {object} properties of the element; text goes in as children, which are text nodes or elements */
export function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

export const byId = (id) => document.getElementById(id);

/**
 * Makes the table show these items, one row each. A row that is there already is changed in place: whoever is about to
 * press a button in it keeps it under the finger, and the keyboard's focus stays.
 *
 * @param {(row: HTMLTableRowElement, item: object) => void} make fills a new row, once
 * @param {(row: HTMLTableRowElement, item: object) => void} update
 */
export function showRows(table, items, { keyOf, make, update = () => undefined }) {
  const body = table.tBodies[0];
  const known = new Map([...body.rows].map((row) => [row.dataset.key, row]));
  let before = null;
  for (const item of items) {
    const key = keyOf(item);
    let row = known.get(key);
    if (row) known.delete(key);
    else {
      row = element('tr');
      row.dataset.key = key;
      make(row, item);
    }
    update(row, item);
    const place = before === null ? body.firstElementChild : before.nextElementSibling;
    // Moved only when it is not where it belongs: an element that is moved loses the focus.
    if (row !== place) body.insertBefore(row, place);
    before = row;
  }
  for (const row of known.values()) row.remove();
}

/** Cells of numbers behind the first one, which names the row. */
export function showNumbers(row, texts) {
  while (row.cells.length <= texts.length) row.append(element('td', { className: 'number' }));
  for (const [index, text] of texts.entries()) setText(row.cells[index + 1], text);
}

/** A text that has not changed is not set again: a screen reader would read it again. */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}
