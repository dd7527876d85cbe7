/** Who follows which channel on this node: one subscription per channel, one SUBSCRIBE per turn, remade with the link. */
import { Redis } from 'ioredis';
import type { Follower } from '../../core/store';
import { ChatError } from '../../protocol/errors';
import { parseAnnouncement } from './announcement';
import type { Client } from './connect';

interface Waiting {
  readonly resolve: () => void;
  readonly fail: () => void;
  readonly timer: NodeJS.Timeout;
}

interface Channel {
  readonly followers: Set<Follower>;
  readonly waiting: Set<Waiting>;
  state: 'wanted' | 'asked' | 'heard';
  /** It was heard before the link was lost: its followers have to read again. */
  missed: boolean;
}

export interface SubscriptionsOptions {
  readonly client: Client;
  /**
   * What an entry in an announcement is: the log's next one; only a sign that the log moved, as others may publish there;
   * or foreign, as ours go there without.
   */
  readonly entries: 'believed' | 'wake' | 'foreign';
  readonly waitMs: number;
  readonly pingMs: number;
}

/** Channels in one SUBSCRIBE. */
const AT_ONCE = 500;
const RETRY_MS = 100;

export class Subscriptions {
  readonly #channels = new Map<string, Channel>();
  readonly #dirty = new Set<string>();
  readonly #listeners = new Map<string, (text: string) => void>();
  readonly #sharded: boolean;
  readonly #pinging: NodeJS.Timeout;
  #flushing = false;
  #retrying: NodeJS.Timeout | undefined;
  #ready = false;
  #closed = false;
  #malformed = 0;

  constructor(readonly options: SubscriptionsOptions) {
    const { client, pingMs } = options;
    this.#sharded = !(client instanceof Redis);
    client.on(this.#sharded ? 'smessage' : 'message', (channel: string, text: string) => {
      this.#hear(channel, text);
    });
    client.on('ready', () => {
      this.#ready = true;
      for (const channel of this.#channels.keys()) this.#dirty.add(channel);
      this.#flush();
    });
    client.on('close', () => {
      this.#ready = false;
      for (const channel of this.#channels.values()) {
        channel.missed ||= channel.state === 'heard';
        channel.state = 'wanted';
      }
    });
    // On a cluster ioredis moves subscriptions as slots move, and does not tell when it has done so.
    client.on('subscribersReady', () => setTimeout(() => this.#staleAll(), RETRY_MS).unref());
    // With nothing unanswered a dead link looks like a quiet one.
    this.#pinging = setInterval(() => {
      if (this.#ready && client instanceof Redis) client.ping().catch(() => undefined);
    }, pingMs);
    this.#pinging.unref();
  }

  /** Announcements that were none: somebody else publishes here, or another version of us. */
  get malformed(): number {
    return this.#malformed;
  }

  /** Resolves once Redis has confirmed it; rejects with a ChatError when it does not in time. */
  async follow(name: string, follower: Follower): Promise<void> {
    const channel = this.#channel(name);
    channel.followers.add(follower);
    try {
      await this.#confirmation(channel);
    } catch (error) {
      this.unfollow(name, follower);
      throw error;
    }
  }

  unfollow(name: string, follower: Follower): void {
    if (this.#channels.get(name)?.followers.delete(follower)) this.#changed(name);
  }

  /** Raw texts of a channel of the store's own. */
  listen(name: string, listener: (text: string) => void): void {
    this.#listeners.set(name, listener);
    this.#channel(name);
  }

  close(): void {
    this.#closed = true;
    clearInterval(this.#pinging);
    clearTimeout(this.#retrying);
    for (const { waiting } of this.#channels.values()) for (const { fail } of [...waiting]) fail();
    this.#channels.clear();
    this.#listeners.clear();
  }

  #channel(name: string): Channel {
    let channel = this.#channels.get(name);
    if (!channel) {
      channel = { followers: new Set(), waiting: new Set(), state: 'wanted', missed: false };
      this.#channels.set(name, channel);
      this.#changed(name);
    }
    return channel;
  }

  #confirmation(channel: Channel): Promise<void> {
    if (channel.state === 'heard') return Promise.resolve();
    if (this.#closed) return Promise.reject(new ChatError('store_unavailable', '', 1));
    return new Promise((resolve, reject) => {
      const fail = (): void => {
        clearTimeout(timer);
        channel.waiting.delete(waiting);
        reject(new ChatError('store_unavailable', '', 1));
      };
      const timer = setTimeout(fail, this.options.waitMs);
      const waiting: Waiting = { resolve, fail, timer };
      channel.waiting.add(waiting);
    });
  }

  #changed(name: string): void {
    this.#dirty.add(name);
    if (this.#flushing) return;
    this.#flushing = true;
    setImmediate(() => {
      this.#flushing = false;
      this.#flush();
    });
  }

  #flush(): void {
    if (!this.#ready) return;
    const wanted: string[] = [];
    const unwanted: string[] = [];
    for (const name of this.#dirty) {
      const channel = this.#channels.get(name);
      if (!channel) continue;
      if (channel.followers.size === 0 && !this.#listeners.has(name)) {
        this.#channels.delete(name);
        for (const { fail } of [...channel.waiting]) fail();
        if (channel.state !== 'wanted') unwanted.push(name);
      } else if (channel.state === 'wanted') {
        channel.state = 'asked';
        wanted.push(name);
      }
    }
    this.#dirty.clear();
    // Redis sees them in this order; a channel is never in both.
    const size = this.#sharded ? 1 : AT_ONCE;
    for (let at = 0; at < unwanted.length; at += size) this.#unsubscribe(unwanted.slice(at, at + size));
    for (let at = 0; at < wanted.length; at += size) this.#subscribe(wanted.slice(at, at + size));
  }

  #subscribe(names: readonly string[]): void {
    const { client } = this.options;
    // By identity: a channel that was given up and wanted again meanwhile is another one.
    const asked = names.map((name) => this.#channels.get(name));
    const done = this.#sharded ? client.ssubscribe(...names) : client.subscribe(...names);
    done.then(
      () => {
        for (const channel of asked) if (channel?.state === 'asked') this.#confirmed(channel);
      },
      () => {
        for (const channel of asked) if (channel?.state === 'asked') channel.state = 'wanted';
        for (const name of names) this.#dirty.add(name);
        this.#retrying ??= setTimeout(() => {
          this.#retrying = undefined;
          this.#flush();
        }, RETRY_MS);
      },
    );
  }

  #unsubscribe(names: readonly string[]): void {
    const { client } = this.options;
    const done = this.#sharded ? client.sunsubscribe(...names) : client.unsubscribe(...names);
    // A link that is lost has forgotten them by itself.
    done.catch(() => undefined);
  }

  #confirmed(channel: Channel): void {
    channel.state = 'heard';
    for (const { resolve, timer } of channel.waiting) {
      clearTimeout(timer);
      resolve();
    }
    channel.waiting.clear();
    if (!channel.missed) return;
    channel.missed = false;
    for (const follower of [...channel.followers]) follower.stale();
  }

  #hear(name: string, text: string): void {
    const listener = this.#listeners.get(name);
    if (listener) {
      listener(text);
      return;
    }
    const channel = this.#channels.get(name);
    if (!channel) return;
    const { entries } = this.options;
    const heard = parseAnnouncement(text);
    if (!heard || (heard.kind === 'entries' && entries === 'foreign')) {
      this.#malformed += 1;
      return;
    }
    for (const follower of [...channel.followers]) {
      if (heard.kind === 'entries' && entries === 'believed') for (const entry of heard.entries) follower.entry(entry);
      else if (heard.kind === 'changed') follower.changed(heard.version);
      else follower.stale();
    }
  }

  #staleAll(): void {
    for (const { followers } of this.#channels.values()) for (const follower of [...followers]) follower.stale();
  }
}
