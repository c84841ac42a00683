/**
 * uWebSockets.js on Node: WebSocket from C++, in the event loop of Node. It serves; the package `ws` connects, so that
 * clients need no binary. With our close frame, a connection is gone for uWebSockets.js: that is when `Listener.close` takes
 * it for gone, and not when the peer has answered.
 */
import { createRequire } from 'node:module';
import { createServer } from 'node:net';
import { arch, platform, versions } from 'node:process';
import { availableOn } from './available.ts';
import { lookLater } from './corked.ts';
import { addressError, assertUsable } from './errors.ts';
import { HeldMemory, IDLE_SECONDS, MessageConnection, type MessageSocket, messageBytesMax } from './messages.ts';
import { contextOf } from './node-tls.ts';
import { Serving } from './serving.ts';
import { listenBehindTls } from './tls-front.ts';
import type {
  Address,
  Availability,
  Connection,
  ConnectionHandler,
  Listener,
  ServerHandler,
  TlsSecrets,
  Transport,
} from './transport.ts';
import { isOriginAllowed, ORIGIN_REFUSED } from './upgrade.ts';
import { connectWebSocket, type StandardWebSocket, webSocketAddress } from './websocket.ts';

/** Serves on Node, when uWebSockets.js has a binary for it; connects on Node. */
export function createUwsTransport(): Transport {
  return new UwsTransport();
}

class UwsTransport implements Transport {
  readonly name = 'uws';
  readonly addressKinds = ['ws', 'wss'] as const;

  availability(): Availability {
    const onNode = availableOn('node');
    if (!onNode.available) return onNode;
    try {
      load();
      return { available: true };
    } catch (error) {
      return whyNotLoaded(error);
    }
  }

  async listen(address: Address, handler: ServerHandler, tls: TlsSecrets = {}): Promise<Listener> {
    assertUsable(this, 'listen on', address);
    const uws = load();
    const asked = webSocketAddress(address);
    const serving = new Serving(handler);
    const app = createApp(uws, serving, messageBytesMax(handler));
    const listener = (socket: ListenSocket, port: number) =>
      serving.listener({ ...asked, port }, () => uws.us_listen_socket_close(socket));
    if (asked.kind === 'wss') {
      // Its own TLS (20.51) lets in who shows no certificate, though one is asked for, and cuts a connection that has much on its
      // way in both directions.
      return listenBehindTls(asked, tls, handler.connectionsMax, async (path) => {
        const socket = await listening((done) => app.listen_unix(done, path));
        if (socket === false) throw new Error(`uWebSockets.js can't listen on ${path}`);
        return listener(socket, asked.port);
      });
    }
    const { host, port } = asked;
    const socket = await listening((done) => app.listen(host, port, uws.LIBUS_LISTEN_EXCLUSIVE_PORT, done));
    if (socket === false) throw addressError('listen on', address, await whyNotListening(host, port));
    return listener(socket, uws.us_socket_local_port(socket));
  }

  async connect(
    address: Address,
    open: (connection: Connection) => ConnectionHandler,
    signal?: AbortSignal,
    tls: TlsSecrets = {},
  ): Promise<Connection> {
    assertUsable(this, 'connect to', address, availableOn('node'));
    const { WebSocket } = await import('ws');
    // No limit of the reply's length: the client knows what it asked for.
    const options = { perMessageDeflate: false, maxPayload: 0, ...contextOf(tls) };
    return connectWebSocket((url) => new WebSocket(url, options) as StandardWebSocket, address, open, signal);
  }
}

/** An app that makes connections of those who ask for WebSocket, at any path. */
function createApp(uws: Uws, serving: Serving, maxPayloadLength: number): App {
  const held = new HeldMemory();
  const app = uws.App();
  app.ws('/*', {
    maxPayloadLength,
    // No limit: what it would drop above one is a reply. The session stops at a limit of its own.
    maxBackpressure: 0,
    idleTimeout: IDLE_SECONDS,
    sendPingsAutomatically: true,
    compression: uws.DISABLED,
    upgrade(response, request, context) {
      const header = (name: string) => request.getHeader(name);
      if (!isOriginAllowed(header('origin'), header('host'))) {
        response.writeStatus('403 Forbidden').end(ORIGIN_REFUSED, true);
        return;
      }
      response.upgrade(
        {},
        header('sec-websocket-key'),
        header('sec-websocket-protocol'),
        header('sec-websocket-extensions'),
        context,
      );
    },
    open(socket) {
      const connection = new MessageConnection(new UwsSocket(socket), serving, held);
      socket.getUserData().connection = connection;
      connection.handler = serving.opened(connection);
    },
    message(socket, message, isBinary) {
      const { connection } = socket.getUserData();
      if (isBinary) connection.received(new Uint8Array(message));
      else connection.receivedText();
      lookLater(connection);
    },
    drain(socket) {
      lookLater(socket.getUserData().connection);
    },
    close(socket, code, reason) {
      socket.getUserData().connection.closed(code, new TextDecoder().decode(reason));
    },
  });
  app.any('/*', (response) => {
    response.writeStatus('426 Upgrade Required').writeHeader('Upgrade', 'websocket').end('', true);
  });
  return app;
}

function listening(listen: (done: (socket: ListenSocket | false) => void) => void): Promise<ListenSocket | false> {
  return new Promise(listen);
}

class UwsSocket implements MessageSocket {
  readonly #socket: Socket;

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  send(bytes: Uint8Array): void {
    this.#socket.send(bytes, true);
  }

  get bufferedBytes(): number {
    return this.#socket.getBufferedAmount();
  }

  cork(sends: () => void): void {
    this.#socket.cork(sends);
  }

  close(code: number, reason: string): void {
    this.#socket.end(code, reason);
  }

  terminate(): void {
    this.#socket.close();
  }
}

/** What is used of uWebSockets.js. Its own types can't be: it may be missing where ours are read. */
interface Uws {
  App(): App;
  us_socket_local_port(socket: ListenSocket): number;
  us_listen_socket_close(socket: ListenSocket): void;
  readonly DISABLED: number;
  readonly LIBUS_LISTEN_EXCLUSIVE_PORT: number;
}

interface App {
  ws(pattern: string, behavior: Behavior): void;
  any(pattern: string, handler: (response: Response) => void): void;
  listen(host: string, port: number, options: number, done: (socket: ListenSocket | false) => void): void;
  listen_unix(done: (socket: ListenSocket | false) => void, path: string): void;
}

interface Behavior {
  readonly maxPayloadLength: number;
  readonly maxBackpressure: number;
  readonly idleTimeout: number;
  readonly sendPingsAutomatically: boolean;
  readonly compression: number;
  upgrade(response: Response, request: Request, context: UpgradeContext): void;
  open(socket: Socket): void;
  message(socket: Socket, message: ArrayBuffer, isBinary: boolean): void;
  drain(socket: Socket): void;
  close(socket: Socket, code: number, reason: ArrayBuffer): void;
}

interface Socket {
  getUserData(): { connection: MessageConnection };
  send(bytes: Uint8Array, isBinary: boolean): number;
  getBufferedAmount(): number;
  cork(sends: () => void): void;
  end(code: number, reason: string): void;
  close(): void;
}

interface Response {
  writeStatus(status: string): Response;
  writeHeader(name: string, value: string): Response;
  upgrade(userData: object, key: string, protocol: string, extensions: string, context: UpgradeContext): void;
  end(body: string, closesConnection: boolean): void;
}

interface Request {
  /** Empty when there is none. */
  getHeader(lowerCaseName: string): string;
}

/** Its own object, of which nothing is known. */
interface UpgradeContext {
  readonly [upgrading: symbol]: never;
}

/** Its own object, of which nothing is known. */
interface ListenSocket {
  readonly [listening: symbol]: never;
}

/** Throws when it is not installed, or not for this Node. Node keeps what was loaded, and looks again for what was not. */
function load(): Uws {
  return createRequire(import.meta.url)('uWebSockets.js') as Uws;
}

function whyNotLoaded(error: unknown): Availability {
  const message = error instanceof Error ? error.message : String(error);
  const [, missing] = /Cannot find module '([^']+)'/.exec(message) ?? [];
  const remedy = 'use --transport node, which is always there';
  if (missing === 'uWebSockets.js') {
    return {
      available: false,
      reason: 'needs uWebSockets.js, which is not installed',
      remedy: `install its optional dependencies, or ${remedy}`,
    };
  }
  if (missing?.startsWith('./uws_')) {
    return {
      available: false,
      reason:
        `needs a binary of uWebSockets.js for Node ${versions.node} (ABI ${versions.modules}) on ${platform} ${arch}, ` +
        'which the installed one has not',
      remedy: `start with Node 20 or 22, or ${remedy}`,
    };
  }
  const cause = message.trim().split('\n').at(-1)!;
  return { available: false, reason: `needs uWebSockets.js, which can't be loaded: ${cause}`, remedy };
}

/** uWebSockets.js does not tell why it can't listen, so Node is asked to do the same. */
function whyNotListening(host: string, port: number): Promise<unknown> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', resolve);
    server.listen({ host, port, exclusive: true }, () => {
      server.close();
      resolve(new Error('uWebSockets.js gives no reason, and Node can'));
    });
  });
}
