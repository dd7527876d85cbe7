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
  /**
   * With these parameters, not checked yet, it does nothing but `client.say` in a room that they name: then over HTTP a
   * client that was here lately is not read from the store, unless the room does not know it. To look at anything of such
   * a client but its id is an error.
   */
  readonly onlySays?: (params: Readonly<Record<string, unknown>>) => boolean;
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
  const inputs = new Inputs(definition.inputs);
  return {
    ...rest,
    perform: (params, { client, api, httpMethod }) => run(new Call(inputs.parse(params), client, api, httpMethod)),
  };
}

interface Input {
  readonly name: string;
  readonly schema: z.ZodType;
  /** Nothing is made of it when it is not given. */
  readonly optional: boolean;
}

/**
 * What an action takes, one by one: of the chat action's sixteen inputs most are left out, and asking zod for an object
 * costs something for each of them. Where a schema says something of the object as a whole, zod is asked for that.
 */
class Inputs<I extends z.ZodObject> {
  readonly #each: readonly Input[];
  readonly #wholly: boolean;
  #given: Readonly<Record<string, unknown>> | undefined;
  #params: z.output<I> | undefined;

  constructor(readonly schema: I) {
    const { checks = [], catchall } = schema._zod.def;
    this.#wholly = checks.length > 0 || catchall !== undefined;
    this.#each = Object.entries(schema.shape as Record<string, z.ZodType>).map(([name, input]) => ({
      name,
      schema: input,
      optional: input instanceof z.ZodOptional && input.def.innerType._zod.optin !== 'optional',
    }));
  }

  /** @throws ChatError invalid_parameter */
  parse(given: Readonly<Record<string, unknown>>): z.output<I> {
    // Frozen, it is what was asked the last time.
    if (given === this.#given && this.#params) return { ...this.#params };
    const params = this.#wholly ? this.#parseWhole(given) : this.#parseEach(given);
    if (!Object.isFrozen(given)) return params;
    this.#given = given;
    this.#params = params;
    return { ...params };
  }

  #parseEach(given: Readonly<Record<string, unknown>>): z.output<I> {
    const params: Record<string, unknown> = {};
    for (const { name, schema, optional } of this.#each) {
      const value = valueOf(given, name, schema);
      if (value === undefined && optional) continue;
      const result = schema.safeParse(value);
      if (!result.success) throw refused(result.error, given, [name]);
      if (result.data !== undefined) params[name] = result.data;
    }
    return params as z.output<I>;
  }

  #parseWhole(given: Readonly<Record<string, unknown>>): z.output<I> {
    const params = { ...given };
    for (const { name, schema } of this.#each) if (name in params) params[name] = valueOf(given, name, schema);
    const result = this.schema.safeParse(params);
    if (!result.success) throw refused(result.error, given, []);
    return result.data;
  }
}

/** Null is no value of an input, but the lack of one, unless the input says that it may be null. */
function valueOf(given: Readonly<Record<string, unknown>>, name: string, schema: z.ZodType): unknown {
  const value = given[name];
  return value === null && !schema.safeParse(null).success ? undefined : value;
}

/** @param path of what was parsed, in what was given */
function refused(
  { issues: [issue] }: z.ZodError,
  given: Readonly<Record<string, unknown>>,
  path: readonly string[],
): ChatError {
  const name = [...path, ...(issue?.path ?? [])].join('.');
  if (name === '') return new ChatError('invalid_parameter', issue?.message);
  if ((given[name] ?? undefined) === undefined) {
    return new ChatError('invalid_parameter', `${name} is a required parameter for this action`);
  }
  return new ChatError('invalid_parameter', `${name}: ${issue?.message ?? 'invalid'}`);
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
