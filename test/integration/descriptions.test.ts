/** The OpenAPI and AsyncAPI descriptions: written anew they would be the same, they are valid, and the server keeps to them. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { z } from 'zod';
import { chat } from '../../actions/chat';
import { descriptions } from '../../scripts/describe';
import * as shapes from '../../scripts/describe/shapes';
import { adminRoutes } from '../../src/admin/routes';
import { verbs } from '../../src/transports/verbs';
import { WsClient } from '../support/clients';
import { root } from '../support/documents';
import { eventually } from '../support/eventually';
import { HttpClient } from '../support/http-client';
import { startServer, type ServerUnderTest } from '../support/server';

test.each(Object.entries(descriptions))('docs/%s is what the code says (npm run describe)', (file, describe) => {
  const written = JSON.parse(readFileSync(path.join(root, 'docs', file), 'utf8')) as unknown;
  expect(written).toEqual(JSON.parse(JSON.stringify(describe())));
});

test('they are valid, and every reference leads somewhere', () => {
  execFileSync(process.execPath, [path.join(root, 'scripts/check-descriptions.mjs')], { stdio: 'pipe' });
});

test('they name every method, parameter, event and route that there is', () => {
  const inputs = chat.inputs.shape as Readonly<Record<string, z.ZodType>>;
  const known = inputs['method']?.description?.split(/, | or /) ?? [];
  expect(Object.keys(shapes.methods).sort()).toEqual([...known].sort());
  const taken = Object.values(shapes.methods).flatMap(({ takes }) => takes.map((one) => one.replace('!', '')));
  expect([...new Set([...taken, 'method'])].sort()).toEqual(Object.keys(inputs).sort());
  const kept = ['paramAdd', 'paramDelete', 'paramView', 'paramsView', 'paramsDelete'];
  expect(Object.keys(shapes.events).sort()).toEqual([...verbs.keys(), ...kept, 'resume'].sort());
  expect(Object.keys(shapes.adminAnswers)).toEqual([...adminRoutes.keys()]);
});

/** Nothing that the description leaves out. */
const exactly = (schema: z.ZodObject, answer: unknown): void => {
  schema.strict().parse(answer);
};

describe('the server answers as they say', () => {
  let server: ServerUnderTest;
  beforeEach(async () => {
    server = await startServer({ config: { chat: { history: 3, maxLogLength: 3 }, admin: { port: 0 } } });
  });

  test('over HTTP', async () => {
    const { methods } = shapes;
    const [ann, bob] = [new HttpClient(server.url), new HttpClient(server.url)];
    exactly(methods.connect.answer, (await new HttpClient(server.url).post('connect')).body);
    const { cursor } = await ann.ok('messages', { presence: true });
    for (let count = 0; count < 5; count += 1) exactly(methods.say.answer, await bob.ok('say', { message: count }));
    const heard = await ann.ok('messages', { presence: true });
    exactly(methods.messages.answer, heard);
    const late = await ann.ok('messages', { after: cursor });
    for (const one of late.messages) exactly(shapes.message, one);
    for (const method of ['roomAdd', 'listenToRoom', 'silenceRoom', 'roomLeave'] as const) {
      const room = method === 'roomAdd' || method === 'roomLeave' ? 'one' : 'two';
      exactly(methods[method].answer, await ann.ok(method, { room }));
    }
    const view = await ann.ok('roomView', { limit: 1 });
    exactly(methods.roomView.answer, view);
    exactly(shapes.roomStatus, view.roomStatus);
    exactly(methods.history.answer, await ann.ok('history', { room: 'defaultRoom' }));
    exactly(shapes.details, (await ann.ok('detailsView')).details);
    exactly(methods.roomChange.answer, await ann.ok('roomChange', { room: 'three' }));
    exactly(shapes.error, (await ann.get('say', { room: 'nowhere', message: 'x' })).body);
  });

  test('over a WebSocket', async () => {
    const { events } = shapes;
    const ann = await WsClient.connect(server.url);
    exactly(shapes.welcome, ann.greeting);
    const asked: Record<keyof typeof events, Record<string, unknown>> = {
      say: { message: { any: 'thing' } },
      roomAdd: { room: 'one' },
      roomView: { limit: 1 },
      listenToRoom: { room: 'two' },
      silenceRoom: { room: 'two' },
      history: { room: 'defaultRoom' },
      documentation: {},
      paramAdd: { key: 'a', value: 'b' },
      paramView: { key: 'a' },
      paramsView: {},
      paramDelete: { key: 'a' },
      paramsDelete: {},
      detailsView: {},
      roomLeave: { room: 'one' },
      roomChange: { room: 'three' },
      resume: { session: ann.session },
    };
    for (const [event, params] of Object.entries(asked)) {
      const { takes, data } = events[event as keyof typeof events];
      exactly(takes, params);
      const answer = await ann.ask(event, params);
      exactly(shapes.response, answer);
      if (data instanceof z.ZodObject) exactly(data, answer.data);
      else (data as z.ZodType).parse(answer.data);
    }
    exactly(shapes.socketError, await ann.ask('roomLeave', { room: 'one' }));
  });

  test('on the admin port', async () => {
    const ann = new HttpClient(server.url);
    const id = await ann.id();
    const admin = new HttpClient(server.admin!.url.replace(/\/$/, ''));
    await eventually(async () => (await admin.request('GET', '/api/status')).body.nodes.length > 0);
    const asked: Record<keyof typeof shapes.adminAnswers, Record<string, string>> = {
      '/api/status': {},
      '/api/config': {},
      '/api/rooms': { limit: '1' },
      '/api/members': { room: 'defaultRoom' },
      '/api/client': { id },
      '/api/publish': { room: 'defaultRoom', message: 'hello' },
      '/api/remove': { room: 'defaultRoom', id },
    };
    for (const [at, params] of Object.entries(asked)) {
      const method = adminRoutes.get(at)?.method ?? '';
      const query = new URLSearchParams(params).toString();
      const { body } =
        method === 'POST' ? await admin.request('POST', at, params) : await admin.request('GET', `${at}?${query}`);
      exactly(shapes.adminAnswers[at as keyof typeof asked], body);
    }
  });
});
