/** The names of everything in Redis: a room's keys share a slot of a cluster, and so do a client's. */
import { topicSubject, type Topic } from '../../core/entry';

export interface LogKeys {
  /** The hash that tells where the log stands. */
  readonly state: string;
  /** The stream; also the name of the channel that announces it. */
  readonly log: string;
  readonly once: (key: string) => string;
  readonly kind: 'room' | 'presence' | 'client';
}

export class Keys {
  readonly rooms: string;
  readonly secret: string;
  readonly layout: string;
  /** Of the nodes' heartbeats: their records, and when each ends. */
  readonly nodes: readonly [records: string, ends: string];

  constructor(readonly prefix: string) {
    this.rooms = `${prefix}rooms`;
    this.secret = `${prefix}secret`;
    this.layout = `${prefix}layout`;
    this.nodes = [`${prefix}{nodes}:records`, `${prefix}{nodes}:ends`];
  }

  /** In the order that lua/room.lua names. */
  room(room: string): string[] {
    const base = this.#base(room);
    return ['room', 'log', 'presence', 'members', 'roll', 'leases', 'held', 'web'].map((kind) => `${base}:${kind}`);
  }

  roomState(room: string): string {
    return `${this.#base(room)}:room`;
  }

  members(room: string): string {
    return `${this.#base(room)}:members`;
  }

  /** The members alone, without listeners. */
  roll(room: string): string {
    return `${this.#base(room)}:roll`;
  }

  /** The client's record, then its own log. */
  client(id: string): [record: string, log: string] {
    return [`${this.prefix}queue:{${inBraces(id)}}`, `${this.prefix}mail:{${inBraces(id)}}`];
  }

  log(topic: Topic): LogKeys {
    const subject = topicSubject(topic);
    if (topic.startsWith('client:')) {
      const [state, log] = this.client(subject);
      return { state, log, once: (key) => `${log}:once:${key}`, kind: 'client' };
    }
    const kind = topic.startsWith('room:') ? 'room' : 'presence';
    const base = this.#base(subject);
    const log = `${base}:${kind === 'room' ? 'log' : 'presence'}`;
    return { state: `${base}:room`, log, once: (key) => `${log}:once:${key}`, kind };
  }

  /** What nodes took together from the buckets of one limit. */
  rates(limit: string): string {
    return `${this.prefix}rates:{${limit}}`;
  }

  probe(node: string): string {
    return `${this.prefix}probe:{${node}}`;
  }

  #base(room: string): string {
    return `${this.prefix}{room:${inBraces(room)}}`;
  }
}

/** A brace inside would end the part that chooses the slot, and could make two names one key. */
function inBraces(name: string): string {
  return /[{}%]/.test(name) ? name.replace(/[{}%]/g, (sign) => `%${sign.charCodeAt(0).toString(16)}`) : name;
}
