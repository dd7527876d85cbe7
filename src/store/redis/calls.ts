/**
 * Calls to Redis that end: each within its time, with an answer or with a ChatError that says what is known.
 *
 * A call waits for a link, is written, and is written again when its link is lost before the answer came: every write can
 * be done twice, though its second answer may be that it was done. When its time is over, a write that was ever written is
 * `outcome_unknown`.
 */
import { Redis } from 'ioredis';
import { ChatError } from '../../protocol/errors';
import { Histogram } from '../../core/histogram';
import type { Client } from './connect';
import { scripts, type ScriptName } from './scripts';

type Argument = string | number;

/** It waited behind what failed for now, and was not written: it is to be sent again, in its old order. */
export class NotWritten extends Error {}

/** A call on its way, as what writes it later sees it. */
export interface Sending {
  /**
   * To be called as it is written. False: it must not be, as nobody waits for it any more, and who did was told that
   * nothing was done.
   */
  write(): boolean;
}

class Call implements Sending {
  /** Written now, on the link of this number; 0 when it waits for one. */
  link = 0;
  mayBeDone = false;

  constructor(
    /** Those that are waited for. */
    readonly all: ReadonlySet<Call>,
    readonly isWrite: boolean,
    readonly send: (call: Sending) => Promise<unknown>,
    /** `send` only queues it: it is written when `write` is called. */
    readonly later: boolean,
    readonly resolve: (value: unknown) => void,
    readonly reject: (error: Error) => void,
    /** By the steady clock. */
    readonly until: number,
  ) {}

  write(): boolean {
    if (!this.all.has(this)) return false;
    this.mayBeDone = true;
    return true;
  }
}

/** Nothing was done: it was never written, or refused by a Redis that will be, or will find, the right one soon. */
const REFUSED =
  /^(Stream isn't writeable|Cluster isn't ready|READONLY|LOADING|MASTERDOWN|CLUSTERDOWN|TRYAGAIN|NOREPLICAS)/;
/** The link was lost; whether before or after Redis had it, nobody knows. */
const LOST =
  /^(Connection is closed|Command aborted|Socket timeout|Cluster is ended|UNBLOCKED|Too many Cluster redirections)/;
const FULL = /^(OOM|MISCONF)/;

function isRefused(error: Error): boolean {
  return error instanceof NotWritten || REFUSED.test(error.message);
}

/** It is sent again. */
export function isPassing(error: Error): boolean {
  return isRefused(error) || LOST.test(error.message);
}

/** `view` may sweep, but who asks for it wants to know, not to do. */
const READS: ReadonlySet<ScriptName> = new Set(['read', 'ends', 'history', 'view', 'nodes']);

/** Those that are told how many keys they are given. */
const COUNTED: ReadonlySet<ScriptName> = new Set(
  scripts.filter(({ numberOfKeys }) => numberOfKeys === undefined).map(({ name }) => name),
);

/** ms: from a quiet neighbour to one that is about to be given up. */
export const LATENCY_BOUNDS = [0.25, 0.5, 1, 2, 4, 8, 16, 32, 64, 125, 250, 500, 1000, 2000];

/** Not by their bare names, which ioredis has uses of its own for: `nodes` of a cluster. */
const commandOf = (name: ScriptName): `script:${ScriptName}` => `script:${name}`;

type ScriptedClient = Record<ReturnType<typeof commandOf>, (...parameters: Argument[]) => Promise<unknown>>;

export class Calls {
  /** How long answers took from when they were asked for, those of calls that were given up aside. */
  readonly latency = new Histogram(LATENCY_BOUNDS);
  /** In order of their end, as they all get the same time. */
  readonly #calls = new Set<Call>();
  #link = 0;
  #ready = false;
  #closed = false;
  #ticking: NodeJS.Timeout | undefined;
  #corked = false;
  #beforeWriting: (() => void)[] = [];

  constructor(
    readonly client: Client,
    readonly callMs: number,
  ) {
    for (const { name, lua, numberOfKeys } of scripts) {
      client.defineCommand(commandOf(name), numberOfKeys === undefined ? { lua } : { lua, numberOfKeys });
    }
    client.on('ready', () => {
      this.#ready = true;
      this.#link += 1;
      for (const call of this.#calls) this.#send(call);
    });
    client.on('close', () => {
      this.#ready = false;
      for (const call of this.#calls) call.link = 0;
    });
  }

  /** Which link this is, counted from 1. */
  get link(): number {
    return this.#link;
  }

  get isCluster(): boolean {
    return !(this.client instanceof Redis);
  }

  get ready(): boolean {
    return this.#ready;
  }

  read<T>(send: (client: Client) => Promise<T>): Promise<T> {
    return this.#call(false, () => send(this.client)) as Promise<T>;
  }

  write<T>(send: (client: Client) => Promise<T>): Promise<T> {
    return this.#call(true, () => send(this.client)) as Promise<T>;
  }

  /** Keys in one slot; text from clients in `parameters` only, never in the script. */
  script(name: ScriptName, keys: readonly string[], parameters: readonly Argument[]): Promise<unknown> {
    return this.#call(!READS.has(name), () => this.#run(name, keys, parameters));
  }

  /** A write that goes out together with others, by `runFor`. `send` rejects as that does, or with `NotWritten`. */
  together(send: (call: Sending) => Promise<unknown>): Promise<unknown> {
    return this.#call(true, send, true);
  }

  /** Runs a script for calls that are made already, whose time it is: it has none of its own. */
  runFor(name: ScriptName, keys: readonly string[], parameters: readonly Argument[]): Promise<unknown> {
    this.#cork();
    return this.#run(name, keys, parameters);
  }

  /** Does it when what this turn of the event loop asks is about to go out; what it sends goes with that. */
  beforeWriting(work: () => void): void {
    this.#beforeWriting.push(work);
    this.#cork();
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#ticking);
    for (const call of this.#calls) this.#giveUp(call);
  }

  #run(name: ScriptName, keys: readonly string[], parameters: readonly Argument[]): Promise<unknown> {
    const scripted = this.client as unknown as ScriptedClient;
    const count = COUNTED.has(name) ? [keys.length] : [];
    return scripted[commandOf(name)](...count, ...keys, ...parameters);
  }

  #call(isWrite: boolean, send: (call: Sending) => Promise<unknown>, later = false): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const until = performance.now() + this.callMs;
      const call = new Call(this.#calls, isWrite, send, later, resolve, reject, until);
      if (this.#closed) {
        this.#giveUp(call);
        return;
      }
      this.#calls.add(call);
      // One timer for all: a timer of its own would be a good part of what a say costs this node.
      this.#ticking ??= setTimeout(this.#tick, Math.min(this.callMs, 50));
      if (this.#ready) this.#send(call);
    });
  }

  #send(call: Call): void {
    const couldBeDone = call.mayBeDone;
    const link = this.#link;
    call.link = link;
    if (!call.later) call.mayBeDone = true;
    this.#cork();
    const sentAt = performance.now();
    call.send(call).then(
      (value) => {
        if (!this.#calls.delete(call)) return;
        this.latency.observe(performance.now() - sentAt);
        call.resolve(value);
      },
      (error: unknown) => {
        this.#failed(call, link, couldBeDone, error instanceof Error ? error : new Error(String(error)));
      },
    );
  }

  #failed(call: Call, link: number, couldBeDone: boolean, error: Error): void {
    // It was written again meanwhile, on a newer link, or has ended.
    if (!this.#calls.has(call) || (call.link !== 0 && call.link !== link)) return;
    if (isRefused(error)) call.mayBeDone = couldBeDone;
    if (isPassing(error)) {
      // The next link, or the next tick, sends it again.
      call.link = 0;
      return;
    }
    this.#calls.delete(call);
    call.reject(FULL.test(error.message) ? new ChatError('store_full') : error);
  }

  readonly #tick = (): void => {
    const now = performance.now();
    this.#ticking = undefined;
    for (const call of this.#calls) {
      if (call.until <= now) this.#giveUp(call);
      else if (call.link === 0 && this.#ready) this.#send(call);
    }
    if (this.#calls.size > 0) this.#ticking = setTimeout(this.#tick, Math.min(this.callMs, 50));
  };

  #giveUp(call: Call): void {
    this.#calls.delete(call);
    call.reject(new ChatError(call.isWrite && call.mayBeDone ? 'outcome_unknown' : 'store_unavailable', '', 1));
  }

  /**
   * All that one turn of the event loop asks goes out in one write: half of Redis' work per call is reading from sockets.
   * ioredis' own pipelining does as much for Redis, costs this node a quarter more, and keeps the next batch back until
   * the last one is answered; on a cluster it fails whole batches when one slot of theirs has moved.
   */
  #cork(): void {
    if (this.#corked) return;
    const links = this.client instanceof Redis ? [this.client] : this.client.nodes('all');
    // One that a cluster's client has not used yet has no stream.
    const streams = links.flatMap(({ stream }) => (stream as Redis['stream'] | undefined) ?? []);
    this.#corked = true;
    for (const stream of streams) stream.cork();
    setImmediate(() => {
      const last = this.#beforeWriting;
      this.#beforeWriting = [];
      try {
        for (const work of last) work();
      } finally {
        this.#corked = false;
        for (const stream of streams) stream.uncork();
      }
    });
  }
}
