/**
 * A voice of the house: tells each room who comes and goes, and the default room what time it is.
 *
 *     npx tsx examples/announcer.ts
 *     curl -N "localhost:8080/chat/?method=messages&stream=ndjson"
 */
// In a project of your own: from 'earshot'.
import { actions, createServer, type Api, type ChatMiddleware, type ChatServer } from '../src';

/** Hooks run where the client is, so each coming and going is told once, however many nodes there are. */
export function comingsAndGoings(api: Api): ChatMiddleware {
  const tell = async (room: string, text: string): Promise<void> => {
    try {
      await api.chatRoom.broadcast(null, room, text);
    } catch (error) {
      // What goes wrong with an announcement keeps nobody out, and nobody in.
      api.log.warn({ err: error, room }, 'could not announce');
    }
  };
  return {
    name: 'comings and goings',
    // After all others: who is refused does not come.
    priority: 1000,
    join: async (connection, room, { listening }) => {
      // One who resumes was here all the time.
      if (!listening && !connection.rooms.includes(room)) await tell(room, `${connection.id} comes in`);
    },
    leave: async (connection, room) => {
      if (!connection.listening.includes(room)) await tell(room, `${connection.id} goes`);
    },
  };
}

/** On one node only: each that runs it would say it. Answers what stops it. */
export function clock(api: Api, everyMs: number): () => void {
  const timer = setInterval(() => {
    void api.chatRoom.socketRoomBroadcast(api, null, `Hello.  The time is ${String(new Date())}`);
  }, everyMs);
  return () => {
    clearInterval(timer);
  };
}

export async function start(port: number): Promise<ChatServer> {
  const server = await createServer({
    actions,
    // HTTP chat is opt-in in the library.
    config: { commonWeb: { httpClientMessageTTL: 300_000 }, servers: { web: { port } } },
  });
  server.api.chatRoom.addMiddleware(comingsAndGoings(server.api));
  return server;
}

if (require.main === module) {
  void start(Number(process.env['PORT'] ?? 8080)).then(({ api, url }) => {
    clock(api, 60_000);
    console.log(`announcements on ${url}`);
  });
}
