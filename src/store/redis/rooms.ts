/** The rooms in Redis: who is in them and who holds them there. Every method is one script in the room's slot. */
import type { Departure, Holder, Joined, JoinRequest, Membership, MemberView, RoomSnapshot } from '../../core/store';
import { BEGINNING } from '../../protocol/entry-id';
import { encodePresence } from '../../protocol/message';
import { MOVED } from './announcement';
import { listOf, pairsOf, textOf, type Context, type Reply } from './context';
import type { RoomIndex } from './room-index';
import type { ScriptName } from './scripts';

/** Clients that one script takes out or renews, so that a big room never holds up Redis for long. */
const AT_ONCE = 500;

export class Rooms {
  constructor(
    readonly context: Context,
    readonly index: RoomIndex,
  ) {}

  async addRoom(room: string): Promise<boolean> {
    const added = (await this.#script('addRoom', room, [])) === 1;
    await this.index.add(room);
    return added;
  }

  async emptyRoom(room: string): Promise<Departure[] | undefined> {
    const departed: Departure[] = [];
    for (;;) {
      const reply = await this.#script('emptyRoom', room, [AT_ONCE]);
      if (reply === null && departed.length === 0) return undefined;
      const some = reply === null ? [] : departures(reply);
      departed.push(...some);
      if (some.length < AT_ONCE) break;
    }
    if (departed.length > 0) this.#announce(room);
    return departed;
  }

  async removeRoom(room: string): Promise<Departure[] | undefined> {
    const reply = await this.#script('removeRoom', room, []);
    await this.index.remove(room);
    if (reply === null) return undefined;
    const departed = departures(reply);
    if (departed.length > 0) this.#announce(room);
    return departed;
  }

  async roomExists(room: string): Promise<boolean> {
    const { calls, keys } = this.context;
    return (await calls.read((client) => client.exists(keys.roomState(room)))) === 1;
  }

  async join(request: JoinRequest): Promise<Joined> {
    const { room, client, listening, create, rejoinFrom, holders } = request;
    const reply = await this.#script('join', room, [
      client,
      listening ? '1' : '0',
      create ? '1' : '0',
      rejoinFrom?.floor ?? '',
      rejoinFrom?.presenceFloor ?? '',
      encodePresence('join', room, client),
      ...holders.flatMap((holder) => [nodeOf(holder), milliseconds(holder.leaseMs)]),
    ]);
    const [outcome, text, made, began] = listOf(reply);
    if (outcome === 'no_room') return { outcome: 'no_room' };
    if (made === 1) await this.index.add(room);
    const entered = { membership: decodeMembership(textOf(text)), leaseBegan: began === 1 };
    if (outcome !== 'joined') return { outcome: 'already', ...entered };
    if (!listening) this.#announce(room);
    return { outcome: 'joined', ...entered, created: made === 1 };
  }

  async membership(room: string, client: string): Promise<Membership | undefined> {
    const { calls, keys } = this.context;
    const text = await calls.read((redis) => redis.hget(keys.members(room), client));
    return text === null ? undefined : decodeMembership(text);
  }

  leave(room: string, client: string): Promise<Departure | undefined> {
    return this.#leave(room, client, '*');
  }

  release(
    room: string,
    client: string,
    holder: { readonly node: string } | { readonly web: true },
  ): Promise<Departure | undefined> {
    return this.#leave(room, client, nodeOf(holder));
  }

  async renewNode(node: string, leaseMs: number, rooms: readonly string[]): Promise<string[]> {
    const lost: string[] = [];
    const renewals = rooms.map(async (room) => {
      if ((await this.#script('renewNode', room, [node, milliseconds(leaseMs)])) !== 1) lost.push(room);
    });
    await Promise.all(renewals);
    const kept = rooms.filter((room) => !lost.includes(room));
    await this.index.add(...kept);
    return lost;
  }

  async renewWeb(room: string, clients: readonly string[], leaseMs: number): Promise<string[]> {
    const missing: string[] = [];
    for (let at = 0; at < clients.length; at += AT_ONCE) {
      const some = clients.slice(at, at + AT_ONCE);
      const reply = await this.#script('renewWeb', room, [milliseconds(leaseMs), ...some]);
      for (const client of listOf(reply)) missing.push(textOf(client));
    }
    return missing;
  }

  async sweep(room: string): Promise<Departure[]> {
    const departed: Departure[] = [];
    for (;;) {
      const [left, more] = listOf(await this.#script('sweep', room, [AT_ONCE]));
      departed.push(...departures(left));
      if (more !== 1) break;
    }
    if (departed.length > 0) this.#announce(room);
    return departed;
  }

  async view(
    room: string,
    options: { readonly limit: number; readonly after?: string | undefined; readonly sweep: boolean },
  ): Promise<RoomSnapshot | undefined> {
    const departed: Departure[] = [];
    for (;;) {
      const reply = await this.#script('view', room, [options.sweep ? AT_ONCE : 0, options.limit, options.after ?? '']);
      if (reply === null && departed.length === 0) return undefined;
      // Somebody removed it between two looks; whom the first one took out is still ours to tell.
      const [left, more, list, count, next, presence, messages] =
        reply === null ? [[], 0, [], 0, 0, BEGINNING, BEGINNING] : listOf(reply);
      departed.push(...departures(left));
      if (more === 1) continue;
      if (departed.length > 0) this.#announce(room);
      const members: MemberView[] = [];
      for (const [id, text] of pairsOf(list)) members.push({ id, joinedAt: decodeMembership(text).joinedAt });
      return {
        members,
        membersCount: Number(count),
        next: next === 1 ? members.at(-1)?.id : undefined,
        presence: textOf(presence),
        messages: textOf(messages),
        departed,
      };
    }
  }

  async #leave(room: string, client: string, holder: string): Promise<Departure | undefined> {
    const was = textOf(await this.#script('leave', room, [client, holder]));
    if (was === '') return undefined;
    if (was === 'm') this.#announce(room);
    return { client, listening: was === 'l' };
  }

  async #script(name: ScriptName, room: string, parameters: readonly (string | number)[]): Promise<Reply> {
    const { calls, keys, limits, publish } = this.context;
    const { logKeep, messageTTL, maxLogLength } = limits;
    const leave = encodePresence('leave', room, '').slice(0, -'""'.length);
    const all = [publish, logKeep, messageTTL, maxLogLength, leave, ...parameters];
    return (await calls.script(name, keys.room(room), all)) as Reply;
  }

  #announce(room: string): void {
    const { keys, announce } = this.context;
    announce(keys.log(`presence:${room}`).log, MOVED);
  }
}

/** A node's id, or nothing for the client's own lease. */
function nodeOf(holder: Holder | { readonly node: string } | { readonly web: true }): string {
  return 'node' in holder ? holder.node : '';
}

function milliseconds(duration: number): number {
  return Math.max(0, Math.round(duration));
}

function decodeMembership(text: string): Membership {
  const [kind, floor = BEGINNING, presenceFloor = BEGINNING, joinedAt, afterReset] = text.split(' ');
  return { listening: kind === 'l', floor, presenceFloor, joinedAt: Number(joinedAt), afterReset: afterReset === '1' };
}

function departures(reply: Reply | undefined): Departure[] {
  return [...pairsOf(reply)].map(([client, was]) => ({ client, listening: was === 'l' }));
}
