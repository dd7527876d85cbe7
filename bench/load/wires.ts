/** Every kind of client that the generator can be, by name. */
import * as dialects from './dialects';
import { absentWire, eventStreamWire, pollWire } from './earshot-http';
import { nchanEventsWire, nchanPollWire } from './nchan-http';
import { socketIoPollWire } from './socket-io-polling';
import { tcpWire } from './tcp';
import { webSocketWire } from './websocket';
import type { Wire } from './wire';

/** Made anew for each run: clients of one run share what they read alike. */
export const wires = {
  earshot: () => webSocketWire(dialects.earshot),
  'earshot-matched': () => webSocketWire(dialects.earshotMatched),
  'earshot-tcp': tcpWire,
  'earshot-sse': eventStreamWire,
  'earshot-poll': pollWire,
  'earshot-absent': absentWire,
  actionhero: () => webSocketWire(dialects.actionHero),
  socketio: () => webSocketWire(dialects.socketIo),
  'socketio-poll': socketIoPollWire,
  bare: () => webSocketWire(dialects.bare),
  nchan: () => webSocketWire(dialects.nchan),
  'nchan-publisher': () => webSocketWire(dialects.nchanPublisher),
  'nchan-sse': nchanEventsWire,
  'nchan-poll': nchanPollWire,
} as const satisfies Record<string, () => Wire>;

export type WireName = keyof typeof wires;
