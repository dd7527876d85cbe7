/** What the tests use of packages that came without types. */
declare module 'actionhero-client-4' {
  import type { EventEmitter } from 'node:events';
  import type { Socket } from 'node:net';

  class ActionheroClient extends EventEmitter {
    id: string;
    connected: boolean | null;
    connection: Socket;
    reconnect(): void;
    connect(params: Readonly<Record<string, unknown>>, next: (error: Error | null) => void): void;
    disconnect(next?: () => void): void;
  }
  export = ActionheroClient;
}

declare module 'actionhero-client-6' {
  import type { EventEmitter } from 'node:events';
  import type { Socket } from 'node:net';

  class ActionheroNodeClient extends EventEmitter {
    id: string;
    connected: boolean | null;
    connection: Socket;
    reconnect(): Promise<void>;
    connect(params: Readonly<Record<string, unknown>>): Promise<unknown>;
    disconnect(): Promise<void>;
  }
  export = ActionheroNodeClient;
}

declare module 'primus-6' {
  import type { Server } from 'node:http';

  class Primus {
    constructor(server: Server, options: Readonly<Record<string, unknown>>);
    library(): string;
    destroy(options: { readonly close: boolean }): void;
  }
  export = Primus;
}

declare module 'primus' {
  import type { Server } from 'node:http';

  class Primus {
    constructor(server: Server, options: Readonly<Record<string, unknown>>);
    library(): string;
    destroy(options: { readonly close: boolean }): void;
  }
  export = Primus;
}
