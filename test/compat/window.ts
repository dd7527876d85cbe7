/** As much of a browser's window as ActionHero's clients touch, over real sockets. */
import vm from 'node:vm';
import { WebSocket } from 'ws';
import type { Emitter } from './ear';

/** The client as a page has it. */
export interface BrowserClient extends Emitter {
  readonly id: string;
  readonly fingerprint: string;
  readonly rooms: readonly string[];
  readonly state: string;
  /** The Primus underneath, once connect() was called. */
  readonly client?: Emitter & { id(use: (id: string) => void): void; end(): void };
  connect(callback: (error: Error | null, details: unknown) => void): void;
  disconnect(): void;
}

export type BrowserClientClass = new (options: Readonly<Record<string, unknown>>) => BrowserClient;

/** Runs a page's script in a window of its own and gives what it left there under that name. */
export function runInWindow(script: string, name: string, origin: string): BrowserClientClass {
  const window: Record<string, unknown> = { location: { origin } };
  const globals = { window, WebSocket, XMLHttpRequest, setTimeout, clearTimeout, setInterval, clearInterval, console };
  vm.runInContext(script, vm.createContext(globals));
  return window[name] as BrowserClientClass;
}

class XMLHttpRequest {
  readyState = 0;
  status = 0;
  statusText = '';
  responseText = '';
  onreadystatechange = (): void => {};
  readonly #headers = new Headers();
  #method = '';
  #url = '';

  open(method: string, url: string): void {
    this.#method = method;
    this.#url = url;
  }

  setRequestHeader(name: string, value: string): void {
    this.#headers.set(name, value);
  }

  send(body: string): void {
    // As in browsers: a GET has no body, whatever the page hands over.
    const init = { method: this.#method, headers: this.#headers, ...(this.#method !== 'GET' && { body }) };
    void this.#fetch(init);
  }

  async #fetch(init: RequestInit): Promise<void> {
    try {
      const response = await fetch(this.#url, init);
      this.responseText = await response.text();
      this.status = response.status;
      this.statusText = response.statusText;
    } catch (error) {
      this.statusText = String(error);
    }
    this.readyState = 4;
    this.onreadystatechange();
  }
}
