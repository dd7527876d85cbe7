/** What actions and chat middleware are made of. */
export { defineAction } from './core/action';
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
