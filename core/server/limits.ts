/** What a connection may cost the server, and what became of those that cost more. */

export interface ConnectionLimits {
  /** Most connections at a time; one more is told `BUSY` and closed. */
  readonly connectionsMax: number;
  /** Most memory for requests that have not come to their end, of all connections. Beyond it `MEMORY`. Unit: bytes. */
  readonly partialBytesMax: number;
  /** A peer that leaves more replies than this unread is cut. Unit: bytes. */
  readonly outputBytesMax: number;
  /** A peer that leaves more than this unread for `outputMs` is cut as well. Unit: bytes. */
  readonly outputSoftBytes: number;
  readonly outputMs: number;
  /**
   * A connection on which nothing comes for so long is told `IDLE` and closed; so is, without being told, one that is not read
   * from, since it leaves replies unread, and takes none of them. 0: never. Unit: milliseconds.
   */
  readonly idleMs: number;
  /** How long a frame may take from its first byte to its last; then `FRAME`. Unit: milliseconds. */
  readonly frameMs: number;
  /** How long a peer may take to authenticate, where tokens are asked for; then `AUTH`. Unit: milliseconds. */
  readonly authMs: number;
  /** Most bytes of requests that come before; then `AUTH`. Unit: bytes. */
  readonly authBytesMax: number;
}

const MiB = 1024 * 1024;

export const DEFAULT_CONNECTION_LIMITS: ConnectionLimits = {
  connectionsMax: 20_000,
  partialBytesMax: 256 * MiB,
  // A single reply may have 64 MiB of values.
  outputBytesMax: 128 * MiB,
  outputSoftBytes: 256 * 1024,
  outputMs: 60_000,
  // A client that has nothing to ask is no fault, and this project's does not send anything to stay connected.
  idleMs: 0,
  frameMs: 60_000,
  authMs: 5000,
  // HELLO with a token of any length takes less, and what so many bytes of nonsense are answered fits in 1 MiB.
  authBytesMax: 8 * 1024,
};

/** Wrong tokens that one connection may try before it is closed with `AUTH`. */
export const AUTH_ATTEMPTS_MAX = 5;

/** A peer that was refused and does not close its side within this is cut. Unit: milliseconds. */
export const REFUSED_GRACE_MS = 5000;

/** Connections beyond `connectionsMax` that are told why they are closed; the next ones are cut without a word. */
export const BUSY_TOLD_MAX = 256;

/** How often each limit was passed. */
export interface LimitCounters {
  refusedConnections: number;
  refusedFrames: number;
  refusedPartial: number;
  refusedTokens: number;
  refusedUnauthenticated: number;
  cutSlowReaders: number;
  cutSlowFrames: number;
  cutIdle: number;
}

export function newLimitCounters(): LimitCounters {
  return {
    refusedConnections: 0,
    refusedFrames: 0,
    refusedPartial: 0,
    refusedTokens: 0,
    refusedUnauthenticated: 0,
    cutSlowReaders: 0,
    cutSlowFrames: 0,
    cutIdle: 0,
  };
}

/**
 * Returns all limits of a server that was given some. Throws `RangeError` when one is no whole number above 0, or of `idleMs`
 * below it.
 */
export function checkConnectionLimits(given: Partial<ConnectionLimits> = {}): ConnectionLimits {
  for (const [name, value] of Object.entries(given)) {
    const least = name === 'idleMs' ? 0 : 1;
    if (!Number.isInteger(value) || value < least) {
      throw new RangeError(`${name} is ${value}; it must be an integer of at least ${least}`);
    }
  }
  return { ...DEFAULT_CONNECTION_LIMITS, ...given };
}
