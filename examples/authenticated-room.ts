/**
 * A room for those who have logged in, in two steps: an action that sets an attribute of the connection, and a `join`
 * middleware that looks at it.
 *
 *     npx tsx examples/authenticated-room.ts
 *     curl -c jar -b jar "localhost:8080/chat/?method=roomChange&room=SecretRoom"      refused
 *     curl -c jar -b jar "localhost:8080/api/login" -d password="open sesame"
 *     curl -c jar -b jar "localhost:8080/chat/?method=roomChange&room=SecretRoom"      welcome
 *
 * Over a WebSocket: {"event":"action","params":{"action":"login","password":"open sesame"}}
 */
import { z } from 'zod';
// In a project of your own: from 'earshot'.
import { actions, ChatError, createServer, defineAction, type ChatMiddleware, type ChatServer } from '../src';

const PASSWORD = 'open sesame';
const SECRET_ROOM = 'SecretRoom';

export const login = defineAction({
  name: 'login',
  description: 'I log you in, if you know the word',
  inputs: z.object({ password: z.string() }),
  run: ({ params, connection }) => {
    if (params.password !== PASSWORD) throw new ChatError('forbidden', 'that is not the word');
    // Kept with the client in the store: it is there over HTTP, on every node, and after a reconnect.
    connection['auth'] = 'true';
    return { loggedIn: true };
  },
});

export const secretRoom: ChatMiddleware = {
  name: 'secret room',
  join: (connection, room) => {
    if (room === SECRET_ROOM && connection['auth'] !== 'true') throw new Error('log in first');
  },
};

export function start(port: number): Promise<ChatServer> {
  return createServer({
    actions: [...actions, login],
    middleware: [secretRoom],
    // HTTP chat is opt-in in the library.
    config: { commonWeb: { httpClientMessageTTL: 300_000 }, servers: { web: { port } } },
  });
}

if (require.main === module) {
  void start(Number(process.env['PORT'] ?? 8080)).then(({ url }) => console.log(`a secret room on ${url}`));
}
