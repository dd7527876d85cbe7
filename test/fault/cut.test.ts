/** Requests and answers cut at every byte: a poll is repeated and has lost nothing, a say is repeated and is said once. */
import { faults, Record } from '../support/checker';
import { noteFault } from '../support/figures';
import { CutLink } from '../support/hop/cut-link';
import { AnswerReader, type Head } from '../support/hop/wire';
import { connected } from '../support/http-client';
import { long } from '../support/long';
import { twoNodes, type Nodes } from '../support/nodes';

/** Each byte in the long form; every so many in the short one, others each time. */
const STEP = long ? 1 : 6;
const start = Math.floor(Math.random() * STEP);

const offsets = (length: number): number[] => {
  const count = Math.ceil((length - start) / STEP);
  return Array.from({ length: count }, (_, index) => start + index * STEP);
};

interface Received {
  /** Undefined when it did not come whole. */
  readonly answer: { readonly head: Head; readonly body: { readonly [key: string]: unknown } } | undefined;
  readonly bytes: number;
}

/** One request on a link of its own, which ends when so many bytes went out or came in. */
async function ask(port: number, request: string, cut: { sent?: number; received?: number } = {}): Promise<Received> {
  let body = '';
  let bytes = 0;
  const reader = new AnswerReader((piece) => (body += piece.toString()));
  const link = new CutLink(
    port,
    {
      sent: cut.sent ?? Infinity,
      received: cut.received ?? Infinity,
      ms: 30_000,
      rudely: (cut.sent ?? cut.received ?? 0) % 2 === 1,
    },
    (on) => {
      on.write(request);
      return (piece) => {
        bytes += piece.length;
        return reader.push(piece);
      };
    },
  );
  await link.ended;
  const { head } = reader;
  return { answer: reader.complete && head ? { head, body: JSON.parse(body) as object as never } : undefined, bytes };
}

const requestOf = (line: string, headers: readonly string[], body = ''): string =>
  [line, 'Host: localhost', 'Connection: close', ...headers, '', body].join('\r\n');

const textsOf = ({ answer }: Received): unknown[] =>
  (answer?.body['messages'] as { message: unknown }[] | undefined)?.map(({ message }) => message) ?? [];

/** Ten at a time, on both nodes in turn. */
async function each(
  all: readonly number[],
  { here, there }: Nodes,
  on: (at: number, port: number, other: number) => Promise<void>,
): Promise<void> {
  for (let from = 0; from < all.length; from += 10) {
    await Promise.all(
      all
        .slice(from, from + 10)
        .map((at, index) => (index % 2 === 0 ? on(at, here.port, there.port) : on(at, there.port, here.port))),
    );
  }
}

test("a poll's answer is cut at every byte: repeated with its cursor it gives the same", async () => {
  const nodes = await twoNodes();
  const [ann, bob] = [await connected(nodes.here), await connected(nodes.here)];
  await ann.say('héllo');
  const poll = requestOf(`GET /chat/?method=messages&wait=5&after=${bob.cursor} HTTP/1.1`, [
    `Authorization: Bearer ${bob.session}`,
  ]);
  const { bytes } = await ask(nodes.here.port, poll);
  let cuts = 0;
  await each(offsets(bytes), nodes, async (at, port, other) => {
    expect((await ask(port, poll, { received: at })).answer).toBeUndefined();
    expect(textsOf(await ask(other, poll))).toEqual(['héllo']);
    cuts += 1;
  });
  noteFault({
    fault: "a poll's answer cut at every byte",
    expected: 'its repeat gives the same',
    more: `${cuts} of ${bytes} offsets, none lost`,
  });
});

test("a cookie jar's answer is cut in its head: what it did not confirm is given again", async () => {
  const nodes = await twoNodes();
  const ann = await connected(nodes.here);
  const first = await ask(nodes.here.port, requestOf('GET /chat/?method=messages HTTP/1.1', []));
  const jar = first.answer!.head.cookies.map((line) => line.split(';')[0]).join('; ');
  await ann.say('héllo');
  const poll = requestOf('GET /chat/?method=messages&wait=5 HTTP/1.1', [`Cookie: ${jar}`]);
  const whole = await ask(nodes.there.port, poll);
  const body = Number(whole.answer!.head.headers.get('content-length'));
  let cuts = 0;
  // The jar is as it was: a curl that did not get the head whole has kept nothing of it.
  for (const at of offsets(whole.bytes - body)) {
    await ask(at % 2 === 0 ? nodes.here.port : nodes.there.port, poll, { received: at });
    cuts += 1;
  }
  expect(textsOf(await ask(nodes.here.port, poll))).toEqual(['héllo']);
  noteFault({
    fault: "a cookie jar's answer cut in its head",
    expected: 'given again',
    more: `${cuts} of ${whole.bytes - body} offsets, none lost`,
  });
});

test('a say is cut at every byte, of what is asked and of what is answered: repeated with its key it is said once', async () => {
  const nodes = await twoNodes();
  const [ann, bob] = [await connected(nodes.here), await connected(nodes.there)];
  const accepted = new Map<string, unknown>();
  const say = (key: string): string => {
    const body = JSON.stringify({ message: `message ${key}`, key });
    return requestOf(
      'POST /chat/?method=say HTTP/1.1',
      [`Authorization: Bearer ${ann.session}`, 'Content-Type: application/json', `Content-Length: ${body.length}`],
      body,
    );
  };
  const accept = (key: string, { answer }: Received): void => {
    expect(answer?.head.status).toBe(200);
    accepted.set(String(answer?.body['id']), `message ${key}`);
  };
  const whole = await ask(nodes.here.port, say('k0000'));
  accept('k0000', whole);
  await each(offsets(say('k0000').length), nodes, async (at, port, other) => {
    const key = `s${String(at).padStart(4, '0')}`;
    await ask(port, say(key), { sent: at });
    accept(key, await ask(other, say(key)));
  });
  await each(offsets(whole.bytes), nodes, async (at, port, other) => {
    const key = `r${String(at).padStart(4, '0')}`;
    await ask(port, say(key), { received: at });
    accept(key, await ask(other, say(key)));
  });

  const record = new Record('bob');
  let after = bob.cursor;
  while (record.heard.length < accepted.size) {
    const { messages, cursor } = await bob.ok('messages', { after, wait: 5 });
    for (const message of messages) record.take(message);
    after = cursor as string;
  }
  expect(await bob.ok('messages', { after })).toMatchObject({ messages: [] });
  expect(faults(record, accepted)).toEqual([]);
  noteFault({
    fault: 'a say cut at every byte of request and answer, repeated with its key on the other node',
    expected: 'said once',
    accepted: accepted.size,
    missing: 0,
    doubled: 0,
  });
});
