/** Questions to the admin port, with the operator's token. */

const KEPT = 'earshot admin token';

export class Refused extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

/** For as long as this tab is open; null: none was asked for. */
export const token = {
  get: () => sessionStorage.getItem(KEPT),
  set: (value) => sessionStorage.setItem(KEPT, value),
  forget: () => sessionStorage.removeItem(KEPT),
};

/** @throws Refused with the server's words, or whatever keeps the answer from coming */
async function ask(path, init = {}) {
  const known = token.get();
  const authorization = known === null ? {} : { Authorization: `Bearer ${known}` };
  const response = await fetch(path, {
    ...init,
    headers: { ...init.headers, ...authorization },
    signal: AbortSignal.timeout(10_000),
  });
  const answer = await response.json();
  if (!response.ok) throw new Refused(response.status, answer.error.replace(/^Error: /, ''));
  return answer;
}

/** @param {Record<string, string | number | undefined>} params those that are undefined are left out */
export function get(path, params = {}) {
  const given = Object.entries(params).filter(([, value]) => value !== undefined);
  const query = new URLSearchParams(given).toString();
  return ask(query === '' ? path : `${path}?${query}`);
}

export function post(path, body) {
  return ask(path, {
    method: 'POST',
    body: JSON.stringify(body),
    headers: { 'Content-Type': 'application/json' },
  });
}
