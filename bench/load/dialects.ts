/** How each server is spoken to over a WebSocket. */
import { READY, type Dialect } from './websocket';

export const earshot: Dialect = {
  path: () => '/chat/',
  answer: (text, room) => {
    const frame = JSON.parse(text) as Record<string, unknown>;
    if (frame['welcome'] !== undefined) return JSON.stringify({ event: 'roomAdd', room, messageId: 'join' });
    if (frame['error'] !== undefined) throw new Error(text);
    return frame['messageId'] === 'join' ? READY : undefined;
  },
  say: (room, message) => JSON.stringify({ event: 'say', room, message, messageId: 1 }),
};

/** Every message is for hearers with an attribute, which all have: nobody may be given the shared bytes. */
export const earshotMatched: Dialect = {
  ...earshot,
  say: (room, message) =>
    JSON.stringify({ event: 'say', room, message, messageId: 1, roomMatchKey: 'team', roomMatchValue: 'red' }),
};

/** Primus, as ActionHero's clients speak it. */
export const actionHero: Dialect = {
  path: () => '/primus',
  answer: (text, room) => {
    if (text.startsWith('"primus::ping::')) return text.replace('ping', 'pong');
    const frame = JSON.parse(text) as Record<string, unknown>;
    if (frame['context'] === 'api') return JSON.stringify({ event: 'roomAdd', room, messageId: 'join' });
    if (typeof frame['error'] === 'string') throw new Error(text);
    return frame['messageId'] === 'join' ? READY : undefined;
  },
  // ActionHero says who it is when asked for it only; asking for the details does.
  first: [JSON.stringify({ event: 'detailsView', messageId: 'hello' })],
  say: (room, message) => JSON.stringify({ event: 'say', room, message, messageId: 1 }),
};

/** Engine.IO 4 and Socket.IO 5, without the upgrade from polling. */
export const socketIo: Dialect = {
  path: () => '/socket.io/?EIO=4&transport=websocket',
  answer: (text, room) => {
    if (text === '2') return '3';
    if (text.startsWith('0')) return '40';
    if (text.startsWith('40')) return `421${JSON.stringify(['join', room])}`;
    return text.startsWith('431') ? READY : undefined;
  },
  say: (room, text) => `42${JSON.stringify(['say', room, text])}`,
};

/** The server of `peers/ws.cjs`. */
export const bare: Dialect = {
  path: (room) => `/${room}`,
  answer: (text) => (text === '{"joined":true}' ? READY : undefined),
  say: (room, text) => JSON.stringify({ say: room, text }),
};

/** The channel is in the path; what is sent is what is heard. */
export const nchan: Dialect = {
  path: (room) => `/ws/${room}`,
  answer: () => undefined,
  readyAtOnce: true,
  say: (_room, text) => text,
};
export const nchanPublisher: Dialect = { ...nchan, path: (room) => `/pub/${room}` };
