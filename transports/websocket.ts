/**
 * The standard's WebSocket, which browsers, Bun, Deno and the package `ws` offer alike: the client side of every WebSocket
 * transport, and the server side of Deno's. It has no event for what has left, so `drain` is found by looking.
 */
import { formatAddress } from './address.ts';
import { addressError, codeOf } from './errors.ts';
import { CloseCode, type HeldMemory, MessageConnection, type MessageSocket } from './messages.ts';
import type { Serving } from './serving.ts';
import type { Address, Connection, ConnectionHandler } from './transport.ts';

/**
 * When it is looked whether what was sent has left: so soon at first, then each time after twice the time, up to the most.
 * A message that comes makes it look too. Unit: milliseconds.
 */
const FIRST_LOOK_MS = 1;
const LOOK_MS_MAX = 64;

/** Of the codes that the standard has, a client may send `NORMAL` alone. Added to another, it makes a private one. */
const PRIVATE_CODES = 3000;

/** What is used of the standard's WebSocket. */
export interface StandardWebSocket {
  binaryType: string;
  readonly bufferedAmount: number;
  onopen: (() => void) | null;
  onmessage: ((event: { readonly data: unknown }) => void) | null;
  onerror: ((event: { readonly message?: string; readonly error?: unknown }) => void) | null;
  onclose: ((event: { readonly code: number; readonly reason: string }) => void) | null;
  send(bytes: Uint8Array): void;
  close(code?: number, reason?: string): void;
  /** Closes the connection without a word. Not part of the standard; the package `ws` and Bun have it. */
  terminate?(): void;
}

export type WebSocketAddress = Extract<Address, { kind: 'ws' | 'wss' }>;
export type SecureWebSocketAddress = Extract<Address, { kind: 'wss' }>;

/** The address as one of WebSocket, which it has been checked to be. */
export function webSocketAddress(address: Address): WebSocketAddress {
  if (address.kind !== 'ws' && address.kind !== 'wss')
    throw new TypeError(`WebSocket has no addresses of the kind ${address.kind}`);
  return address;
}

/** Connects; `create` begins a WebSocket to a URL. Everything else is as of `Transport.connect`. */
export function connectWebSocket(
  create: (url: string) => StandardWebSocket,
  address: Address,
  open: (connection: Connection) => ConnectionHandler,
  signal?: AbortSignal,
): Promise<Connection> {
  return new Promise((resolve, reject) => {
    signal?.throwIfAborted();
    const socket = begin(create, webSocketAddress(address));
    let failure: unknown;
    const aborted = (): void => {
      abandon(socket);
      reject(signal?.reason);
    };
    signal?.addEventListener('abort', aborted, { once: true });
    socket.onopen = () => {
      signal?.removeEventListener('abort', aborted);
      const connection = attachWebSocket(socket);
      connection.handler = open(connection);
      resolve(connection);
    };
    socket.onerror = ({ message, error }) => {
      failure = error ?? message;
    };
    // An attempt that fails is told as an error, which says why if anything does, and then as a close.
    socket.onclose = () => {
      signal?.removeEventListener('abort', aborted);
      reject(addressError('connect to', address, failureOf(failure)));
    };
  });
}

/** Some addresses are refused at once: a page of https may not connect at all, and a URL knows no zone of IPv6. */
function begin(create: (url: string) => StandardWebSocket, address: WebSocketAddress): StandardWebSocket {
  try {
    return create(formatAddress(address));
  } catch (error) {
    throw addressError('connect to', address, error);
  }
}

/**
 * The connection of an open WebSocket, of a server's if `serving` and `heldInAll` are given; its `handler` has to be set before
 * anything else happens.
 */
export function attachWebSocket(
  socket: StandardWebSocket,
  serving?: Serving,
  heldInAll?: HeldMemory,
): MessageConnection {
  const polled = new PolledSocket(socket, serving === undefined, () => connection.look());
  const connection = new MessageConnection(polled, serving, heldInAll);
  socket.binaryType = 'arraybuffer';
  socket.onmessage = ({ data }) => {
    polled.look();
    if (data instanceof ArrayBuffer) connection.received(new Uint8Array(data));
    else connection.receivedText();
  };
  // What went wrong is told by `onclose`, and by this before; without a listener some sockets throw it.
  let failure = '';
  socket.onerror = ({ message }) => {
    failure = message ?? '';
  };
  socket.onclose = ({ code, reason }) => {
    polled.forget();
    // Deno tells 0 of a connection that was lost.
    if (code === 0 || code === CloseCode.ABNORMAL) connection.closed(CloseCode.ABNORMAL, failure);
    else connection.closed(code, reason);
  };
  return connection;
}

class PolledSocket implements MessageSocket {
  readonly #socket: StandardWebSocket;
  readonly #isClient: boolean;
  readonly #drained: () => void;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(socket: StandardWebSocket, isClient: boolean, drained: () => void) {
    this.#socket = socket;
    this.#isClient = isClient;
    this.#drained = drained;
  }

  send(bytes: Uint8Array): void {
    this.#socket.send(bytes);
    if (this.#timer === undefined && this.#socket.bufferedAmount > 0) this.#watch(FIRST_LOOK_MS);
  }

  get bufferedBytes(): number {
    return this.#socket.bufferedAmount;
  }

  close(code: number, reason: string): void {
    this.#socket.close(this.#isClient && code !== CloseCode.NORMAL ? code + PRIVATE_CODES : code, reason);
  }

  terminate(): void {
    this.forget();
    abandon(this.#socket);
  }

  /** Tells if what was sent has left. */
  look(): void {
    if (this.#timer === undefined || this.#socket.bufferedAmount > 0) return;
    this.forget();
    this.#drained();
  }

  /** Stops looking. */
  forget(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #watch(delayMs: number): void {
    this.#timer = setTimeout(() => {
      if (this.#socket.bufferedAmount > 0) this.#watch(Math.min(delayMs * 2, LOOK_MS_MAX));
      else this.look();
    }, delayMs);
  }
}

/** Closes a WebSocket that nobody wants to hear of any more, whatever its state. */
function abandon(socket: StandardWebSocket): void {
  socket.onopen = null;
  socket.onmessage = null;
  socket.onclose = null;
  // The package `ws` throws what nobody listens for.
  socket.onerror = () => {};
  if (socket.terminate === undefined) socket.close();
  else socket.terminate();
}

/** What the socket told of a failed attempt: an error with a code, some text, or nothing at all, as in browsers. */
function failureOf(told: unknown): Error {
  if (told instanceof Error && codeOf(told) !== 'UNKNOWN') return told;
  const text = told instanceof Error ? told.message : told;
  const why = typeof text === 'string' && text !== '' ? `: ${text}` : '';
  return new Error(`no WebSocket server answers there${why}`, { cause: told });
}
