/** How to come into this room from a terminal: lines to copy, for this server as this browser reaches it. */
import { byId, element } from './element.js';

/** @param {{ tcp: { port: number, tls: boolean, local: boolean } | null }} doors */
export function waysInto(room, doors, { host, hostname, origin, protocol }) {
  const chat = `${origin}/chat/?method=`;
  const quoted = encodeURIComponent(room);
  const webSocket = `${protocol === 'https:' ? 'wss' : 'ws'}://${host}/chat/`;
  const ways = [
    [
      'curl',
      [
        `curl -c jar -b jar "${chat}roomChange&room=${quoted}"`,
        `curl -c jar -b jar "${chat}say&message=hello+from+curl"`,
        `curl -N -c jar -b jar "${chat}messages&stream=ndjson"`,
      ],
    ],
    [
      'wscat',
      [
        `npx wscat -c ${webSocket}`,
        JSON.stringify({ event: 'roomChange', room }),
        JSON.stringify({ event: 'say', message: 'hello from wscat' }),
      ],
    ],
  ];
  // A port of the server's own machine is no way in from another one.
  if (doors.tcp && (!doors.tcp.local || isLocal(hostname))) {
    const connect = doors.tcp.tls
      ? `openssl s_client -quiet -connect ${hostname}:${doors.tcp.port}`
      : // An IPv6 address has brackets in a URL only.
        `nc ${hostname.replace(/^\[|\]$/g, '')} ${doors.tcp.port}`;
    ways.splice(1, 0, [doors.tcp.tls ? 'openssl' : 'nc', [connect, `roomChange ${room}`, 'say hello from nc']]);
  }
  return ways;
}

const isLocal = (hostname) => /^(localhost|127\.[\d.]+|\[::1\])$/.test(hostname);

export function showWays(ways) {
  byId('ways').replaceChildren(
    ...ways.flatMap(([name, lines]) => [
      element('dt', {}, name),
      element('dd', {}, ...lines.map((line) => copyable(line))),
    ]),
  );
}

function copyable(line) {
  const button = element('button', { type: 'button', className: 'line', title: 'Copy' }, element('code', {}, line));
  button.addEventListener('click', async () => {
    try {
      await navigator.clipboard.writeText(line);
      byId('copied').textContent = `Copied: ${line}`;
      button.classList.add('copied');
      setTimeout(() => button.classList.remove('copied'), 1200);
    } catch {
      // No permission, or no TLS: the line is selected, and the keyboard copies it.
      getSelection().selectAllChildren(button);
    }
  });
  return button;
}
