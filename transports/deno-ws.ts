/**
 * WebSocket by Deno (`Deno.serve`, `Deno.upgradeWebSocket`); its own `WebSocket` connects. Deno has no way to cut a WebSocket:
 * one whose peer lives and does not read keeps its descriptor, though for us it is over.
 */
import { availableOn } from './available.ts';
import { addressError, assertUsable } from './errors.ts';
import { HeldMemory, IDLE_SECONDS } from './messages.ts';
import { Serving } from './serving.ts';
import type { Address, Connection, ConnectionHandler, Listener, ServerHandler, Transport } from './transport.ts';
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
  readonly addressKinds = ['ws'] as const;

  availability() {
    return availableOn('deno');
  }

  async listen(address: Address, handler: ServerHandler): Promise<Listener> {
    assertUsable(this, 'listen on', address);
    const asked = webSocketAddress(address);
    const serving = new Serving(handler);
    const held = new HeldMemory();
    const stop = new AbortController();
    let isClosing = false;
    const server = serve(asked, stop.signal, (request) =>
      isClosing ? new Response(null, { status: 503 }) : (refuseUpgrade(request) ?? upgrade(request, serving, held)),
    );
    const listener = serving.listener({ ...asked, port: server.addr.port }, () => {
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

  async connect(
    address: Address,
    open: (connection: Connection) => ConnectionHandler,
    signal?: AbortSignal,
  ): Promise<Connection> {
    assertUsable(this, 'connect to', address);
    return connectWebSocket((url) => new WebSocket(url) as StandardWebSocket, address, open, signal);
  }
}

function serve(address: WebSocketAddress, signal: AbortSignal, respond: (request: Request) => Response) {
  const { host: hostname, port } = address;
  try {
    return Deno.serve({ hostname, port, signal, onListen() {} }, respond);
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
