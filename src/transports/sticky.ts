/** Sticky parameters: what a socket's client sets once, for everything it asks later. */
import { ChatError } from '../protocol/errors';
import { isReservedName } from '../protocol/room';
import type { Arguments, SocketRequest } from './request';

const MAX_PARAMS = 100;
/** Of all keys and values together: they stay with the socket for as long as it is open. */
const MAX_BYTES = 65_536;

type Values = Readonly<Record<string, unknown>>;

interface Param {
  readonly value: unknown;
  readonly bytes: number;
}

/**
 * There are two states of them. The next line that is read finds what the lines before it have set, though they are not
 * answered yet: its messageId may be one. What is being done finds what was set before it was asked, and nothing later.
 * So a change is made twice, when it is read and when its turn comes, and costs the same however many there are.
 */
export class StickyParams {
  #ahead: Map<string, Param> | undefined;
  #bytesAhead = 0;
  #now: Map<string, unknown> | undefined;
  /** `#now` as hooks and answers see it, while nothing changes it. */
  #shown: Values | undefined;

  /** For what is being done. */
  get values(): Values {
    this.#shown ??= bare(this.#now ?? []);
    return this.#shown;
  }

  /** For the next line that is read. */
  ahead(key: string): unknown {
    return this.#ahead?.get(key)?.value;
  }

  allAhead(): Values {
    return bare([...(this.#ahead ?? [])].map(([key, { value }]) => [key, value]));
  }

  /** Reads a change or a question; what it answers is to be called in its turn. Undefined when the verb is none of ours. */
  act({ event, params }: SocketRequest): (() => unknown) | undefined {
    const { key, value } = params;
    switch (event) {
      case 'paramAdd':
        return this.#add(key, value);
      case 'paramDelete':
        return this.#remove(key);
      case 'paramView':
        return () => (typeof key === 'string' ? (this.#now?.get(key) ?? null) : null);
      case 'paramsView':
        return () => this.values;
      case 'paramsDelete':
        this.#ahead = undefined;
        this.#bytesAhead = 0;
        return () => this.#change(() => (this.#now = undefined));
      default:
        return undefined;
    }
  }

  /** The arguments of a `say`; where it names no match of its own, the sticky one is meant. */
  matched(params: Arguments): Arguments {
    if (!this.#ahead || params['roomMatchKey'] !== undefined || params['roomMatchValue'] !== undefined) return params;
    return { ...params, roomMatchKey: this.ahead('roomMatchKey'), roomMatchValue: this.ahead('roomMatchValue') };
  }

  #add(key: unknown, given: unknown): () => unknown {
    if (typeof key !== 'string' || key === '' || isReservedName(key)) return refusing('key is required');
    const value = given ?? null;
    const known = this.#ahead?.get(key);
    if (!known && (this.#ahead?.size ?? 0) >= MAX_PARAMS) {
      return refusing(`there are ${String(MAX_PARAMS)} params already`);
    }
    const bytes = Buffer.byteLength(key) + Buffer.byteLength(JSON.stringify(value));
    const total = this.#bytesAhead - (known?.bytes ?? 0) + bytes;
    if (total > MAX_BYTES) return refusing(`params have ${String(MAX_BYTES)} bytes at most, all together`);
    this.#ahead ??= new Map();
    this.#ahead.set(key, { value, bytes });
    this.#bytesAhead = total;
    return () => this.#change(() => (this.#now ??= new Map<string, unknown>()).set(key, value));
  }

  #remove(key: unknown): () => unknown {
    if (typeof key !== 'string') return () => null;
    this.#bytesAhead -= this.#ahead?.get(key)?.bytes ?? 0;
    this.#ahead?.delete(key);
    return () => this.#change(() => this.#now?.delete(key));
  }

  #change(make: () => unknown): null {
    make();
    this.#shown = undefined;
    return null;
  }
}

/** Without a prototype: clients name the keys. */
function bare(entries: Iterable<readonly [string, unknown]>): Values {
  const values = Object.create(null) as Record<string, unknown>;
  for (const [key, value] of entries) values[key] = value;
  return Object.freeze(values);
}

function refusing(text: string): () => never {
  return () => {
    throw new ChatError('invalid_parameter', text);
  };
}
