/**
 * One connection as the client sees it: frames go out, and the replies, which come in the same order, settle their requests.
 * It ends once; what was not answered then is for its owner to decide.
 */
import type { Connection, ConnectionHandler } from '../connection.ts';
import { MsgpackError, Reader, readError } from '../msgpack.ts';
import { FRAME_HEADER_BYTES, MAX_ERROR_BYTES, MAX_REPLY_BYTES } from '../protocol.ts';
import { ConnectionError, ProtocolError, type RingkvError, ServerError } from './errors.ts';
import { FrameSplitter } from './frames.ts';
import type { Frame } from './queue.ts';
import type { Request } from './request.ts';

/** With more than this unsent, no further frame should be given to the link. Unit: bytes. */
const OUTPUT_HIGH_WATER_BYTES = 1024 * 1024;

/**
 * Most that is sent and not answered over messages, unless it is a single frame. A server can't stop reading these: what it
 * does not get to it has to keep, and it cuts off who makes it keep too much. Unit: bytes.
 */
export const UNANSWERED_BYTES_MAX = 8 * 1024 * 1024;

/** What a message counts for beside its payload, with the server as here. Unit: bytes. */
const MESSAGE_OVERHEAD_BYTES = 256;

/**
 * Longest that a reply may become for each byte of `MAX_REPLY_BYTES`, which counts values and keys alone: a key of one byte
 * in SCAN's result takes three.
 */
const REPLY_BYTES_PER_BYTE = 3;

/** A frame that was sent and not answered. */
export interface SentFrame {
  readonly requests: readonly Request[];
  /** How many results its reply must have. */
  readonly count: number;
  /** A copy of the frame, if something in it could be sent again. */
  readonly bytes: Uint8Array | undefined;
  /** What it counts towards `UNANSWERED_BYTES_MAX`. Unit: bytes. */
  readonly costBytes: number;
  readonly sentMs: number;
  next: SentFrame | undefined;
}

export interface LinkOwner {
  now(): number;
  /** A frame was answered; its requests are settled. */
  answered(link: Link, frame: SentFrame): void;
  /** The link takes frames again. */
  drained(link: Link): void;
  /** The link ended; `unanswered()` is what it leaves. Once, the last call of all. */
  ended(link: Link, cause: RingkvError): void;
}

export class Link implements ConnectionHandler {
  readonly #connection: Connection;
  readonly #owner: LinkOwner;
  readonly #splitter = new FrameSplitter({
    payloadBytesMax: () => MAX_REPLY_BYTES * REPLY_BYTES_PER_BYTE + (this.#oldest?.count ?? 1) * MAX_ERROR_BYTES,
    payload: (bytes) => this.#payload(bytes),
  });
  /** What was sent and not answered, as a list from the oldest to the newest. */
  #oldest: SentFrame | undefined;
  #newest: SentFrame | undefined;
  /** The costs of these. */
  #unansweredBytes = 0;
  #receivedMs = 0;
  #endCause: RingkvError | undefined;
  #isClosed = false;
  #onClosed: (() => void) | undefined;

  constructor(connection: Connection, owner: LinkOwner) {
    this.#connection = connection;
    this.#owner = owner;
  }

  /** The longest payload that should be sent now: more of it when the link has drained, or a frame was answered. Unit: bytes. */
  get roomBytes(): number {
    if (this.#endCause !== undefined || this.#connection.pendingBytes > OUTPUT_HIGH_WATER_BYTES) return 0;
    if (this.#connection.framing === 'stream' || this.#oldest === undefined) return Infinity;
    return Math.max(0, UNANSWERED_BYTES_MAX - this.#unansweredBytes - MESSAGE_OVERHEAD_BYTES);
  }

  /** Why it ended; undefined while it has not. */
  get endCause(): RingkvError | undefined {
    return this.#endCause;
  }

  /** Since when something is unanswered and nothing has come; Infinity when all is answered. */
  get silentSinceMs(): number {
    return this.#oldest === undefined ? Infinity : Math.max(this.#oldest.sentMs, this.#receivedMs);
  }

  /** The frames that were sent and not answered, from the oldest on. */
  *unanswered(): Generator<SentFrame> {
    for (let frame = this.#oldest; frame !== undefined; frame = frame.next) yield frame;
  }

  /** Sends a frame. MUST NOT be called once the link has ended. */
  send({ bytes, requests }: Frame): void {
    let count = 0;
    let canRepeat = false;
    for (const request of requests) {
      request.wasSent = true;
      count += request.operation.count;
      canRepeat ||= request.operation.isRead;
    }
    const frame: SentFrame = {
      requests,
      count,
      bytes: canRepeat ? bytes.slice() : undefined,
      costBytes: bytes.length - FRAME_HEADER_BYTES + MESSAGE_OVERHEAD_BYTES,
      sentMs: this.#owner.now(),
      next: undefined,
    };
    if (this.#newest === undefined) this.#oldest = frame;
    else this.#newest.next = frame;
    this.#newest = frame;
    this.#unansweredBytes += frame.costBytes;
    this.#connection.send(this.#connection.framing === 'message' ? bytes.subarray(FRAME_HEADER_BYTES) : bytes);
  }

  /** Ends the link and the connection at once, with this cause. Twice is fine. */
  destroy(cause: RingkvError): void {
    if (this.#endCause !== undefined) return;
    this.#connection.destroy();
    this.#end(cause);
  }

  /** Half-closes: everything was answered and nothing more will be sent. `onClosed` is called when the connection is gone. */
  finish(cause: RingkvError, onClosed: () => void): void {
    this.#onClosed = onClosed;
    if (this.#endCause === undefined) this.#connection.end();
    this.#endCause ??= cause;
    if (this.#isClosed) onClosed();
  }

  /** Drops a connection that was half-closed and whose peer does not do the same. */
  abandon(): void {
    if (!this.#isClosed) this.#connection.destroy();
  }

  data(bytes: Uint8Array): void {
    if (this.#endCause !== undefined) return;
    this.#receivedMs = this.#owner.now();
    try {
      // A Buffer would have msgpackr make Buffers of binary values.
      const plain = new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length);
      if (this.#connection.framing === 'message') this.#payload(plain);
      else this.#splitter.push(plain);
    } catch (error) {
      if (error instanceof ProtocolError) this.destroy(error);
      else if (error instanceof MsgpackError) {
        this.destroy(new ProtocolError(`a reply can't be read: ${error.message}`, { cause: error }));
      } else throw error;
    }
  }

  drain(): void {
    if (this.#endCause === undefined) this.#owner.drained(this);
  }

  end(): void {
    this.destroy(new ConnectionError('the server closed the connection'));
  }

  close(error?: Error): void {
    this.#isClosed = true;
    const why = error === undefined ? '' : `: ${error.message}`;
    this.#end(new ConnectionError(`the connection was lost${why}`, { cause: error }));
    this.#onClosed?.();
  }

  #end(cause: RingkvError): void {
    if (this.#endCause !== undefined) return;
    this.#endCause = cause;
    this.#owner.ended(this, cause);
  }

  /** Returns whether the next payload is wanted. */
  #payload(bytes: Uint8Array): boolean {
    const reader = new Reader(bytes);
    const count = reader.arrayHeader();
    if (count < 0) {
      const error = readError(bytes, 0, bytes.length);
      // The server has not read what is in flight, and won't.
      if (error !== undefined) this.destroy(new ServerError(error.code, error.message));
      else this.destroy(new ProtocolError('a reply is neither an array nor an error'));
      return false;
    }
    const frame = this.#oldest;
    if (frame === undefined) throw new ProtocolError('a reply came that nothing was sent for');
    if (count !== frame.count) throw new ProtocolError(`a reply has ${count} results for ${frame.count} operations`);
    for (const request of frame.requests) request.answer(reader);
    if (reader.position !== reader.end) throw new ProtocolError('a reply has bytes after its results');
    this.#oldest = frame.next;
    if (this.#oldest === undefined) this.#newest = undefined;
    this.#unansweredBytes -= frame.costBytes;
    this.#owner.answered(this, frame);
    return this.#endCause === undefined;
  }
}
