/** Sticky parameters: what a socket's client sets once, for everything it asks later. */
import { ChatError } from '../protocol/errors';
import { isReservedName } from '../protocol/room';
import type { Arguments, SocketRequest } from './request';

const MAX_PARAMS = 100;
/** Of all keys and values together: they stay with the socket for as long as it is open. */
const MAX_BYTES = 65_536;

export class StickyParams {
  #values: Record<string, unknown> | undefined;

  get values(): Readonly<Record<string, unknown>> {
    return this.#values ?? NONE;
  }

  /**
   * Acts at once, because the next line's messageId may be one of these; the answer waits its turn. Undefined when the
   * verb is none of ours.
   */
  act({ event, params }: SocketRequest): (() => unknown) | undefined {
    const { key, value } = params;
    switch (event) {
      case 'paramAdd':
        return this.#add(key, value);
      case 'paramDelete':
        if (typeof key === 'string' && this.#values) Reflect.deleteProperty(this.#values, key);
        return nothing;
      case 'paramView': {
        const found = typeof key === 'string' ? this.values[key] : undefined;
        return () => found ?? null;
      }
      case 'paramsView': {
        const all = { ...this.values };
        return () => all;
      }
      case 'paramsDelete':
        this.#values = undefined;
        return nothing;
      default:
        return undefined;
    }
  }

  /** The arguments of a `say`; where it names no match of its own, the sticky one is meant. */
  matched(params: Arguments): Arguments {
    if (params['roomMatchKey'] !== undefined || params['roomMatchValue'] !== undefined) return params;
    const { roomMatchKey, roomMatchValue } = this.values;
    return { ...params, roomMatchKey, roomMatchValue };
  }

  #add(key: unknown, value: unknown): () => unknown {
    if (typeof key !== 'string' || key === '' || isReservedName(key)) return refusing('key is required');
    const full = !(key in this.values) && Object.keys(this.values).length >= MAX_PARAMS;
    if (full) return refusing(`there are ${String(MAX_PARAMS)} params already`);
    const bytes = sizeOf(key, value);
    const total = this.#bytes() - (key in this.values ? sizeOf(key, this.values[key]) : 0) + bytes;
    if (total > MAX_BYTES) return refusing(`params have ${String(MAX_BYTES)} bytes at most, all together`);
    this.#values ??= empty();
    this.#values[key] = value ?? null;
    return nothing;
  }

  #bytes(): number {
    let bytes = 0;
    for (const [key, value] of Object.entries(this.values)) bytes += sizeOf(key, value);
    return bytes;
  }
}

/** Without a prototype: clients name the keys. */
const empty = (): Record<string, unknown> => Object.create(null) as Record<string, unknown>;
const NONE = Object.freeze(empty());

const nothing = (): null => null;

function sizeOf(key: string, value: unknown): number {
  return Buffer.byteLength(key) + Buffer.byteLength(JSON.stringify(value ?? null));
}

function refusing(text: string): () => never {
  return () => {
    throw new ChatError('invalid_parameter', text);
  };
}
