/**
 * earshot as a library: the map of what there is.
 *
 * `createServer` is a whole chat server, `createChat` one to mount in an Express application; `actions` and
 * `middleware` are what the `earshot` command serves, to be extended: `createServer({ actions: [...actions, mine] })`.
 */
export * from './kit';
export { actions } from '../actions';
export { middleware } from '../middleware';
export { createChat } from './mounted-chat';
export type { ChatServerOptions, MountedChat, MountedHandler } from './mounted-chat';
export { createServer } from './server';
export type { ChatServer } from './server';
export { Api } from './api';
export type { MemberDetails, RoomStatus, SocketRoomStatus, SpeakingConnection } from './api';
export { ConfigError, createConfig, loadConfig, maskConfig, printConfig, settings } from './config';
export type { Config, SettingsInput } from './config';
export { createLogger } from './logger';
export type { Logger } from './core/logger';
export type { Store } from './core/store';
export { MemoryStore } from './store/memory-store';
export { RedisStore } from './store/redis/redis-store';
