/** Actions: what clients can ask for by name, over every transport, with their inputs checked before they run. */
import { z } from 'zod';
import { ChatError } from '../protocol/errors';
import type { Client } from './client';
import type { ChatConnection, ConnectionType } from './connection';

export interface ActionContext<I extends z.ZodObject, Api> {
  readonly params: z.output<I>;
  readonly client: Client;
  /** ActionHero's connection; what is assigned to it lasts with the client. */
  readonly connection: ChatConnection;
  readonly api: Api;
  /** Over HTTP the request's method; undefined on other transports. */
  readonly httpMethod: string | undefined;
}

export interface ActionDefinition<I extends z.ZodObject, Api> {
  readonly name: string;
  readonly description: string;
  /** Of the answer and of `documentation`; 1 by default. */
  readonly version?: number;
  /** What it takes. Unknown parameters are dropped. Over GET and TCP every value is text: use `z.coerce` or `text.*`. */
  readonly inputs: I;
  /** All by default. */
  readonly transports?: readonly ConnectionType[];
  /**
   * Running it changes nothing for anybody, as HTTP means it of a method: false by default, and over HTTP a browser that
   * may have been sent by another site's page is then refused.
   */
  readonly safe?: boolean;
  /** An example of the answer, for `documentation`. */
  readonly outputExample?: object;
  readonly run: (context: ActionContext<I, Api>) => unknown;
}

/** An action whose inputs are nobody's business but its own. */
export interface Action<Api = unknown> extends Omit<ActionDefinition<z.ZodObject, Api>, 'run'> {
  /**
   * What the action returns, be it a promise.
   * @throws ChatError invalid_parameter, and whatever the action throws
   */
  readonly perform: (
    params: Readonly<Record<string, unknown>>,
    context: Omit<ActionContext<z.ZodObject, Api>, 'params' | 'connection'>,
  ) => unknown;
}

/** What an action is given; the connection is made for those that look at it. */
class Call<I extends z.ZodObject, Api> implements ActionContext<I, Api> {
  constructor(
    readonly params: z.output<I>,
    readonly client: Client,
    readonly api: Api,
    readonly httpMethod: string | undefined,
  ) {}

  get connection(): ChatConnection {
    return this.client.connection;
  }
}

export function defineAction<I extends z.ZodObject, Api>(definition: ActionDefinition<I, Api>): Action<Api> {
  const { run, ...rest } = definition;
  return {
    ...rest,
    perform: (params, { client, api, httpMethod }) =>
      run(new Call(parseInputs(definition.inputs, params), client, api, httpMethod)),
  };
}

function parseInputs<I extends z.ZodObject>(inputs: I, given: Readonly<Record<string, unknown>>): z.output<I> {
  const params = withoutNulls(inputs, given);
  const result = inputs.safeParse(params);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  const name = issue?.path.join('.') ?? '';
  if (params[name] === undefined)
    throw new ChatError('invalid_parameter', `${name} is a required parameter for this action`);
  throw new ChatError('invalid_parameter', `${name}: ${issue?.message ?? 'invalid'}`);
}

/** Null is no value of an input, but the lack of one, unless the input says that it may be null. */
function withoutNulls(
  { shape }: z.ZodObject,
  params: Readonly<Record<string, unknown>>,
): Readonly<Record<string, unknown>> {
  const lacking = Object.keys(params).filter((name) => {
    return params[name] === null && Object.hasOwn(shape, name) && !z.safeParse(shape[name] as z.ZodType, null).success;
  });
  return lacking.length === 0 ? params : { ...params, ...Object.fromEntries(lacking.map((name) => [name, undefined])) };
}

/** The actions that a server serves, by name. */
export class Actions<Api = unknown> {
  readonly #all = new Map<string, Action<Api>>();

  constructor(actions: readonly Action<Api>[]) {
    for (const action of actions) {
      if (this.#all.has(action.name)) throw new Error(`an action named ${action.name} is served already`);
      this.#all.set(action.name, action);
    }
  }

  /** @throws ChatError unknown_action, also when the action is not for this transport */
  find(name: unknown, type: ConnectionType): Action<Api> {
    const action = typeof name === 'string' ? this.#all.get(name) : undefined;
    if (!action || (action.transports && !action.transports.includes(type))) throw new ChatError('unknown_action');
    return action;
  }

  /** ActionHero's shape: name, version, what it is and takes. */
  documentation(): Record<string, Record<string, object>> {
    const all: Record<string, Record<string, object>> = {};
    for (const { name, description, version = 1, inputs, outputExample = {} } of this.#all.values()) {
      all[name] = { [version]: { name, version, description, inputs: describe(inputs), outputExample } };
    }
    return all;
  }
}

/** Of each action once: making a schema takes a thousand times what sending it does, and anybody may ask. */
const known = new WeakMap<z.ZodObject, Record<string, object>>();

function describe(inputs: z.ZodObject): Record<string, object> {
  const described = known.get(inputs) ?? made(inputs);
  known.set(inputs, described);
  return described;
}

function made(inputs: z.ZodObject): Record<string, object> {
  const schema = z.toJSONSchema(inputs, { io: 'input', unrepresentable: 'any' });
  const required = new Set(schema.required);
  const described: Record<string, object> = {};
  for (const [name, property] of Object.entries(schema.properties ?? {})) {
    described[name] = { required: required.has(name), ...(typeof property === 'object' ? property : {}) };
  }
  return described;
}
