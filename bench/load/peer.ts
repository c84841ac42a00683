/**
 * One connection of a load generator: it sends frames of a pool when it is told to, and checks the replies, which come in
 * the same order. When to send is the task's decision, so that closed and open loops share all the rest.
 */
import { FRAME_HEADER_BYTES, writeFrameHeader } from '../../core/protocol.ts';
import type { Connection, ConnectionHandler } from '../../transports/transport.ts';
import type { Pool } from './pool.ts';
import { type Checker, ReplyError, SAMPLE_EVERY } from './replies.ts';

/** A reply that takes longer counts as missing, unless told otherwise. Unit: milliseconds. */
export const REPLY_TIMEOUT_MS = 10_000;

/** How often it should be looked whether replies are missing. Unit: milliseconds. */
export const WATCH_INTERVAL_MS = 1000;

/** What connections are made to do. */
export interface Task {
  readonly pool: Pool;
  /** A reply is complete, `millis` after the time that its frame was given. The peer may send the next frame. */
  replied(peer: Peer, millis: number, nowMs: number): void;
  /** A reply is wrong or missing, or a connection is lost. May come several times. */
  fail(error: Error): void;
}

export class Peer implements ConnectionHandler {
  readonly #connection: Connection;
  readonly #capacity: number;
  /** On a connection of messages, a message gets the header that it has on a stream before it is checked. */
  readonly #messageHeader: Uint8Array | undefined;
  #task: Task | undefined;
  #checker: Checker | undefined;
  // The frames in flight, oldest first: a ring of `#capacity` places.
  readonly #frames: Uint32Array;
  readonly #startMs: Float64Array;
  readonly #sentMs: Float64Array;
  #oldest = 0;
  #inFlight = 0;
  // Frames that neighbour in the pool and leave together, once all that came has been looked at.
  #corked = false;
  #firstHeld = 0;
  #held = 0;
  /** Replies of this connection so far, which decides on the sample. */
  #replies = 0;
  /** What ended this connection. Later tasks must not overlook what went wrong between them and the one before. */
  #failure: Error | undefined;
  #closing = false;

  /** `capacity` is the most frames that can be in flight. */
  constructor(connection: Connection, capacity: number) {
    this.#connection = connection;
    this.#capacity = capacity;
    this.#messageHeader = connection.framing === 'message' ? new Uint8Array(FRAME_HEADER_BYTES) : undefined;
    this.#frames = new Uint32Array(capacity);
    this.#startMs = new Float64Array(capacity);
    this.#sentMs = new Float64Array(capacity);
  }

  /** What is sent from now on belongs to the task. Nothing of the one before may be in flight. */
  begin(task: Task): void {
    this.#task = task;
    if (this.#failure === undefined) this.#checker = task.pool.checker();
    else task.fail(this.#failure);
  }

  /** Whether as many frames are in flight as can be. */
  get isFull(): boolean {
    return this.#inFlight === this.#capacity;
  }

  /** Sends a frame of the task's pool, whose latency counts from `startMs` on; `sentMs` is now. It must not be full. */
  send(frame: number, startMs: number, sentMs: number = startMs): void {
    const task = this.#task;
    const checker = this.#checker;
    if (this.#closing || task === undefined || checker === undefined) return;
    const place = (this.#oldest + this.#inFlight) % this.#capacity;
    this.#frames[place] = frame;
    this.#startMs[place] = startMs;
    this.#sentMs[place] = sentMs;
    this.#inFlight++;
    if (this.#inFlight === 1) this.#expect(checker);
    if (this.#messageHeader !== undefined) {
      this.#connection.send(task.pool.payload(frame));
      return;
    }
    if (this.#held > 0 && frame !== this.#firstHeld + this.#held) this.#flush(task);
    if (this.#held++ === 0) this.#firstHeld = frame;
    if (!this.#corked) this.#flush(task);
  }

  destroy(): void {
    this.#closing = true;
    this.#connection.destroy();
  }

  /** Looks whether a reply is missing. */
  look(replyTimeoutMs: number): void {
    if (this.#inFlight === 0 || performance.now() - this.#sentMs[this.#oldest]! < replyTimeoutMs) return;
    this.#fail(new ReplyError(`no reply to a frame for ${replyTimeoutMs / 1000} s`));
  }

  data(bytes: Uint8Array): void {
    const task = this.#task;
    const checker = this.#checker;
    if (this.#closing || task === undefined || checker === undefined) return;
    const header = this.#messageHeader;
    this.#corked = true;
    try {
      if (header !== undefined) {
        writeFrameHeader(header, 0, bytes.length);
        this.#take(task, checker, header);
      }
      this.#take(task, checker, bytes);
      this.#flush(task);
    } catch (error) {
      this.#fail(error as Error);
    }
    this.#corked = false;
  }

  drain(): void {
    // Nothing waits for this: the frames in flight are limited, so what is pending stays bounded.
  }

  end(): void {
    this.#fail(new ReplyError('the server ended a connection'));
  }

  close(error?: Error): void {
    this.#fail(new ReplyError('a connection to the server is lost', { cause: error }));
  }

  #fail(error: Error): void {
    if (this.#closing) return;
    this.#failure = error;
    this.destroy();
    this.#task?.fail(error);
  }

  #take(task: Task, checker: Checker, bytes: Uint8Array): void {
    let at = 0;
    while (at < bytes.length) {
      if (this.#inFlight === 0) throw new ReplyError('a reply came that nobody asked for');
      at = checker.take(bytes, at);
      if (!checker.complete) return;
      const nowMs = performance.now();
      const startMs = this.#startMs[this.#oldest]!;
      this.#oldest = (this.#oldest + 1) % this.#capacity;
      this.#inFlight--;
      this.#replies++;
      if (this.#inFlight > 0) this.#expect(checker);
      task.replied(this, nowMs - startMs, nowMs);
    }
  }

  /** Sends the frames that are held. */
  #flush({ pool }: Task): void {
    if (this.#held === 0) return;
    this.#connection.send(pool.frame(this.#firstHeld, this.#held));
    this.#held = 0;
  }

  #expect(checker: Checker): void {
    checker.expect(this.#frames[this.#oldest]!, this.#replies % SAMPLE_EVERY === 0);
  }
}
