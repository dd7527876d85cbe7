/** Sticky parameters: what a socket's client sets once, for everything it asks later. */
import { ChatError } from '../protocol/errors';
import { isReservedName } from '../protocol/room';
import type { Arguments, SocketRequest } from './request';

const MAX_PARAMS = 100;
/** Of all keys and values together: they stay with the socket for as long as it is open. */
const MAX_BYTES = 65_536;

type Values = Readonly<Record<string, unknown>>;

export class StickyParams {
  #ahead: Values = NONE;
  #values: Values = NONE;

  /** As the next line that is read finds them: its messageId may be one, set by a line that is not answered yet. */
  get ahead(): Values {
    return this.#ahead;
  }

  /** As what is being done finds them: set by what was asked before it, and by nothing later. */
  get values(): Values {
    return this.#values;
  }

  /**
   * What a line changes the next one finds changed, and whoever looks at `values` once the answer, which waits its
   * turn, is made. Undefined when the verb is none of ours.
   */
  act({ event, params }: SocketRequest): (() => unknown) | undefined {
    const { key, value } = params;
    switch (event) {
      case 'paramAdd':
        return this.#add(key, value);
      case 'paramDelete':
        return this.#become(Object.entries(this.#ahead).filter(([name]) => name !== key));
      case 'paramView': {
        const found = typeof key === 'string' ? this.#ahead[key] : undefined;
        return () => found ?? null;
      }
      case 'paramsView': {
        const all = this.#ahead;
        return () => all;
      }
      case 'paramsDelete':
        return this.#become([]);
      default:
        return undefined;
    }
  }

  /** The arguments of a `say`; where it names no match of its own, the sticky one is meant. */
  matched(params: Arguments): Arguments {
    if (params['roomMatchKey'] !== undefined || params['roomMatchValue'] !== undefined) return params;
    const { roomMatchKey, roomMatchValue } = this.#ahead;
    return { ...params, roomMatchKey, roomMatchValue };
  }

  #add(key: unknown, value: unknown): () => unknown {
    if (typeof key !== 'string' || key === '' || isReservedName(key)) return refusing('key is required');
    const known = key in this.#ahead;
    if (!known && Object.keys(this.#ahead).length >= MAX_PARAMS) {
      return refusing(`there are ${String(MAX_PARAMS)} params already`);
    }
    const total = this.#bytes() - (known ? sizeOf(key, this.#ahead[key]) : 0) + sizeOf(key, value);
    if (total > MAX_BYTES) return refusing(`params have ${String(MAX_BYTES)} bytes at most, all together`);
    return this.#become([...Object.entries(this.#ahead), [key, value ?? null]]);
  }

  /** Others than before: whoever has those in hand keeps them. */
  #become(entries: readonly (readonly [string, unknown])[]): () => null {
    const values = entries.length === 0 ? NONE : bare(entries);
    this.#ahead = values;
    return () => {
      this.#values = values;
      return null;
    };
  }

  #bytes(): number {
    let bytes = 0;
    for (const [key, value] of Object.entries(this.#ahead)) bytes += sizeOf(key, value);
    return bytes;
  }
}

/** Without a prototype: clients name the keys. */
function bare(entries: readonly (readonly [string, unknown])[]): Values {
  const values = Object.create(null) as Record<string, unknown>;
  for (const [key, value] of entries) values[key] = value;
  return Object.freeze(values);
}

const NONE = bare([]);

function sizeOf(key: string, value: unknown): number {
  return Buffer.byteLength(key) + Buffer.byteLength(JSON.stringify(value ?? null));
}

function refusing(text: string): () => never {
  return () => {
    throw new ChatError('invalid_parameter', text);
  };
}
