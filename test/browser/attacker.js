/** The page of another site: every way that a browser has of making requests for it, each trying to say something. */

/** Where a way speaks; its name is in the message and in the address, so that both ends can tell who it was. */
const urlOf = (target, way, method = 'say') => `${target}/chat/?method=${method}&message=${way}&way=${way}`;

const ignore = () => undefined;

function put(tag, attributes, parent = document.body) {
  const element = Object.assign(document.createElement(tag), { onerror: ignore });
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  parent.append(element);
  return element;
}

function form(action, attributes, fields) {
  const name = `frame-${Math.random()}`;
  put('iframe', { name });
  const made = put('form', { action, target: name, ...attributes });
  for (const [field, value] of Object.entries(fields)) put('input', { type: 'hidden', name: field, value }, made);
  made.submit();
}

/** Each gets the address to ask. */
const ways = {
  'fetch-cors': (url) => fetch(url, { credentials: 'include' }),
  'fetch-no-cors': (url) => fetch(url, { mode: 'no-cors', credentials: 'include' }),
  'fetch-no-referrer': (url) => fetch(url, { mode: 'no-cors', credentials: 'include', referrerPolicy: 'no-referrer' }),
  'fetch-html': (url) => fetch(url, { mode: 'no-cors', headers: { Accept: 'text/html' } }),
  'fetch-keepalive': (url) => fetch(url, { mode: 'no-cors', keepalive: true, credentials: 'include' }),
  'fetch-post-text': (url) =>
    fetch(url, { method: 'POST', mode: 'no-cors', credentials: 'include', body: '{"method":"say","message":"x"}' }),
  'fetch-post-form': (url) =>
    fetch(url, { method: 'POST', mode: 'no-cors', credentials: 'include', body: new URLSearchParams({ echo: '1' }) }),
  'fetch-post-no-referrer': (url) =>
    fetch(url, { method: 'POST', mode: 'no-cors', credentials: 'include', referrerPolicy: 'no-referrer', body: 'a=b' }),
  'fetch-post-multipart': (url) => {
    const body = new FormData();
    body.set('a', 'b');
    return fetch(url, { method: 'POST', mode: 'no-cors', credentials: 'include', body });
  },
  'fetch-post-json': (url) =>
    fetch(url, {
      method: 'POST',
      credentials: 'include',
      headers: { 'Content-Type': 'application/json' },
      body: '{"a":"b"}',
    }),
  'fetch-x-chat': (url) => fetch(url, { credentials: 'include', headers: { 'X-Chat': '1' } }),
  'fetch-bearer': (url) => fetch(url, { headers: { Authorization: 'Bearer x' } }),
  xhr: (url) => {
    const request = new XMLHttpRequest();
    request.withCredentials = true;
    request.open('GET', url);
    request.send();
  },
  'xhr-post': (url) => {
    const request = new XMLHttpRequest();
    request.withCredentials = true;
    request.open('POST', url);
    request.send('a=b');
  },
  beacon: (url) => navigator.sendBeacon(url, 'a=b'),
  'beacon-form': (url) => navigator.sendBeacon(url, new URLSearchParams({ a: 'b' })),
  'beacon-empty': (url) => navigator.sendBeacon(url),
  img: (url) => put('img', { src: url }),
  'img-no-referrer': (url) => put('img', { src: url, referrerpolicy: 'no-referrer' }),
  'img-credentials': (url) => put('img', { src: url, crossorigin: 'use-credentials' }),
  'img-srcset': (url) => put('img', { srcset: `${url} 1x` }),
  'svg-image': (url) => {
    const svg = document.body.appendChild(document.createElementNS('http://www.w3.org/2000/svg', 'svg'));
    svg.appendChild(document.createElementNS('http://www.w3.org/2000/svg', 'image')).setAttribute('href', url);
  },
  'input-image': (url) => put('input', { type: 'image', src: url }),
  script: (url) => put('script', { src: url }),
  'script-no-referrer': (url) => put('script', { src: url, referrerpolicy: 'no-referrer' }),
  'script-module': (url) => put('script', { src: url, type: 'module', crossorigin: 'use-credentials' }),
  import: (url) => import(url),
  stylesheet: (url) => put('link', { rel: 'stylesheet', href: url }),
  'css-background': (url) => {
    put('div', { style: `background: url("${url}"); width: 1px; height: 1px` });
  },
  'css-font': (url) => new FontFace('stolen', `url("${url}")`).load(),
  'css-import': (url) => {
    put('style', {}).textContent = `@import url("${url}");`;
  },
  icon: (url) => put('link', { rel: 'preload', as: 'image', href: url }),
  'preload-fetch': (url) => put('link', { rel: 'preload', as: 'fetch', href: url, crossorigin: 'use-credentials' }),
  'preload-script': (url) => put('link', { rel: 'preload', as: 'script', href: url }),
  prefetch: (url) => put('link', { rel: 'prefetch', href: url }),
  video: (url) => put('video', { src: url, preload: 'auto' }),
  audio: (url) => put('audio', { src: url, preload: 'auto' }),
  poster: (url) => put('video', { poster: url }),
  object: (url) => put('object', { data: url }),
  embed: (url) => put('embed', { src: url, type: 'text/html' }),
  iframe: (url) => put('iframe', { src: url }),
  'iframe-no-referrer': (url) => put('iframe', { src: url, referrerpolicy: 'no-referrer' }),
  'iframe-sandbox': (url) => put('iframe', { src: url, sandbox: 'allow-scripts allow-forms' }),
  'form-get': (url) => {
    const { origin, pathname, searchParams } = new URL(url);
    form(origin + pathname, { method: 'get' }, Object.fromEntries(searchParams));
  },
  'form-post': (url) => form(url, { method: 'post' }, { a: 'b' }),
  'form-multipart': (url) => form(url, { method: 'post', enctype: 'multipart/form-data' }, { a: 'b' }),
  'form-text': (url) =>
    form(url, { method: 'post', enctype: 'text/plain' }, { '{"method":"say","message":"x","a": "': '"}' }),
  'form-no-referrer': (url) => form(url, { method: 'post', rel: 'noreferrer' }, { a: 'b' }),
  'event-source': (url) => new EventSource(url.replace('method=say', 'method=messages'), { withCredentials: true }),
  'event-source-say': (url) => new EventSource(url),
  websocket: (url) => speaks(new WebSocket(url.replace(/^http/, 'ws'))),
  primus: (url) => speaks(new WebSocket(url.replace(/^http/, 'ws').replace('/chat/', '/primus'))),
  ping: (url) => {
    put('a', { href: '#', ping: url }).click();
  },
  worker: (url) => workerOf(`fetch(${JSON.stringify(url)}, { mode: 'no-cors', credentials: 'include' })`),
  'worker-import': (url) => workerOf(`importScripts(${JSON.stringify(url)})`),
  'data-frame': (url) => put('iframe', { src: `data:text/html,${encodeURIComponent(pageThatFetches(url))}` }),
  'sandbox-frame': (url) =>
    put('iframe', { sandbox: 'allow-scripts', src: `/page?${encodeURIComponent(pageThatFetches(url))}` }),
  'csp-report': (url) => put('iframe', { src: `/report?${encodeURIComponent(url)}` }),
};

function speaks(socket) {
  socket.onopen = () => socket.send('{"event":"say","message":"by a socket"}');
}

function workerOf(text) {
  return new Worker(URL.createObjectURL(new Blob([text], { type: 'text/javascript' })));
}

function pageThatFetches(url) {
  return `<script>fetch(${JSON.stringify(url)}, { method: 'POST', mode: 'no-cors', credentials: 'include', body: 'a=b' })</scr${'ipt'}>`;
}

/** All of them at once; their names. */
globalThis.attack = (target) => {
  for (const [way, run] of Object.entries(ways)) {
    Promise.resolve(urlOf(target, way)).then(run).catch(ignore);
  }
  return Object.keys(ways);
};

/** Away from this page, as a link or a script leads there; the browser then brings its Lax cookies. */
globalThis.leave = {
  link: (target) => put('a', { href: urlOf(target, 'link') }).click(),
  'link-no-referrer': (target) => put('a', { href: urlOf(target, 'link-no-referrer'), rel: 'noreferrer' }).click(),
  location: (target) => (location.href = urlOf(target, 'location')),
  refresh: (target) =>
    put('meta', { 'http-equiv': 'refresh', content: `0;url=${urlOf(target, 'refresh')}` }, document.head),
  'top-form': (target) => put('form', { action: urlOf(target, 'top-form'), method: 'post' }).submit(),
  'top-form-get': (target) => {
    const made = put('form', { action: `${target}/chat/`, method: 'get' });
    const fields = new URL(urlOf(target, 'top-form-get')).searchParams;
    for (const [name, value] of fields) put('input', { type: 'hidden', name, value }, made);
    made.submit();
  },
};

/** Has the browser fetch what its visitor is said to want next; as it asks, that might have been typed. */
globalThis.lookAhead = (target, kind) => {
  const rules = { source: 'list', urls: [urlOf(target, kind)], eagerness: 'immediate', referrer_policy: 'no-referrer' };
  const script = Object.assign(document.createElement('script'), { type: 'speculationrules' });
  script.textContent = JSON.stringify({ [kind]: [rules] });
  document.head.append(script);
};

/** At a port that does not speak HTTP: lines of a body, and whatever else is sent there, could be taken for its words. */
globalThis.attackLines = (port) => {
  const at = `http://127.0.0.1:${port}/`;
  const lines = 'x\r\nsay by a body\r\n{"event":"say","message":"by a body"}\r\n';
  form(at, { method: 'post', enctype: 'text/plain' }, { a: lines });
  form(`${at}%0d%0asay%20by%20a%20path%0d%0a`, { method: 'get' }, {});
  fetch(at, { method: 'POST', mode: 'no-cors', body: lines }).catch(ignore);
  navigator.sendBeacon(at, lines);
  put('img', { src: `${at}?\nsay by a path` });
  put('iframe', { src: at.replace('http:', 'https:') });
  new WebSocket(at.replace('http', 'ws')).onerror = ignore;
};
