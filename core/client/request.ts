/** What a client has promised and not answered yet. */
import type { Reader } from '../msgpack.ts';
import { RingkvError } from './errors.ts';
import type { Operation } from './operations.ts';

/** What a request takes in the client beside its bytes: itself, its promise, its place in the queue. Unit: bytes. */
const OVERHEAD_BYTES = 128;

/** One operation, or a batch, from being issued until it is answered. It is settled once; what comes later is ignored. */
export class Request {
  readonly operation: Operation<never, unknown>;
  /** When it is given up. In the time of the client's timers. */
  readonly deadlineMs: number;
  /** Where its MessagePack lies: in the queue, and once it was sent, in its frame. */
  start: number;
  end: number;
  /** Whether it was given to a connection, so that it may have been done. */
  wasSent = false;
  #isSettled = false;
  readonly #resolve: (result: unknown) => void;
  readonly #reject: (error: RingkvError) => void;
  readonly #onSettled: () => void;
  /** Gives it up when it is aborted. */
  #signal: AbortSignal | undefined;
  #onAbort: (() => void) | undefined;

  /** `onSettled` is called once, after `resolve` or `reject`. */
  constructor(
    operation: Operation<never, unknown>,
    span: readonly [start: number, end: number],
    deadlineMs: number,
    resolve: (result: unknown) => void,
    reject: (error: RingkvError) => void,
    onSettled: () => void = () => {},
  ) {
    this.operation = operation;
    [this.start, this.end] = span;
    this.deadlineMs = deadlineMs;
    this.#resolve = resolve;
    this.#reject = reject;
    this.#onSettled = onSettled;
  }

  get isSettled(): boolean {
    return this.#isSettled;
  }

  /** What it counts towards the client's limit. Unit: bytes. */
  get costBytes(): number {
    return this.end - this.start + OVERHEAD_BYTES;
  }

  /** Calls `onAbort` when the signal is aborted before the request is settled. */
  watch(signal: AbortSignal, onAbort: () => void): void {
    this.#signal = signal;
    this.#onAbort = onAbort;
    signal.addEventListener('abort', onAbort, { once: true });
  }

  /** Undoes `watch`, and returns the signal if there is one. */
  unwatch(): AbortSignal | undefined {
    if (this.#onAbort !== undefined) this.#signal?.removeEventListener('abort', this.#onAbort);
    return this.#signal;
  }

  /** Settles it with what the reply has for it. Throws, unsettled, when that can't be read. */
  answer(reader: Reader): void {
    // What nobody waits for any more is passed over, but the results after it are still wanted.
    if (this.#isSettled) {
      for (let i = 0; i < this.operation.count; i++) reader.skip();
      return;
    }
    const result = this.operation.read(reader);
    if (result instanceof RingkvError) this.reject(result);
    else this.resolve(result);
  }

  resolve(result: unknown): void {
    if (!this.#settle()) return;
    this.#resolve(result);
    this.#onSettled();
  }

  reject(error: RingkvError): void {
    if (!this.#settle()) return;
    this.#reject(error);
    this.#onSettled();
  }

  #settle(): boolean {
    if (this.#isSettled) return false;
    this.#isSettled = true;
    this.unwatch();
    return true;
  }
}
