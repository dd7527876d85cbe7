/** What actions and chat middleware are made of. */
import type { z } from 'zod';
import type { Api } from './api';
import * as action from './core/action';

/** An action as this server runs it: with its inputs checked, for the client that asks, and with the API at hand. */
export const defineAction: <I extends z.ZodObject>(definition: action.ActionDefinition<I, Api>) => action.Action<Api> =
  action.defineAction;

export type { Action, ActionContext, ActionDefinition } from './core/action';
export type { Api } from './api';
export type { Client, Details, RoomView, SayParams } from './core/client';
export type { ChatConnection, ConnectionType } from './core/connection';
export type { ChatMiddleware, Payload, PayloadAnswer } from './core/middleware';
export { Reading } from './core/reading';
export type { ReadOptions, StreamFormat } from './core/reading';
export { ChatError, errorCatalogue } from './protocol/errors';
export type { ErrorCode } from './protocol/errors';
export type { Gap, GapReason, Message } from './protocol/message';
