/**
 * What the core needs of a connection, whoever carries it: bytes out, bytes in, and who may speak when. Transports
 * implement `Connection` and call a `ConnectionHandler`; sessions and clients do the reverse.
 */

/**
 * What a connection carries.
 * - `stream`: bytes, which `data` delivers cut anywhere
 * - `message`: messages; each call of `data` delivers a whole one, each call of `send` sends one
 */
export type Framing = 'stream' | 'message';

/**
 * Keeps bytes that were given to `send` as they are, for transports that have the kernel read them where they lie. As
 * long as anybody retains it, the bytes stay in their place unchanged.
 */
export interface Lease {
  /** The memory that the bytes lie in, from its start; to be taken anew each time: it may have grown, and a view become empty. */
  readonly memory: Uint8Array;
  /** One more reader. MUST be called before the `send` that brought the lease returns. */
  retain(): void;
  /** The reader needs the bytes no more. MUST be called once for each `retain`. */
  release(): void;
}

/** How often a server is told that time goes by: seldom enough for an idle one to cost nothing. Unit: milliseconds. */
export const TICK_MS = 500;

/** One end of an open connection, as the transport offers it to the core. */
export interface Connection {
  readonly framing: Framing;
  /**
   * Sends bytes after all those sent before. The bytes are borrowed until `send` returns: the transport copies what the
   * kernel did not take at once, unless it retains the lease, if there is one. MUST NOT be called after `end` or
   * `destroy`; MUST NOT call back into the handler before it returns.
   */
  send(bytes: Uint8Array, lease?: Lease): void;
  /**
   * Calls `sends` before it returns; what `sends` sends leaves in as few writes as the transport can make. Default: the
   * transport has nothing to gain from knowing.
   */
  cork?(sends: () => void): void;
  /**
   * Bytes given to `send` that the kernel has not taken yet; a transport that hands over all sends of a turn together
   * need not count those of the turn under way. Unit: bytes.
   */
  readonly pendingBytes: number;
  /** Stop calling `data`. At most one call that was already under way may still come. Twice is fine. */
  pauseReading(): void;
  /** Undo `pauseReading`. MUST NOT call `data` before it returns. Twice is fine. */
  resumeReading(): void;
  /**
   * Half-close after the pending bytes were sent: the peer sees the end of the stream. Where a connection can only be
   * closed as a whole, as a WebSocket, that is what follows. Twice is fine.
   */
  end(): void;
  /** Close both directions now and drop what is pending. `close` follows. Twice is fine. */
  destroy(): void;
}

/** What the core does with a connection's events. The transport calls these, never two at a time. */
export interface ConnectionHandler {
  /** Bytes arrived. They are borrowed until `data` returns. Never after `end` or `close`. */
  data(bytes: Uint8Array): void;
  /** `pendingBytes` fell to zero after it had been above. */
  drain(): void;
  /** The peer half-closed: no more `data`. What is sent after this still reaches it. At most once. */
  end(): void;
  /**
   * The connection is gone in both directions, with the error that caused it if there was one. Exactly once, the last
   * call of all. When both sides have ended, the transport closes by itself.
   */
  close(error?: Error): void;
}

/**
 * Memory of the handler's, in which a transport may have the kernel put what arrives: views on it that `data` is given are
 * read without being copied first.
 */
export interface ReceiveRoom {
  /** The whole memory, to be taken anew after each call of the handler: it may have grown, and a view become empty. */
  readonly memory: Uint8Array;
  /** Takes `length` bytes of the memory and returns their offset in it; 0 when there is no room. */
  allocate(length: number): number;
  /** Gives back what `allocate` returned. */
  free(offset: number): void;
}
