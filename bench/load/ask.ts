/** Requests over kept connections, each as soon as the one before it is answered; no id may be given twice or left out. */
import { becomeMember } from './earshot-http';
import { getRequest, HttpConnection, postRequest } from './http';
import { readAnswer } from './http-answers';
import type { AskJob, AskResult } from './jobs';
import { textOf } from './marks';
import type { RawSocket } from './socket';
import { measure, sleep } from './stopwatch';
import { inTurns } from './talk';

const ID = Buffer.from('"id":"');
const FORM = 'Content-Type: application/x-www-form-urlencoded\r\n';

interface Asker {
  readonly socket: RawSocket;
  readonly request: (sequence: number) => string;
}

export async function ask(job: AskJob): Promise<AskResult> {
  const askers: { readonly socket: RawSocket; readonly next: () => void }[] = [];
  const ids = new Set<string>();
  let answers = 0;
  let wrong = 0;
  let pending = 0;
  let going = true;

  await inTurns(job.connections, 50, async (index) => {
    const asker = await openAsker(job, index);
    let sequence = 0;
    const next = (): void => {
      pending += 1;
      asker.socket.write(asker.request(sequence));
      sequence += 1;
    };
    asker.socket.consume = (bytes) => {
      const answer = readAnswer(bytes);
      if (!answer) return 0;
      pending -= 1;
      answers += 1;
      if (answer.status < 200 || answer.status > 299) wrong += 1;
      else if (job.what === 'earshot-say' && !remember(ids, bytes, answer.from)) wrong += 1;
      if (going) next();
      return answer.to;
    };
    askers.push({ socket: asker.socket, next });
  });

  for (const { next } of askers) next();
  let before = 0;
  const measured = await measure(job.pids, job.span, () => {
    before = answers;
  });
  const counted = answers - before;
  going = false;
  const until = performance.now() + 5000;
  while (pending > 0 && performance.now() < until) await sleep(10);
  wrong += pending;
  for (const { socket } of askers) socket.close();
  if (job.what === 'earshot-say') wrong += holes(ids);
  return { answers: counted, ...measured, wrong };
}

async function openAsker({ what, target: { port }, room }: AskJob, index: number): Promise<Asker> {
  if (what === 'earshot-say') {
    const { connection, bearer } = await becomeMember(port, room);
    const request = (sequence: number): string =>
      postRequest(
        port,
        '/chat/?method=say',
        `room=${room}&message=${encodeURIComponent(textOf(index, sequence))}`,
        FORM + bearer,
      );
    return { socket: connection.take(), request };
  }
  if (what === 'earshot-view') {
    const { connection, bearer } = await becomeMember(port, room);
    const request = getRequest(port, `/chat/?method=roomView&room=${room}`, bearer);
    return { socket: connection.take(), request: () => request };
  }
  const socket = (await HttpConnection.open(port)).take();
  if (what === 'nchan-say') {
    return { socket, request: (sequence) => postRequest(port, `/pub/${room}`, textOf(index, sequence)) };
  }
  return { socket, request: () => getRequest(port, '/api/status') };
}

function remember(ids: Set<string>, bytes: Buffer, from: number): boolean {
  const at = bytes.indexOf(ID, from);
  if (at < 0) return false;
  const id = bytes.toString('latin1', at + ID.length, bytes.indexOf('"', at + ID.length));
  if (ids.has(id)) return false;
  ids.add(id);
  return true;
}

/** Numbers between the first and the last that no answer had. */
function holes(ids: ReadonlySet<string>): number {
  let first = Infinity;
  let last = 0;
  for (const id of ids) {
    const seq = Number(id.slice(id.indexOf('-') + 1));
    first = Math.min(first, seq);
    last = Math.max(last, seq);
  }
  return ids.size === 0 ? 1 : last - first + 1 - ids.size;
}
