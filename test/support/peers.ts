/** Sockets as a transcript has them: lines or frames that are sent, and those that come. */
import net from 'node:net';
import { WebSocket } from 'ws';
import { Inbox } from './inbox';

/** The other end of a transcript: what is sent, what has come. */
export interface Peer {
  readonly inbox: Inbox<string>;
  /** With which words or code it was closed. */
  readonly ended: Promise<string>;
  send(line: string): void;
  close(): void;
}

export async function tcpPeer(port: number): Promise<Peer> {
  const inbox = new Inbox<string>('line');
  const socket = net.connect(port, '127.0.0.1');
  let rest = '';
  socket.setEncoding('utf8').on('data', (text) => {
    const lines = (rest + String(text)).split('\r\n');
    rest = lines.pop() ?? '';
    for (const line of lines) inbox.put(line);
  });
  const ended = new Promise<string>((resolve) => {
    socket.on('error', () => undefined).on('close', () => resolve('end'));
  });
  await new Promise<void>((resolve) => socket.once('connect', resolve));
  return { inbox, ended, send: (line) => void socket.write(`${line}\n`), close: () => socket.destroy() };
}

export async function webSocketPeer(url: string): Promise<Peer> {
  const inbox = new Inbox<string>('frame');
  const socket = new WebSocket(url);
  socket.on('message', (data: Buffer) => inbox.put(data.toString()));
  const ended = new Promise<string>((resolve) => {
    socket.on('error', () => undefined).on('close', (code) => resolve(String(code)));
  });
  await new Promise((resolve, reject) => socket.once('open', resolve).once('error', reject));
  return { inbox, ended, send: (line) => socket.send(line), close: () => socket.terminate() };
}
