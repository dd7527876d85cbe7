/**
 * Takes the documents' pictures, of what really happens: a page, a curl and an nc in one room, and the operator's page.
 *
 *     npm run build && node scripts/pictures.mjs
 */
/* global document -- of the page that a function is evaluated in */
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { chromium } from 'playwright-core';

const root = path.resolve(import.meta.dirname, '..');
const images = path.join(root, 'docs/images');
const work = mkdtempSync(path.join(tmpdir(), 'earshot-pictures-'));
const children = [];

/** What it has printed so far, and what is typed into it. */
function start(command, args) {
  const child = spawn(command, args, { cwd: work, env: { PATH: process.env.PATH, EARSHOT_LOG_LEVEL: 'error' } });
  children.push(child);
  const terminal = { child, text: '' };
  child.stdout.setEncoding('utf8').on('data', (text) => (terminal.text += text));
  return terminal;
}

async function until(what, holds) {
  const end = Date.now() + 30_000;
  while (!(await holds())) {
    if (Date.now() > end) throw new Error(`not within 30 s: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

const shorter = (line) => line.replace(/"(cursor|session)":"[^"]+"/g, '"$1":"…"');

async function room(browser, url, tcpPort) {
  const context = await browser.newContext({ viewport: { width: 900, height: 640 }, deviceScaleFactor: 2 });
  const page = await context.newPage();
  await page.goto(url);
  await page.fill('#message', 'Is anybody in earshot?');
  await until('the page is connected', async () => /WebSocket/.test(await page.textContent('#link')));

  const nc = start('nc', ['127.0.0.1', String(tcpPort)]);
  await until('nc is welcomed', () => nc.text.includes('\n'));
  const listening = start('curl', ['-sN', `${url}chat/?method=messages&stream=ndjson`]);
  await until('all three are there', async () => /3/.test(await page.textContent('#count')));
  await page.click('#say button');
  await until('nc and curl hear it', () => [nc, listening].every(({ text }) => text.includes('Is anybody')));
  nc.child.stdin.write('say I am, on a plain socket\n');
  await until('the page hears nc', async () => /plain socket/.test(await page.textContent('#conversation')));
  const say = ['-s', `${url}chat/?method=say&message=me+too,+says+curl`];
  const saying = start('curl', say);
  await until('everybody hears curl', async () => {
    const heard = await page.textContent('#conversation');
    return [heard, nc.text, listening.text].every((text) => text.includes('says curl')) && saying.text !== '';
  });
  const picture = await page.screenshot();
  await context.close();

  const address = url.replace(/\/$/, '').replace('http://', '');
  const terminals = [
    {
      title: 'nc',
      text: `$ nc 127.0.0.1 ${tcpPort}\n${nc.text.replace('{"status"', 'say I am, on a plain socket\n{"status"')}`,
    },
    { title: 'curl, listening', text: `$ curl -N '${address}/chat/?method=messages&stream=ndjson'\n${listening.text}` },
    { title: 'curl', text: `$ curl '${address}/chat/?method=say&message=me+too,+says+curl'\n${saying.text}` },
  ];
  const told = (text) =>
    text.replaceAll(address, 'localhost:8080').replaceAll(String(tcpPort), '5000').replace('127.0.0.1', 'localhost');
  const sheet = await (
    await browser.newContext({ viewport: { width: 1480, height: 660 }, deviceScaleFactor: 1.5 })
  ).newPage();
  await sheet.setContent(`<style>
    body { margin: 10px; display: grid; grid-template-columns: 900px 1fr; gap: 10px; background: #fff }
    img { width: 900px; height: 640px; border: 1px solid #ccd3dc; border-radius: 8px }
    section { display: grid; grid-template-rows: repeat(3, auto); gap: 10px; align-content: stretch }
    article { background: #171c24; color: #d6dde8; border-radius: 8px; padding: 8px 12px 10px; overflow: hidden }
    h2 { margin: 0 0 6px; font: 12px system-ui; color: #8d99aa }
    pre { margin: 0; font: 11.5px/1.45 ui-monospace, monospace; white-space: pre-wrap; overflow-wrap: anywhere }
  </style><img><section></section>`);
  await sheet.evaluate(
    ([image, shown]) => {
      document.querySelector('img').src = image;
      for (const { title, text } of shown) {
        const article = document.createElement('article');
        const [heading, lines] = [document.createElement('h2'), document.createElement('pre')];
        heading.textContent = title;
        lines.textContent = text;
        article.append(heading, lines);
        document.querySelector('section').append(article);
      }
    },
    [
      `data:image/png;base64,${picture.toString('base64')}`,
      terminals.map(({ title, text }) => ({ title, text: told(text.split('\n').map(shorter).join('\n').trim()) })),
    ],
  );
  await sheet.locator('img').evaluate((image) => image.decode());
  await sheet.screenshot({ path: path.join(images, 'room.png') });
}

async function operator(browser, url, admin) {
  const page = await (await browser.newContext({ viewport: { width: 1280, height: 760 } })).newPage();
  await page.goto(admin);
  const rooms = ['lobby', 'games/chess', 'games/go', 'support'];
  const sockets = await Promise.all(
    Array.from({ length: 12 }, async (_, index) => {
      const name = rooms[index % rooms.length];
      const listener = start('curl', ['-sN', '-c', `jar${index}`, `${url}chat/?method=messages&stream=ndjson`]);
      await until('a listener is there', () => listener.child.pid !== undefined);
      return name;
    }),
  );
  const end = Date.now() + 60_000;
  for (let count = 0; Date.now() < end; count += 1) {
    const name = sockets[count % sockets.length];
    const body = JSON.stringify({ room: count % 3 ? 'defaultRoom' : name, message: `message ${count}` });
    await fetch(`${admin}api/publish`, { method: 'POST', body, headers: { 'Content-Type': 'application/json' } });
    await new Promise((resolve) => setTimeout(resolve, 60 + 50 * Math.sin(count / 60)));
  }
  await page.screenshot({ path: path.join(images, 'operator.png') });
}

mkdirSync(images, { recursive: true });
const server = start(process.execPath, [
  path.join(root, 'dist/src/main.js'),
  '--port',
  '0',
  '--socket-port',
  '0',
  '--admin-port',
  '0',
]);
const browser = await chromium.launch({
  executablePath: process.env.TEST_CHROMIUM ?? '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-dev-shm-usage'],
});
try {
  await until('the server listens', () => server.text.includes("Operator's page: "));
  const [, url, tcpPort] = /listening on (\S+) \(tcp [\d.]+:(\d+)\)/.exec(server.text);
  const [, admin] = /Operator's page: (\S+)/.exec(server.text);
  await room(browser, url, tcpPort);
  await operator(browser, url, admin);
} finally {
  await browser.close();
  for (const child of children) child.kill();
  rmSync(work, { recursive: true, force: true });
}
