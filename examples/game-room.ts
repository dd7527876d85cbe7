/**
 * A game of two teams in one room: everybody hears the score, and each team its own plans.
 *
 *     npx tsx examples/game-room.ts
 *     npx tsx examples/game-room.ts red      in a terminal of its own, for each player
 *
 * An action puts a player into a team, as an attribute that clients cannot set by themselves; what is said with
 * `roomMatchKey` reaches those who have it.
 */
import { createInterface } from 'node:readline';
import { z } from 'zod';
// In a project of your own: from 'earshot' and 'earshot/client'.
import { actions, ChatError, createServer, defineAction, type ChatMiddleware, type ChatServer } from '../src';
import { connect, type ChatClient } from '../src/client/node';

const ROOM = 'game';

export const joinTeam = defineAction({
  name: 'joinTeam',
  description: 'I put you into a team, for the whole game',
  inputs: z.object({ team: z.enum(['red', 'blue']) }),
  run: async ({ params, connection }) => {
    if (connection.get('team') !== undefined) throw new ChatError('forbidden', 'you have a team already');
    await connection.set('team', params.team);
    return { team: params.team };
  },
});

/** Who has no team may watch, and says nothing. */
export const playersOnly: ChatMiddleware = {
  name: 'players only',
  onSayReceive: (connection, room) => {
    if (room === ROOM && connection.get('team') === undefined) throw new Error('join a team first');
  },
};

export interface Player {
  readonly chat: ChatClient;
  /** To everybody. */
  readonly shout: (message: unknown) => Promise<unknown>;
  /** To one's own team. */
  readonly whisper: (message: unknown) => Promise<unknown>;
}

export async function play(url: string, team: 'red' | 'blue'): Promise<Player> {
  const chat = connect(url);
  await chat.roomAdd(ROOM);
  await chat.action('joinTeam', { team });
  return {
    chat,
    shout: (message) => chat.say(message, { room: ROOM }),
    whisper: (message) => chat.say(message, { room: ROOM, roomMatchKey: 'team', roomMatchValue: team }),
  };
}

export function start(port: number): Promise<ChatServer> {
  return createServer({
    actions: [...actions, joinTeam],
    middleware: [playersOnly],
    // HTTP chat is opt-in in the library.
    config: { commonWeb: { httpClientMessageTTL: 300_000 }, servers: { web: { port } } },
  });
}

/** What one types is for the team, unless it begins with `!`. */
async function playOnTerminal(url: string, team: 'red' | 'blue'): Promise<void> {
  const { chat, shout, whisper } = await play(url, team);
  chat.on('say', ({ from, message }) => console.log(from.slice(0, 6), message));
  for await (const line of createInterface({ input: process.stdin })) {
    await (line.startsWith('!') ? shout(line.slice(1)) : whisper(line));
  }
  chat.close();
}

if (require.main === module) {
  const port = Number(process.env['PORT'] ?? 8080);
  const [team] = process.argv.slice(2);
  if (team === 'red' || team === 'blue') void playOnTerminal(`http://localhost:${String(port)}`, team);
  else void start(port).then(({ url }) => console.log(`a game on ${url}`));
}
