/** What a client can be told, and what it needs of the world. */
import type { Connection, ConnectionHandler } from '../connection.ts';
import { ArgumentError, type RingkvError } from './errors.ts';

export const DEFAULT_TIMEOUT_MS = 5000;
export const DEFAULT_CONNECT_TIMEOUT_MS = 5000;
export const DEFAULT_PENDING_BYTES_MAX = 256 * 1024 * 1024;

/** The longest delay that every runtime's timers take, some 24 days. Unit: milliseconds. */
export const ALARM_DELAY_MAX_MS = 2 ** 31 - 1;

/** The clock and the alarms of the runtime. */
export interface Timers {
  /** A clock that never goes back. Unit: milliseconds. */
  now(): number;
  /**
   * Calls `callback` once, `delayMs` milliseconds from now, unless what it returns is called before; never if the delay is above
   * `ALARM_DELAY_MAX_MS`.
   */
  start(delayMs: number, callback: () => void): () => void;
}

/** Opens a connection: the connect of a transport, its address given. Aborting gives up the attempt. */
export type Connect = (open: (connection: Connection) => ConnectionHandler, signal: AbortSignal) => Promise<Connection>;

/** `reconnecting` is also said of a client that is being closed and still has something to ask. */
export type ClientState = 'connected' | 'reconnecting' | 'closed';

export interface ClientSettings {
  /**
   * How long an operation may take, waiting for a connection included; `Infinity` for as long as it takes. Unit:
   * milliseconds. Default: `DEFAULT_TIMEOUT_MS`.
   */
  readonly timeoutMs?: number | undefined;
  /**
   * How long an attempt to connect may take, the server's hello included. Unit: milliseconds. Default:
   * `DEFAULT_CONNECT_TIMEOUT_MS`.
   */
  readonly connectTimeoutMs?: number | undefined;
  /**
   * Most that may be issued to one shard and not answered, waiting for a connection or sent; each operation counts with its encoded
   * bytes and 128 more. One that would pass it is refused with `QueueFullError`: it is for the caller to slow down.
   * Unit: bytes. Default: `DEFAULT_PENDING_BYTES_MAX`.
   */
  readonly pendingBytesMax?: number | undefined;
  /** Sent to the server on every connection. Default: none. */
  readonly token?: string | undefined;
  /** What the server may call this client. Default: none. */
  readonly name?: string | undefined;
  /** Told when the state changes, and why. Default: nobody is. */
  readonly onState?: ((state: ClientState, cause?: RingkvError) => void) | undefined;
}

export interface ClientOptions extends ClientSettings {
  /** To the server. */
  readonly connect: Connect;
  /**
   * To a shard of the server, at its address as HELLO tells it; `connect` itself when that leads to the same place. Asked
   * for only when there are several.
   */
  readonly connectShard: (url: string) => Connect;
  readonly timers: Timers;
}

/** Returns the setting. Throws `ArgumentError` when it is not above 0. */
export function checkPositive(name: string, value: number): number {
  if (!(value > 0)) throw new ArgumentError(`${name} must be a number above 0, not ${value}`);
  return value;
}
