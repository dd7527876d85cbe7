/**
 * An Express application with sessions of its own, and the chat in it: who is logged in there is somebody here.
 *
 * The two know their visitors by cookies of their own. What goes between them is a ticket: the application gives one to
 * whoever is logged in, and the chat takes it once. So it works for a WebSocket and a plain socket as well.
 *
 *     npx tsx examples/express-sessions.ts
 *     curl -c jar -b jar localhost:3000/login -d user=ada
 *     curl -c jar -b jar localhost:3000/ticket                                            {"ticket":"…"}
 *     curl -c jar -b jar 'localhost:3000/api/introduce?ticket=…'                          {"user":"ada"}
 *     curl -c jar -b jar 'localhost:3000/chat/?method=roomAdd&room=members'
 */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import express from 'express';
import session from 'express-session';
import { z } from 'zod';
// In a project of your own: from 'earshot'.
import { actions, ChatError, createChat, defineAction, type ChatMiddleware } from '../src';

declare module 'express-session' {
  interface SessionData {
    user: string;
  }
}

/** ms */
const TICKET_LASTS = 30_000;

/** Of one process: where there are several, keep them where the sessions are. */
class Tickets {
  readonly #users = new Map<string, string>();

  issue(user: string): string {
    const ticket = randomBytes(24).toString('base64url');
    this.#users.set(ticket, user);
    setTimeout(() => this.#users.delete(ticket), TICKET_LASTS).unref();
    return ticket;
  }

  /** Whose it is; only once. */
  redeem(ticket: string): string | undefined {
    const user = this.#users.get(ticket);
    this.#users.delete(ticket);
    return user;
  }
}

/** Rooms are for those who have a name; what they say carries it. */
const named: ChatMiddleware = {
  name: 'named',
  join: (connection, room) => {
    if (room === 'members' && connection.get('user') === undefined) throw new Error('log in first');
  },
  onSayReceive: (connection, _room, payload) => ({
    ...payload,
    message: { user: connection.get('user') ?? 'a guest', text: payload.message },
  }),
};

export interface Application {
  readonly server: Server;
  readonly port: number;
  close(): Promise<void>;
}

export async function start(port: number): Promise<Application> {
  const tickets = new Tickets();
  const introduce = defineAction({
    name: 'introduce',
    description: 'I learn who you are by a ticket of the application',
    inputs: z.object({ ticket: z.string() }),
    run: async ({ params, connection }) => {
      const user = tickets.redeem(params.ticket);
      if (user === undefined) throw new ChatError('forbidden', 'this ticket is not valid');
      // Kept with the client, on every transport and node.
      await connection.set('user', user);
      return { user };
    },
  });
  const chat = await createChat({
    actions: [...actions, introduce],
    middleware: [named],
    // HTTP chat is opt-in in the library.
    config: { commonWeb: { httpClientMessageTTL: 300_000 } },
  });

  const app = express();
  app.use('/chat', chat.router);
  app.use('/api', chat.apiRouter);
  app.use(
    session({
      // `sessionID` is the chat's own.
      name: 'application',
      secret: process.env['SESSION_SECRET'] ?? randomBytes(32).toString('hex'),
      resave: false,
      saveUninitialized: false,
      cookie: { sameSite: 'lax', httpOnly: true },
    }),
  );
  app.post('/login', express.json(), express.urlencoded({ extended: false }), (request, response, next) => {
    const { user } = (request.body ?? {}) as { user?: unknown };
    // Here is where you look at a password.
    if (typeof user !== 'string' || !/^\w{1,20}$/.test(user)) {
      response.status(400).json({ error: 'user: 1-20 letters' });
      return;
    }
    // A session from before the login may be known to somebody else.
    request.session.regenerate((error: unknown) => {
      if (error) {
        next(error);
        return;
      }
      request.session.user = user;
      response.json({ user });
    });
  });
  app.get('/ticket', (request, response) => {
    const { user } = request.session;
    if (user === undefined) response.status(401).json({ error: 'log in first' });
    else response.set('Cache-Control', 'no-store').json({ ticket: tickets.issue(user) });
  });

  const server = app.listen(port, '127.0.0.1');
  await once(server, 'listening');
  chat.attach(server);
  const close = async (): Promise<void> => {
    chat.drain();
    server.close();
    server.closeAllConnections();
    await chat.close();
  };
  return { server, port: (server.address() as AddressInfo).port, close };
}

if (require.main === module) {
  void start(Number(process.env['PORT'] ?? 3000)).then(({ port }) => {
    console.log(`an application with a chat on http://127.0.0.1:${String(port)}/`);
  });
}
