/** The HTTP interfaces as OpenAPI 3.1: the chat, and the admin port. */
import { z } from 'zod';
import { chat } from '../../actions/chat';
import { adminRoutes } from '../../src/admin/routes';
import { version } from '../../src/version';
import { errorList, schemaOf, type Json } from './json-schema';
import { adminAnswers, error, gap, message, methods, presence } from './shapes';

const license = { name: 'MIT', identifier: 'MIT' };
const ref = (name: string): Json => ({ $ref: `#/components/schemas/${name}` });
const json = (schema: Json): Json => ({ 'application/json': { schema } });
const described = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);

/** Which status has which codes is told in the description. */
const errors = {
  '4XX': { $ref: '#/components/responses/Refused' },
  '5XX': { $ref: '#/components/responses/Failed' },
};
const retryAfter = { 'Retry-After': { description: 'seconds; with 429 and 503', schema: { type: 'integer' } } };
const responses = {
  Refused: { description: 'Refused; `code` tells why', headers: retryAfter, content: json(ref('Error')) },
  Failed: { description: 'Not done, or not known whether it was', headers: retryAfter, content: json(ref('Error')) },
};

export function openapi(): Json {
  const { properties = {} } = schemaOf(chat.inputs) as { properties?: Record<string, Json> };
  const shapes = chat.inputs.shape as Readonly<Record<string, z.ZodType>>;
  const names = Object.keys(methods) as (keyof typeof methods)[];
  const usedBy = (parameter: string): string =>
    names.filter((name) => methods[name].takes.some((one) => one.replace('!', '') === parameter)).join(', ');

  const parameters = Object.keys(shapes).map((name) => {
    const { description: about = '', ...schema } = properties[name] ?? {};
    if (name === 'method') {
      const table = names.map((one) => `- \`${one}\`: ${methods[one].about}`).join('\n');
      return { name, in: 'query', required: true, description: table, schema: { type: 'string', enum: names } };
    }
    // What is any JSON value in a body is text in a query; a record of ids fits in a body alone.
    const asText = name === 'message' || name === 'after' ? { type: 'string' } : schema;
    return { name, in: 'query', description: `${described(String(about))}. For ${usedBy(name)}.`, schema: asText };
  });
  const bodies = names.map((name) => {
    const taken = methods[name].takes.map((one) => one.replace('!', ''));
    const required = methods[name].takes.filter((one) => one.endsWith('!')).map((one) => one.replace('!', ''));
    return [
      `${name}Request`,
      {
        type: 'object',
        title: name,
        description: methods[name].about,
        properties: { method: { const: name }, ...Object.fromEntries(taken.map((one) => [one, properties[one]])) },
        required: ['method', ...required],
      },
    ] as const;
  });
  const answers = names.map((name) => [`${name}Answer`, schemaOf(methods[name].answer)] as const);
  const answered = {
    200: {
      description: 'What the method answers; with `stream`, messages for ever',
      headers: { 'Set-Cookie': { description: '`sessionID` for a new client', schema: { type: 'string' } } },
      content: {
        ...json({ anyOf: answers.map(([name]) => ref(name)) }),
        'text/event-stream': { schema: { type: 'string', description: 'events `say`, `gap` and `presence`' } },
        'application/x-ndjson': {
          schema: { type: 'string', description: 'one message or gap a line, each with its cursor' },
        },
      },
    },
    ...errors,
  };
  const plain = (description: string, schema: Json, more: Json = {}): Json => ({
    get: {
      operationId: description.split(' ')[0],
      summary: description.replace(/^\w+ /, ''),
      responses: { 200: { description: 'So it is', content: json(schema) }, ...more },
      security: [],
    },
  });

  return {
    openapi: '3.1.0',
    info: {
      title: 'earshot',
      version: version(),
      summary: 'Say it once; everyone in earshot hears it',
      description: `Chat over plain HTTP, waiting polls and streams. docs/protocol.md explains it.\n\n${errorList()}`,
      license,
    },
    servers: [{ url: 'http://localhost:8080' }],
    security: [{}, { cookie: [] }, { bearer: [] }],
    paths: {
      '/chat/': {
        get: {
          operationId: 'chatByQuery',
          summary: 'A method of the chat, by its query',
          parameters: [
            ...parameters,
            {
              name: 'Last-Event-ID',
              in: 'header',
              description: 'Of an event stream: its cursor',
              schema: { type: 'string' },
            },
          ],
          responses: answered,
        },
        post: {
          operationId: 'chatByBody',
          summary: 'A method of the chat, by its body',
          requestBody: {
            required: true,
            content: {
              ...json({ oneOf: bodies.map(([name]) => ref(name)) }),
              'application/x-www-form-urlencoded': { schema: { oneOf: bodies.map(([name]) => ref(name)) } },
            },
          },
          responses: answered,
        },
      },
      '/api/status': plain('status How this node is', { type: 'object' }),
      '/api/documentation': plain('documentation The actions, and what they take', { type: 'object' }),
      '/livez': plain('live Whether the process runs', schemaOf(z.object({ live: z.literal(true) }))),
      '/readyz': plain('ready Whether it is for clients to use', ref('Health'), {
        503: { description: 'It is not', content: json(ref('Health')) },
      }),
    },
    components: {
      securitySchemes: {
        cookie: { type: 'apiKey', in: 'cookie', name: 'sessionID' },
        bearer: { type: 'http', scheme: 'bearer', description: 'the `session` that `connect` or a welcome gave' },
      },
      responses,
      schemas: {
        ...Object.fromEntries(bodies),
        ...Object.fromEntries(answers),
        Message: schemaOf(message),
        Gap: schemaOf(gap),
        Presence: schemaOf(presence),
        Health: schemaOf(z.object({ ready: z.boolean(), reason: z.string() })),
        Error: schemaOf(error),
      },
    },
  };
}

export function adminOpenapi(): Json {
  const paths = [...adminRoutes].map(([path, { method, right, description, inputs }]) => {
    const { properties = {}, required = [] } = schemaOf(inputs) as {
      properties?: Record<string, Json>;
      required?: readonly string[];
    };
    const given =
      method === 'POST'
        ? { requestBody: { required: true, content: json(schemaOf(inputs)) } }
        : {
            parameters: Object.entries(properties).map(([name, { description: about, ...schema }]) => ({
              ...{ name, in: 'query', required: required.includes(name), description: about, schema },
            })),
          };
    const answer = adminAnswers[path as keyof typeof adminAnswers];
    return [
      path,
      {
        [method.toLowerCase()]: {
          operationId: path.replace('/api/', ''),
          summary: description,
          ...given,
          ...(right === 'publish' ? { security: [{ admin: [] }, { publisher: [] }] } : {}),
          responses: { 200: { description: 'Done', content: json(schemaOf(answer)) }, ...errors },
        },
      },
    ] as const;
  });
  return {
    openapi: '3.1.0',
    info: {
      title: 'earshot: admin port',
      version: version(),
      description: `For operators, Prometheus and other services. docs/operating.md explains it.\n\n${errorList()}`,
      license,
    },
    servers: [{ url: 'http://localhost:9100' }],
    security: [{ admin: [] }],
    paths: {
      '/metrics': {
        get: {
          operationId: 'metrics',
          summary: 'The numbers of this node, for Prometheus',
          responses: {
            200: { description: 'Metrics', content: { 'text/plain': { schema: { type: 'string' } } } },
            ...errors,
          },
        },
      },
      ...Object.fromEntries(paths),
    },
    components: {
      securitySchemes: {
        admin: {
          type: 'http',
          scheme: 'bearer',
          description: '`admin.token`; on loopback none is needed where none is set',
        },
        publisher: { type: 'http', scheme: 'bearer', description: '`admin.publishToken`' },
      },
      responses,
      schemas: { Error: schemaOf(error) },
    },
  };
}
