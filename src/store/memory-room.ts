/** One room of the memory store: its two logs, who is in it, and who holds them there. */
import type { Departure, JoinRequest, Joined, Membership, RoomSnapshot, StoreLimits } from '../core/store';
import type { Entry } from '../core/entry';
import { compareEntryIds, type EntryId } from '../protocol/entry-id';
import { encodePresence } from '../protocol/message';
import type { Budget } from './memory-budget';
import { MemoryLog } from './memory-log';
import { Roll } from './memory-roll';

interface Present extends Membership {
  presenceFloor: EntryId;
  nodes: readonly string[];
  /** When the client's own lease runs out; 0 when it has none. */
  webUntil: number;
}

/** Clients for each of which a room is left unswept for so long. */
const SWEPT_PER_MS = 100;

export class MemoryRoom {
  readonly log: MemoryLog;
  readonly presence: MemoryLog;
  /** Made on purpose: stays when empty. */
  added = false;
  usedAt: number;
  readonly #clients = new Map<string, Present>();
  /** Node leases in this room: node -> when it runs out. */
  readonly #leases = new Map<string, number>();
  /** The last node that held somebody alone, as a list: most are held by one, and it is the same list for all of them. */
  #lone: readonly string[] = [];
  readonly #members = new Roll();
  /** By the store's clock. */
  #sweptAt = 0;

  constructor(
    readonly name: string,
    limits: StoreLimits,
    readonly now: () => number,
    readonly announce: (entry: Entry) => void,
    budget: Budget,
  ) {
    this.log = new MemoryLog(limits, now, budget);
    this.presence = new MemoryLog(limits, now, budget);
    this.usedAt = now();
  }

  get isEmpty(): boolean {
    return this.#clients.size === 0;
  }

  isMember(client: string): boolean {
    return this.#clients.get(client)?.listening === false;
  }

  membership(client: string): Membership | undefined {
    const present = this.#clients.get(client);
    if (!present) return undefined;
    const { listening, floor, presenceFloor, joinedAt, afterReset } = present;
    return { listening, floor, presenceFloor, joinedAt, afterReset };
  }

  /** @param created by this join */
  join(request: JoinRequest, created: boolean): Joined {
    const known = this.#clients.get(request.client);
    if (known) {
      const leaseBegan = this.#hold(known, request);
      if (known.listening && !request.listening) {
        const promoted: Present = { ...known, listening: false, joinedAt: this.now() };
        this.#enter(request.client, promoted);
        return { outcome: 'joined', membership: this.#membershipOf(request.client), created, leaseBegan };
      }
      return { outcome: 'already', membership: this.#membershipOf(request.client), leaseBegan };
    }
    const { last, born } = this.log.state;
    const from = request.rejoinFrom;
    const afterReset = from !== undefined && compareEntryIds(born, from.floor) > 0;
    const present: Present = {
      listening: request.listening,
      floor: afterReset ? born : (from?.floor ?? last),
      presenceFloor: afterReset ? this.presence.state.born : (from?.presenceFloor ?? this.presence.state.last),
      joinedAt: this.now(),
      afterReset,
      nodes: [],
      webUntil: 0,
    };
    const leaseBegan = this.#hold(present, request);
    this.#enter(request.client, present);
    if (!from) present.presenceFloor = this.presence.state.last;
    return { outcome: 'joined', membership: this.#membershipOf(request.client), created, leaseBegan };
  }

  leave(client: string): Departure | undefined {
    const present = this.#clients.get(client);
    if (!present) return undefined;
    this.#clients.delete(client);
    if (!present.listening) {
      this.#members.delete(client);
      this.announce(this.presence.append({ data: encodePresence('leave', this.name, client), speaker: '' }));
    }
    return { client, listening: present.listening };
  }

  release(client: string, holder: { readonly node: string } | { readonly web: true }): Departure | undefined {
    const present = this.#clients.get(client);
    if (!present) return undefined;
    if ('node' in holder) present.nodes = present.nodes.filter((node) => node !== holder.node);
    else present.webUntil = 0;
    return this.#held(present, this.now()) ? undefined : this.leave(client);
  }

  renewNode(node: string, leaseMs: number): boolean {
    const until = this.#leases.get(node);
    if (until === undefined || until <= this.now()) return false;
    this.#leases.set(node, this.now() + leaseMs);
    return true;
  }

  renewWeb(client: string, leaseMs: number): boolean {
    const present = this.#clients.get(client);
    if (!present) return false;
    present.webUntil = Math.max(present.webUntil, this.now() + leaseMs);
    return true;
  }

  sweep(): Departure[] {
    const departed: Departure[] = [];
    const now = this.now();
    // Whoever asks for a view has a room swept, and everybody in it is looked at: a hundredth of the time, at most.
    if (Math.abs(now - this.#sweptAt) < Math.floor(this.#clients.size / SWEPT_PER_MS)) return departed;
    this.#sweptAt = now;
    this.#clients.forEach((present, client) => {
      if (this.#held(present, now)) return;
      const departure = this.leave(client);
      if (departure) departed.push(departure);
    });
    for (const [node, until] of this.#leases) if (until <= now) this.#leases.delete(node);
    return departed;
  }

  /** Everybody leaves. */
  empty(): Departure[] {
    const departed = [...this.#clients].map(([client, { listening }]) => ({ client, listening }));
    for (const { client } of departed) this.leave(client);
    return departed;
  }

  view(limit: number, after: string | undefined, departed: readonly Departure[]): RoomSnapshot {
    // One more than asked for tells whether this is the last page.
    const ids = this.#members.page(after ?? '', limit + 1);
    const page = ids.slice(0, limit);
    return {
      members: page.map((id) => ({ id, joinedAt: this.#membershipOf(id).joinedAt })),
      membersCount: this.#members.size,
      next: ids.length > limit ? page.at(-1) : undefined,
      presence: this.presence.state.last,
      messages: this.log.state.last,
      departed,
    };
  }

  #enter(client: string, present: Present): void {
    this.#clients.set(client, present);
    if (present.listening) return;
    this.#members.add(client);
    this.announce(this.presence.append({ data: encodePresence('join', this.name, client), speaker: '' }));
  }

  /** Whether a node's lease began by that. */
  #hold(present: Present, request: JoinRequest): boolean {
    let began = false;
    for (const holder of request.holders) {
      const until = this.now() + holder.leaseMs;
      if ('node' in holder) {
        if (present.nodes.length === 0) present.nodes = this.#alone(holder.node);
        else if (!present.nodes.includes(holder.node)) present.nodes = present.nodes.concat(holder.node);
        const before = this.#leases.get(holder.node) ?? 0;
        began ||= before <= this.now();
        this.#leases.set(holder.node, Math.max(until, before));
      } else {
        present.webUntil = Math.max(present.webUntil, until);
      }
    }
    return began;
  }

  #alone(node: string): readonly string[] {
    if (this.#lone[0] !== node) this.#lone = [node];
    return this.#lone;
  }

  #held({ webUntil, nodes }: Present, now: number): boolean {
    if (webUntil > now) return true;
    for (const node of nodes) if ((this.#leases.get(node) ?? 0) > now) return true;
    return false;
  }

  #membershipOf(client: string): Membership {
    const membership = this.membership(client);
    if (!membership) throw new Error(`${client} is not in ${this.name}`);
    return membership;
  }
}
