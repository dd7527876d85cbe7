/**
 * What differs from run to run in a documented answer (ids, times, tokens, cursors), and how it is compared all the same.
 *
 * A page's values stand for those of the run: the first time one is met it is bound to what came in its place, and from
 * then on it has to be that. So an id that the page shows in two places is one id in the run as well, and a command that
 * uses a cursor of the page is run with the real one.
 */

/** An opaque text of ours (an id, a token, a cursor, a UUID), whole or cut short by `…`; a message's id; a time; anything. */
const VALUE = /[A-Za-z0-9_-]{20,}…?|[A-Za-z0-9_-]{4,}…|\d{13}-\d+|\d{13}|…/g;

const forms: readonly { readonly is: RegExp; readonly form: string; readonly binds: boolean }[] = [
  { is: /^…$/, form: '.*?', binds: false },
  { is: /^\d{13}$/, form: '\\d{13}', binds: false },
  { is: /^\d{13}-\d+$/, form: '\\d{13}-\\d+', binds: true },
  { is: /^/, form: '[A-Za-z0-9_-]{20,}', binds: true },
];

export class StandIns {
  readonly #real = new Map<string, string>();
  readonly #documented = new Map<string, string>();

  /** What is wrong with a line, or undefined when it is as documented. */
  compare(documented: string, actual: string): string | undefined {
    const values = [...documented.matchAll(VALUE)].map(([value]) => value);
    const pattern = documented.split(VALUE).map(escape);
    const form = pattern.reduce((whole, part, index) => `${whole}(${formOf(values[index - 1] ?? '').form})${part}`);
    const found = new RegExp(`^${form}$`).exec(actual);
    if (!found) return `documented: ${documented}\n    came: ${actual}`;
    for (const [index, value] of values.entries()) {
      const problem = this.#bind(value, found[index + 1] ?? '');
      if (problem) return `${problem}\ndocumented: ${documented}\n    came: ${actual}`;
    }
    return undefined;
  }

  /** A documented command, with the run's values in place of the page's. */
  real(text: string): string {
    return text.replace(VALUE, (value) => this.#real.get(value) ?? value);
  }

  /** What came, with the page's values where they are known. */
  documented(text: string): string {
    return text.replace(VALUE, (value) => this.#documented.get(value) ?? value);
  }

  #bind(documented: string, actual: string): string | undefined {
    if (!formOf(documented).binds) return undefined;
    const known = this.#real.get(documented) ?? actual;
    const other = this.#documented.get(actual) ?? documented;
    if (known !== actual) return `${documented} was ${known} before, and is ${actual} here`;
    if (other !== documented) return `${actual} is ${other} elsewhere on the page, and ${documented} here`;
    this.#real.set(documented, actual);
    this.#documented.set(actual, documented);
    return undefined;
  }
}

function formOf(value: string): (typeof forms)[number] {
  return forms.find(({ is }) => is.test(value))!;
}

function escape(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\/]/g, '\\$&');
}
