/** A chat for an application that has a port of its own. */
import type http from 'node:http';
import type { Api } from './api';
import { compose } from './compose';
import type { Config, SettingsInput } from './config';
import type { Action } from './core/action';
import type { Logger } from './core/logger';
import type { ChatMiddleware } from './core/middleware';
import type { Store } from './core/store';

export interface ChatServerOptions {
  /** Settings, as far as they differ from the defaults (docs/settings.md). */
  readonly config?: SettingsInput | Config;
  readonly actions: readonly Action<Api>[];
  readonly middleware?: readonly ChatMiddleware[];
  /** By the settings: Redis where they name one, memory otherwise. It is opened and closed with the chat. */
  readonly store?: Store;
  /** pino on standard error by default. */
  readonly logger?: Logger;
}

/**
 * What an Express application's `app.use` takes. In Node's own types, so that who uses the package needs none of
 * Express's.
 */
export type MountedHandler = (
  request: http.IncomingMessage,
  response: http.ServerResponse,
  next: (error?: unknown) => void,
) => void;

/** A chat without a port of its own: for an application that has one. */
export interface MountedChat {
  /** For `app.use('/chat', …)`. */
  readonly router: MountedHandler;
  /** For `app.use('/api', …)`. */
  readonly apiRouter: MountedHandler;
  readonly api: Api;
  readonly config: Config;
  /** Where metrics and the operator's page are; null when `admin.port` is. */
  readonly admin: { readonly url: string; readonly port: number } | null;
  /** WebSockets on `/chat` and `/primus` of this server. */
  attach(server: http.Server): void;
  /** Ready to serve: the store answers, announcements arrive, and it is not going. */
  ready(): Promise<{ readonly ready: boolean; readonly reason: string }>;
  /** Polls are answered, streams and sockets end; nothing new waits from now on. */
  drain(spreadMs?: number): void;
  /** Ends everything it opened. Links that are still there are cut. */
  close(): Promise<void>;
}

/** Everything but the ports. Rejects with what keeps it from starting; nothing stays open then. */
export async function createChat(options: ChatServerOptions): Promise<MountedChat> {
  return (await compose(options)).mounted;
}
