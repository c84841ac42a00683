/**
 * WebSocket by Deno (`Deno.serve`, `Deno.upgradeWebSocket`); its own `WebSocket` connects. Deno has no way to cut a WebSocket:
 * one whose peer lives and does not read keeps its descriptor, though for us it is over.
 */
import { isSecure } from './address.ts';
import { availableOn } from './available.ts';
import { addressError, assertUsable } from './errors.ts';
import { HeldMemory, IDLE_SECONDS } from './messages.ts';
import { Serving } from './serving.ts';
import { listenBehindTls } from './tls-front.ts';
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
import {
  attachWebSocket,
  connectWebSocket,
  type StandardWebSocket,
  type WebSocketAddress,
  webSocketAddress,
} from './websocket.ts';

/** Runs on Deno. */
export function createDenoWsTransport(): Transport {
  return new DenoWsTransport();
}

class DenoWsTransport implements Transport {
  readonly name = 'deno-ws';
  readonly addressKinds = ['ws', 'wss'] as const;

  availability() {
    return availableOn('deno');
  }

  async listen(address: Address, handler: ServerHandler, tls: TlsSecrets = {}): Promise<Listener> {
    assertUsable(this, 'listen on', address);
    const asked = webSocketAddress(address);
    if (asked.kind === 'ws') return listen(asked, handler);
    // `Deno.serve` can't ask for a client's certificate, would have to close its WebSockets for a new one of its own, and can't cut
    // a client that is silent in the handshake.
    return listenBehindTls(asked, tls, handler.connectionsMax, (path) => listen(asked, handler, path));
  }

  async connect(
    address: Address,
    open: (connection: Connection) => ConnectionHandler,
    signal?: AbortSignal,
    tls: TlsSecrets = {},
  ): Promise<Connection> {
    assertUsable(this, 'connect to', address);
    if (!isSecure(address)) {
      return connectWebSocket((url) => new WebSocket(url) as StandardWebSocket, address, open, signal);
    }
    // The WebSocket takes a client of HTTP, which knows whom to trust; the types of the standard do not know that.
    const Secure = WebSocket as unknown as new (url: string, options: { client: Deno.HttpClient }) => StandardWebSocket;
    using client = httpClient(tls);
    return await connectWebSocket((url) => new Secure(url, { client }), address, open, signal);
  }
}

/** Listens at the address, or at `path`, a unix socket, instead. */
function listen(address: WebSocketAddress, handler: ServerHandler, path?: string): Listener {
  const serving = new Serving(handler);
  const held = new HeldMemory();
  const stop = new AbortController();
  let isClosing = false;
  const server = serve(address, path, stop.signal, (request) =>
    isClosing ? new Response(null, { status: 503 }) : (refuseUpgrade(request) ?? upgrade(request, serving, held)),
  );
  const port = 'port' in server.addr ? server.addr.port : address.port;
  const listener = serving.listener({ ...address, port }, () => {
    isClosing = true;
  });
  // A server of Deno's that stops listening closes its WebSockets at once, so first those have to be gone that are owed
  // replies; who comes meanwhile is sent away.
  let closed: Promise<void> | undefined;
  const close = async (graceMs: number): Promise<void> => {
    await listener.close(graceMs);
    stop.abort();
    await server.finished;
  };
  return {
    ...listener,
    close: (graceMs) => {
      closed ??= close(graceMs);
      return closed;
    },
  };
}

function serve(
  address: WebSocketAddress,
  path: string | undefined,
  signal: AbortSignal,
  respond: (request: Request) => Response,
): Deno.HttpServer {
  const where = path === undefined ? { hostname: address.host, port: address.port } : { path };
  try {
    return Deno.serve({ ...where, signal, onListen() {} }, respond);
  } catch (error) {
    throw addressError('listen on', address, error);
  }
}

/** Makes a WebSocket of a request that asks for one; it becomes a connection of the server. */
function upgrade(request: Request, serving: Serving, held: HeldMemory): Response {
  const upgraded = tryUpgrade(request);
  if (upgraded === undefined) return upgradeRequired();
  const { socket, response } = upgraded;
  socket.onopen = () => {
    const connection = attachWebSocket(socket as StandardWebSocket, serving, held);
    connection.handler = serving.opened(connection);
  };
  return response;
}

/** Undefined when a header is missing, or is not as the standard wants it; Deno throws then. */
function tryUpgrade(request: Request): Deno.WebSocketUpgrade | undefined {
  try {
    return Deno.upgradeWebSocket(request, { idleTimeout: IDLE_SECONDS });
  } catch {
    return undefined;
  }
}

// TLS

/** It trusts these authorities beside what Deno does. */
function httpClient({ cert, key, ca }: TlsSecrets): Deno.HttpClient {
  return Deno.createHttpClient({ ...(ca && { caCerts: [ca] }), ...(cert && key && { cert, key }) });
}
