/**
 * WebSocket by Bun (`Bun.serve`), which is uWebSockets inside; its own `WebSocket` connects. With our close frame, a connection
 * is gone for Bun: that is when `Listener.close` takes it for gone, and not when the peer has answered.
 */
import { isSecure } from './address.ts';
import { availableOn } from './available.ts';
import { lookLater } from './corked.ts';
import { addressError, assertUsable } from './errors.ts';
import { HeldMemory, IDLE_SECONDS, MessageConnection, type MessageSocket, messageBytesMax } from './messages.ts';
import { Serving } from './serving.ts';
import { Renewal } from './tls.ts';
import type {
  Address,
  Connection,
  ConnectionHandler,
  Listener,
  ServerHandler,
  TlsSecrets,
  Transport,
} from './transport.ts';
import { refuseUpgrade, upgradeRequired } from './upgrade.ts';
import { connectWebSocket, type StandardWebSocket, type WebSocketAddress, webSocketAddress } from './websocket.ts';

type Socket = Bun.ServerWebSocket<{ connection?: MessageConnection }>;

/** Runs on Bun. */
export function createBunWsTransport(): Transport {
  return new BunWsTransport();
}

class BunWsTransport implements Transport {
  readonly name = 'bun-ws';
  readonly addressKinds = ['ws', 'wss'] as const;

  availability() {
    return availableOn('bun');
  }

  async listen(address: Address, handler: ServerHandler, tls: TlsSecrets = {}): Promise<Listener> {
    assertUsable(this, 'listen on', address);
    const serving = new Serving(handler);
    const held = new HeldMemory();
    const asked = webSocketAddress(address);
    const maxPayloadLength = messageBytesMax(handler);
    const asksForCertificate = tls.ca !== undefined;
    const server = new Renewal(
      {
        listen(secrets, port) {
          const secured = { ...secrets, requestCert: asksForCertificate, rejectUnauthorized: asksForCertificate };
          const options = { serving, held, maxPayloadLength, ...(isSecure(asked) ? { tls: secured } : {}) };
          return serve({ ...asked, port }, options);
        },
        portOf: ({ port }) => port ?? asked.port,
        stop: (listening) => void listening.stop(),
      },
      tls,
      asked.port,
    );
    const listener = serving.listener({ ...asked, port: server.port }, server.stop);
    return isSecure(asked) ? { ...listener, renewTls: server.renew } : listener;
  }

  async connect(
    address: Address,
    open: (connection: Connection) => ConnectionHandler,
    signal?: AbortSignal,
    tls: TlsSecrets = {},
  ): Promise<Connection> {
    assertUsable(this, 'connect to', address);
    const options = isSecure(address) ? { tls: { ...tls, rejectUnauthorized: true } } : {};
    return connectWebSocket((url) => new WebSocket(url, options) as StandardWebSocket, address, open, signal);
  }
}

interface ServeOptions {
  readonly serving: Serving;
  readonly held: HeldMemory;
  readonly maxPayloadLength: number;
  readonly tls?: Bun.TLSOptions;
}

function serve(address: WebSocketAddress, { serving, held, maxPayloadLength, ...secured }: ServeOptions) {
  try {
    return Bun.serve<{ connection?: MessageConnection }>({
      ...secured,
      hostname: address.host,
      port: address.port,
      fetch(request, server) {
        const refusal = refuseUpgrade(request);
        if (refusal !== undefined) return refusal;
        return server.upgrade(request, { data: {} }) ? undefined : upgradeRequired();
      },
      websocket: {
        maxPayloadLength,
        // No limit: what it would drop above one is a reply. The session stops at a limit of its own.
        backpressureLimit: 0,
        idleTimeout: IDLE_SECONDS,
        sendPings: true,
        perMessageDeflate: false,
        open(socket) {
          socket.binaryType = 'uint8array';
          const connection = new MessageConnection(new BunSocket(socket), serving, held);
          socket.data.connection = connection;
          connection.handler = serving.opened(connection);
        },
        message(socket, message) {
          const connection = connectionOf(socket);
          if (typeof message === 'string') connection.receivedText();
          else connection.received(message);
          lookLater(connection);
        },
        drain: (socket) => lookLater(connectionOf(socket)),
        close: (socket, code, reason) => connectionOf(socket).closed(code, reason),
      },
    });
  } catch (error) {
    throw addressError('listen on', address, error);
  }
}

/** It is there from `open` on, before which nothing else happens. */
function connectionOf({ data }: Socket): MessageConnection {
  return data.connection!;
}

class BunSocket implements MessageSocket {
  readonly #socket: Socket;

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  send(bytes: Uint8Array): void {
    this.#socket.sendBinary(bytes as Uint8Array<ArrayBuffer>);
  }

  get bufferedBytes(): number {
    return this.#socket.getBufferedAmount();
  }

  cork(sends: () => void): void {
    this.#socket.cork(sends);
  }

  close(code: number, reason: string): void {
    this.#socket.close(code, reason);
  }

  terminate(): void {
    this.#socket.terminate();
  }
}
