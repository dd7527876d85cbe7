/** The sockets as AsyncAPI 3.0: WebSocket, with what a TCP line carries as well. */
import { z } from 'zod';
import { version } from '../../src/version';
import { errorList, schemaOf, type Json } from './json-schema';
import { events, gap, message, presence, response, socketError, welcome } from './shapes';

/** What the server sends, each by what tells it from the others. */
const sent = {
  welcome: ['The first frame: who this connection is', schemaOf(welcome)],
  message: ['Something was said', schemaOf(message)],
  presence: ['Somebody came or went', schemaOf(presence)],
  gap: ['What cannot be given any more', schemaOf(gap.extend({ context: z.literal('gap') }))],
  error: ['A request was refused', schemaOf(socketError)],
  bye: ['The answer to quit', schemaOf(z.object({ status: z.literal('Bye!'), context: z.literal('api') }))],
  actionAnswer: [
    'What an action answers: its own keys',
    schemaOf(response.pick({ context: true, messageCount: true, messageId: true })),
  ],
} as const;

export function asyncapi(): Json {
  const messageId = z.unknown().optional().describe('comes back with the answer');
  const requests = Object.entries(events).map(([event, { takes }]) => {
    const payload = schemaOf(z.object({ event: z.literal(event), ...takes.shape, messageId }));
    return [`${event}Request`, { name: event, title: event, payload }] as const;
  });
  const answers = Object.entries(events).map(([event, { data }]) => {
    const payload = schemaOf(response.extend({ data }));
    return [`${event}Answer`, { name: `${event} answer`, title: `The answer to ${event}`, payload }] as const;
  });
  const params = z.looseObject({ action: z.string() }).describe("the action's parameters, with its name");
  const others = [
    ['actionRequest', schemaOf(z.object({ event: z.literal('action'), params, messageId }))],
    ['quitRequest', schemaOf(z.object({ event: z.enum(['quit', 'exit']) }))],
  ] as const;
  const messages = Object.fromEntries([
    ...requests,
    ...others.map(([name, payload]) => [name, { name, title: name, payload }] as const),
    ...answers,
    ...Object.entries(sent).map(([name, [title, payload]]) => [name, { name, title, payload }] as const),
  ]) as Record<string, Json>;

  const names = Object.keys(messages);
  const asked = names.filter((name) => name.endsWith('Request'));
  const inChannel = (channel: string, list: readonly string[]): Json[] =>
    list.map((name) => ({ $ref: `#/channels/${channel}/messages/${name}` }));
  const channel = (title: string, description: string, address: string | null, servers: readonly string[]): Json => ({
    address,
    title,
    description,
    servers: servers.map((name) => ({ $ref: `#/servers/${name}` })),
    messages: Object.fromEntries(names.map((name) => [name, { $ref: `#/components/messages/${name}` }])),
  });
  const operations = (at: string): Json => ({
    [`${at}Ask`]: {
      action: 'receive',
      title: 'What a client may ask for',
      channel: { $ref: `#/channels/${at}` },
      messages: inChannel(at, asked),
    },
    [`${at}Tell`]: {
      action: 'send',
      title: 'What a client is told',
      channel: { $ref: `#/channels/${at}` },
      messages: inChannel(
        at,
        names.filter((name) => !name.endsWith('Request')),
      ),
    },
  });
  return {
    asyncapi: '3.0.0',
    info: {
      title: 'earshot',
      version: version(),
      description: `Chat over WebSocket and TCP. docs/protocol.md explains it.\n\n${errorList()}`,
      license: { name: 'MIT' },
    },
    defaultContentType: 'application/json',
    servers: {
      web: { host: 'localhost:8080', protocol: 'ws' },
      socket: { host: 'localhost:5000', protocol: 'tcp', description: 'One JSON object a line' },
    },
    channels: {
      chat: channel('WebSocket', 'One JSON object a frame', '/chat/', ['web']),
      lines: channel('TCP', 'Requests may also be words: docs/protocol.md', null, ['socket']),
    },
    operations: { ...operations('chat'), ...operations('lines') },
    components: { messages },
  };
}
