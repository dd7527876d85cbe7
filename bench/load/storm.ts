/** A node dies, and everybody who was on it comes back to another one and goes on where it was. */
import { cpuSeconds } from '../processes';
import type { StormJob, StormResult } from './jobs';
import { Ledger } from './ledger';
import { textOf, type Mark } from './marks';
import { RawSocket } from './socket';
import { sleep } from './stopwatch';
import { inTurns } from './talk';
import { clientFrame, readFrames, upgrade } from './websocket-frames';

const HEAD_END = Buffer.from('\r\n\r\n');
/** ms that anybody may take. */
const PATIENCE = 60_000;
const RATE_MS = 20;

/** A client as the documents say one should be: it keeps its token and the id of the last message, and resumes. */
class Resuming {
  #socket: RawSocket | undefined;
  #session: string | undefined;
  #last: string | undefined;

  constructor(
    readonly room: string,
    readonly hear: (marks: readonly Mark[]) => void,
    readonly cut: () => void,
  ) {}

  open(port: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const socket = new RawSocket(port, () => {
        socket.write(upgrade(port, '/chat/'));
      });
      this.#socket = socket;
      socket.onClose = () => {
        reject(new Error('a client could not come back'));
      };
      const frames = (bytes: Buffer): number => {
        const { taken, texts, marks } = readFrames(bytes);
        for (const text of texts) {
          const frame = JSON.parse(text) as Record<string, unknown>;
          if (frame['error'] !== undefined || frame['context'] === 'gap') reject(new Error(text));
          if (frame['welcome'] !== undefined) socket.write(clientFrame(this.#greet(frame['session'] as string)));
          if (frame['messageId'] !== 'in') continue;
          socket.onClose = this.cut;
          resolve();
        }
        if (marks.length > 0) {
          const from = bytes.lastIndexOf('"id":"', taken) + 6;
          this.#last = bytes.toString('latin1', from, bytes.indexOf('"', from));
          this.hear(marks);
        }
        return taken;
      };
      socket.consume = (bytes) => {
        const end = bytes.indexOf(HEAD_END);
        if (end < 0) return 0;
        socket.consume = frames;
        const start = end + HEAD_END.length;
        return start < bytes.length ? start + frames(bytes.subarray(start)) : start;
      };
    });
  }

  say(text: string): void {
    this.#socket?.write(clientFrame(JSON.stringify({ event: 'say', room: this.room, message: text })));
  }

  close(): void {
    this.#socket?.close();
  }

  #greet(session: string): string {
    if (this.#session !== undefined) {
      const after = this.#last === undefined ? {} : { [this.room]: this.#last };
      return JSON.stringify({ event: 'resume', session: this.#session, after, messageId: 'in' });
    }
    this.#session = session;
    return JSON.stringify({ event: 'roomAdd', room: this.room, messageId: 'in' });
  }
}

export async function storm(job: StormJob): Promise<StormResult> {
  const ledger = new Ledger(job.clients, 1, () => undefined);
  const clients: Resuming[] = [];
  const backAt: number[] = [];
  let killedAt = 0;
  let failed: unknown;
  await inTurns(job.clients, 100, async (index) => {
    const client = new Resuming(
      job.room,
      (marks) => {
        ledger.heard(index, marks);
      },
      () => {
        void sleep(Math.random() * job.jitterMs)
          .then(() => client.open(job.to.port))
          .then(
            () => backAt.push(performance.now() - killedAt),
            (error: unknown) => (failed = error),
          );
      },
    );
    clients.push(client);
    await client.open(job.from.port);
  });
  const publisher = new Resuming(
    job.room,
    () => undefined,
    () => undefined,
  );
  await publisher.open(job.to.port);

  let said = 0;
  const saying = setInterval(() => {
    publisher.say(textOf(0, said));
    said += 1;
  }, RATE_MS);
  await sleep(1000);
  const cpuBefore = cpuSeconds(job.pids);
  killedAt = performance.now();
  process.kill(job.victim, 'SIGKILL');
  while (backAt.length < job.clients && failed === undefined && performance.now() - killedAt < PATIENCE)
    await sleep(20);
  const cpu = cpuSeconds(job.pids) - cpuBefore;
  clearInterval(saying);
  await sleep(1000);
  ledger.close([said]);
  for (const client of [...clients, publisher]) client.close();
  if (failed !== undefined) throw failed instanceof Error ? failed : new Error('a client could not come back');
  const { missing, doubled, reordered } = ledger;
  return {
    back: backAt.length,
    seconds: Math.max(...backAt) / 1000,
    cpuSeconds: cpu,
    wrong: { missing, doubled, reordered },
  };
}
