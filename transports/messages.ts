/**
 * What all WebSocket connections have in common, whoever made the socket: one message is one `data` or one `send`, messages
 * wait here while reading is paused, and the ends of a WebSocket become those of a connection.
 */
import type { ServedConnection, Serving } from './serving.ts';
import type { ConnectionHandler, ServerHandler } from './transport.ts';

/** Longest message that a server takes. A peer that sends a longer one is cut off. Unit: bytes. */
export const MESSAGE_BYTES_MAX = 64 * 1024 * 1024;

/** A message that is longer than the handler allows by no more than this is given to it, so that it can say so. Unit: bytes. */
const TOLD_BYTES_MAX = 1024 * 1024;

/** The longest message to be put together for a handler, where the runtime lets that be set. Unit: bytes. */
export function messageBytesMax({ maxFrameBytes = MESSAGE_BYTES_MAX }: ServerHandler): number {
  return Math.min(maxFrameBytes + TOLD_BYTES_MAX, MESSAGE_BYTES_MAX);
}

/**
 * A connection on which nothing has come for some time is pinged, and one that does not answer within this is cut off. A
 * peer that is silent and alive so stays for as long as it likes. Unit: seconds.
 */
export const IDLE_SECONDS = 120;

/**
 * Most that waits for a handler that has paused, unless it is a single message. No server of a runtime can stop reading a
 * WebSocket, so a peer that sends on and on without reading its replies is cut off when this is passed. Unit: bytes.
 */
export const HELD_BYTES_MAX = 64 * 1024 * 1024;

/** Most that waits at all connections of a listener together. The one that passes it is cut off. Unit: bytes. */
const HELD_BYTES_MAX_IN_ALL = 256 * 1024 * 1024;

/** What a message that waits counts beside its bytes: the object that it is. Unit: bytes. */
const HELD_MESSAGE_BYTES = 256;

/** Codes of RFC 6455, section 7.4.1, verbatim. */
export const CloseCode = {
  NORMAL: 1000,
  GOING_AWAY: 1001,
  UNSUPPORTED_DATA: 1003,
  /** Never sent: the peer's close frame had no code. */
  NO_STATUS: 1005,
  /** Never sent: the connection was lost without a close frame. */
  ABNORMAL: 1006,
  POLICY_VIOLATION: 1008,
  /** Of the registry that the RFC has begun. */
  TRY_AGAIN_LATER: 1013,
} as const;

/** A WebSocket of any make, as the connection needs it. Not used any more once the connection was told `closed`. */
export interface MessageSocket {
  /** Sends a binary message; the bytes are borrowed until it returns. */
  send(bytes: Uint8Array): void;
  /** What was sent and the kernel has not taken. Unit: bytes. */
  readonly bufferedBytes: number;
  /** As of `Connection`. */
  cork?(sends: () => void): void;
  /** Sends a close frame. */
  close(code: number, reason: string): void;
  /** Closes the connection under the WebSocket now. */
  terminate(): void;
}

/** What waits for handlers that have paused, at the connections of one listener. */
export class HeldMemory {
  readonly #bytesMax: number;
  #bytes = 0;

  constructor(bytesMax = HELD_BYTES_MAX_IN_ALL) {
    this.#bytesMax = bytesMax;
  }

  get isExceeded(): boolean {
    return this.#bytes > this.#bytesMax;
  }

  /** So many bytes more wait, or fewer if it is negative. */
  add(bytes: number): void {
    this.#bytes += bytes;
  }
}

export class MessageConnection implements ServedConnection {
  readonly framing = 'message';
  handler!: ConnectionHandler;
  readonly #socket: MessageSocket;
  readonly #serving: Serving | undefined;
  /** What came while reading was paused. */
  #held: Uint8Array[] = [];
  #heldBytes = 0;
  readonly #heldInAll: HeldMemory;
  #paused = false;
  #scheduled = false;
  /** Somebody has seen that bytes were pending, and waits for them to leave. */
  #isAwaited = false;
  #ended = false;
  #destroyed = false;
  #closed = false;
  /** Why we have closed it, if the peer is to blame. */
  #refusal: Error | undefined;

  /** Connections of one listener share `serving` and `heldInAll`; a client's has none, and shares with nobody. */
  constructor(socket: MessageSocket, serving?: Serving, heldInAll = new HeldMemory()) {
    this.#socket = socket;
    this.#serving = serving;
    this.#heldInAll = heldInAll;
  }

  // For the core

  send(bytes: Uint8Array): void {
    if (this.#ended || this.#closed) return;
    this.#socket.send(bytes);
  }

  cork(sends: () => void): void {
    if (this.#socket.cork === undefined || this.#ended || this.#closed) sends();
    else this.#socket.cork(sends);
  }

  get pendingBytes(): number {
    const bytes = this.#closed ? 0 : this.#socket.bufferedBytes;
    if (bytes > 0) this.#isAwaited = true;
    return bytes;
  }

  pauseReading(): void {
    this.#paused = true;
  }

  resumeReading(): void {
    this.#paused = false;
    if (this.#held.length === 0 || this.#scheduled) return;
    this.#scheduled = true;
    queueMicrotask(this.#deliverHeld);
  }

  end(): void {
    if (this.#ended || this.#closed) return;
    this.#ended = true;
    this.#forgetHeld();
    if (this.pendingBytes === 0) this.#socket.close(CloseCode.NORMAL, '');
  }

  /** What the peer still sends is dropped by `end` already: after its close frame, a WebSocket receives nothing. */
  finish(): void {
    this.end();
  }

  destroy(): void {
    if (this.#closed) return;
    this.#destroyed = true;
    this.#socket.terminate();
    // Some sockets can't but wait for a peer that may be gone; for us it is over.
    this.closed(CloseCode.ABNORMAL, '');
  }

  // For the socket

  /** A binary message has come; it is borrowed until this returns. */
  received(bytes: Uint8Array): void {
    if (this.#ended || this.#closed) return;
    if (this.#paused || this.#held.length > 0) this.#hold(bytes);
    else this.#deliver(bytes);
  }

  /** A text message has come. */
  receivedText(): void {
    this.#refuse(CloseCode.UNSUPPORTED_DATA, 'binary messages only');
  }

  /** Whether anybody waits for what was sent to leave, so that `look` has to be called. */
  get isAwaited(): boolean {
    return this.#isAwaited;
  }

  /** To be called when `bufferedBytes` may have fallen to zero: tells whoever waits for that. */
  look(): void {
    if (!this.#isAwaited || this.pendingBytes > 0) return;
    this.#isAwaited = false;
    if (this.#closed) return;
    if (this.#ended) {
      // If it is the refusal that has left, then the close frame was part of it.
      if (this.#refusal === undefined) this.#socket.close(CloseCode.NORMAL, '');
      return;
    }
    this.handler.drain();
    this.#serving?.delivered();
  }

  /** It is gone, with the code and reason of its close frame, or with `ABNORMAL` when there was none. Twice is fine. */
  closed(code: number, reason: string): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#forgetHeld();
    const error = this.#destroyed ? undefined : (this.#refusal ?? closeError(code, reason));
    // Whoever closes it may be a handler that has not returned yet.
    queueMicrotask(() => {
      if (!this.#destroyed && error === undefined) {
        this.handler.end();
        this.#serving?.delivered();
      }
      this.handler.close(error);
      this.#serving?.gone(this);
    });
  }

  #deliver(bytes: Uint8Array): void {
    this.handler.data(bytes);
    this.#serving?.delivered();
  }

  #hold(bytes: Uint8Array): void {
    this.#held.push(bytes.slice());
    this.#countHeld(bytes.length + HELD_MESSAGE_BYTES);
    if (this.#held.length > 1 && this.#heldBytes > HELD_BYTES_MAX) {
      this.#refuse(CloseCode.POLICY_VIOLATION, 'read replies before you send on');
    } else if (this.#heldInAll.isExceeded) {
      this.#refuse(CloseCode.TRY_AGAIN_LATER, 'too much waits for clients that do not read their replies');
    }
  }

  readonly #deliverHeld = (): void => {
    this.#scheduled = false;
    const held = this.#held;
    let count = 0;
    while (count < held.length && !this.#paused && !this.#closed && !this.#ended) {
      const bytes = held[count++]!;
      this.#countHeld(-bytes.length - HELD_MESSAGE_BYTES);
      this.#deliver(bytes);
    }
    held.splice(0, count);
  };

  #forgetHeld(): void {
    this.#held = [];
    this.#countHeld(-this.#heldBytes);
  }

  /** So many bytes more are held, or fewer if it is negative. */
  #countHeld(bytes: number): void {
    this.#heldBytes += bytes;
    this.#heldInAll.add(bytes);
  }

  #refuse(code: number, reason: string): void {
    if (this.#ended || this.#closed) return;
    this.#ended = true;
    this.#forgetHeld();
    this.#refusal = closeError(code, reason);
    this.#socket.close(code, reason);
  }
}

/** What the close code tells: an error, or nothing when it is an orderly end. */
function closeError(code: number, reason: string): Error | undefined {
  if (code === CloseCode.NORMAL || code === CloseCode.GOING_AWAY || code === CloseCode.NO_STATUS) return undefined;
  if (code === CloseCode.ABNORMAL) {
    const why = reason === '' ? 'the connection was lost without a close frame' : reason;
    return Object.assign(new Error(why), { code: 'ECONNRESET' });
  }
  return Object.assign(new Error(`closed with code ${code}${reason === '' ? '' : `: ${reason}`}`), {
    code: `WEBSOCKET_${code}`,
  });
}
