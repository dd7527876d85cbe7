/**
 * The two generations of ActionHero's browser client, each with the Primus it was published with.
 *
 * ActionHero never published a third without Primus: 29.3.5, its latest, has the client of 25 byte for byte.
 * Up to version 8 it spoke Bayeux (Faye), which earshot does not.
 */
import { createServer } from 'node:http';
import { inspect } from 'node:util';
import PrimusNow from 'primus';
import PrimusThen from 'primus-6';
import { npmFile } from './npm-file';
import type { NpmFile } from './npm-file';

export interface Generation {
  readonly source: NpmFile;
  readonly global: string;
  readonly Primus: typeof PrimusNow;
  /** Joins its rooms again by itself when the link is back. */
  readonly rejoins: boolean;
  /** Primus 6 and older ping the server; later the server pings. */
  readonly pings: boolean;
}

/** 9 to 18: counts its frames, pings by itself, joins its rooms again when the link is back. */
export const counting: Generation = {
  source: {
    from: 'actionhero@15.3.0',
    file: 'client/actionheroClient.js',
    sha256: '5961019609a19951dcdcdda4a49aa272e4d22f6a8d129239f984cc7d8cbc6fa1',
  },
  global: 'ActionheroClient',
  Primus: PrimusThen,
  rejoins: true,
  pings: true,
};

/** 19 to 29: numbers its frames, waits for the server's pings, leaves it to the page to join again. */
export const numbering: Generation = {
  source: {
    from: 'actionhero@29.3.5',
    file: 'client/ActionheroWebsocketClient.js',
    sha256: '4d2826d7ff7d4ab1ec650e626b2ffd2d61ecf75371322e686ba0aa7a5cd696a6',
  },
  global: 'ActionheroWebsocketClient',
  Primus: PrimusNow,
  rejoins: false,
  pings: false,
};

/** The script that an ActionHero server of that generation writes into its public folder, put together as it does. */
export async function generatedScript({ source, global, Primus }: Generation): Promise<string> {
  const server = new Primus(createServer(), { transformer: 'websockets' });
  const library = server.library();
  server.destroy({ close: false });
  const defaults = inspect({ apiPath: '/api', cookieKey: 'sessionID', url: 'window.location.origin' });
  const client = (await npmFile(source))
    .replaceAll('%%URL%%', 'window.location.origin')
    .replace('%%DEFAULTS%%', `return ${defaults.replace("'window.location.origin'", 'window.location.origin')}`);
  return [
    library,
    '\r\n\r\n\r\n;;;\r\n(function(exports){ \r\n',
    client,
    `\r\nexports.${global} = ${global}; \r\n`,
    "})(typeof exports === 'undefined' ? window : exports);",
  ].join('');
}
