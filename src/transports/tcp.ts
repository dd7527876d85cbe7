/** The TCP door: who may come in, with TLS or without, and how all of them go. */
import net from 'node:net';
import tls from 'node:tls';
import { asChatError, type ChatError } from '../protocol/errors';
import { destroyOnError, type Admission } from './admission';
import type { ConversationOptions } from './conversation';
import { takeTurns } from './intake';
import type { BufferLimits } from './link';
import { SlowPeers } from './slow-peers';
import { TcpPeer } from './tcp-peer';

export interface TcpOptions<Api> extends ConversationOptions<Api> {
  readonly limits: BufferLimits & {
    /** ms that a TLS handshake may take. 0: as long as Node lets it. */
    readonly handshake: number;
  };
  readonly lineBytes: number;
  readonly admission: Admission;
  readonly connectionsPerAddress: number;
  readonly tls: { readonly cert: string; readonly key: string } | null;
}

const KEEP_ALIVE = 25_000;

export class TcpDoor<Api> {
  readonly server: net.Server;
  readonly #peers = new Set<TcpPeer<Api>>();
  readonly #slow: SlowPeers;

  constructor(readonly options: TcpOptions<Api>) {
    const { limits } = options;
    this.#slow = new SlowPeers(limits.stuck);
    // Half-open, because `printf … | nc` closes its side first and still wants its answers.
    const allowHalfOpen = true;
    const accept = (socket: net.Socket): void => {
      this.#accept(socket);
    };
    if (options.tls) {
      const handshakeTimeout = limits.handshake === 0 ? {} : { handshakeTimeout: limits.handshake };
      this.server = tls.createServer({ ...options.tls, ...handshakeTimeout, allowHalfOpen }, accept);
      this.server.on('tlsClientError', (_error: Error, socket: tls.TLSSocket) => socket.destroy());
    } else {
      this.server = net.createServer({ allowHalfOpen }, accept);
    }
    // Whoever expects TLS could read no word of ours.
    options.admission.guard(this.server, options.connectionsPerAddress, options.tls ? () => '' : farewell);
  }

  get size(): number {
    return this.#peers.size;
  }

  async listen(port: number, host: string): Promise<net.AddressInfo> {
    await new Promise<void>((resolve, reject) => {
      this.server.once('error', reject);
      this.server.listen(port, host, () => {
        this.server.off('error', reject);
        resolve();
      });
    });
    return this.server.address() as net.AddressInfo;
  }

  /** Everybody is answered, told and ended; ActionHero's clients come back when they are ended by FIN, and only then. */
  close(): void {
    this.server.close();
    for (const peer of this.#peers) peer.restart();
  }

  terminate(): void {
    for (const { socket } of this.#peers) socket.destroy();
  }

  #accept(socket: net.Socket): void {
    // Over TLS it is another socket than the one that was admitted.
    destroyOnError(socket);
    const address = socket.remoteAddress ?? '';
    try {
      this.options.rates.newClient(address);
    } catch (error) {
      const refused = asChatError(error);
      this.options.chat.counters.refuse(refused.code);
      socket.once('finish', () => socket.destroy());
      socket.end(farewell(refused));
      return;
    }
    socket.setNoDelay(true);
    socket.setKeepAlive(true, KEEP_ALIVE);
    const peer = new TcpPeer(socket, address, this.options, this.#slow);
    takeTurns(socket);
    this.#peers.add(peer);
    socket.once('close', () => {
      this.#peers.delete(peer);
    });
  }
}

function farewell({ message, code, retryAfter }: ChatError): string {
  return `${JSON.stringify({ error: message, code, retryAfter, context: 'api' })}\r\n`;
}
