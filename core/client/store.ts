/**
 * The embedded store: the operations on an engine in the caller's own process, done when the method returns. No socket, no
 * promise.
 */
import type { Engine, EngineName, EngineStats } from '../engine/engine.ts';
import { Reader, readError } from '../msgpack.ts';
import { ErrorCode, FRAME_HEADER_BYTES, MAX_REPLY_BYTES } from '../protocol.ts';
import { Batch } from './batch.ts';
import { ArgumentError, ClosedError, ProtocolError, RingkvError, ServerError } from './errors.ts';
import { DEFAULT_SCAN_COUNT, Methods, type Returned, type ScannedKey, type ScanOptions } from './methods.ts';
import { OperationWriter } from './operation-writer.ts';
import { joinOperations, type Operation, operations } from './operations.ts';
import { decodeKey } from './values.ts';

/** Every so many operations, expired keys are removed, up to `SWEEP_KEYS` of them. */
const SWEEP_INTERVAL = 64;
const SWEEP_KEYS = 128;

/** What was stored has to fit into a reply. Unit: bytes. */
const REQUEST_BYTES_MAX = MAX_REPLY_BYTES;

/** A buffer for requests that has grown beyond this is not kept. Unit: bytes. */
const KEPT_BYTES_MAX = 1024 * 1024;

export interface StoreOptions {
  readonly engine: Engine;
  /** The wall clock. Unit: milliseconds since 1970. */
  readonly now: () => number;
}

/** Figures of a store. */
export interface StoreInfo extends EngineStats {
  readonly engine: EngineName;
}

/**
 * Keys and values in this process. Values are kept encoded: what is changed after `set` is not changed in the store, and
 * `get` gives a new object each time.
 */
export class Store extends Methods<'value'> implements Disposable {
  #engine: Engine | undefined;
  readonly #now: () => number;
  #request = new OperationWriter();
  #untilSweep = SWEEP_INTERVAL;

  constructor({ engine, now }: StoreOptions) {
    super();
    this.#engine = engine;
    this.#now = now;
  }

  /** Operations that run as one. */
  batch<T extends unknown[] = []>(): Batch<'value', T> {
    return new Batch<'value', T>((all, bytes) => this.run(joinOperations(all), [bytes]));
  }

  /**
   * All keys, in no particular order. A key that is there throughout is given at least once; what is set or deleted
   * meanwhile may be given or not.
   */
  *scan<const O extends ScanOptions = Record<never, never>>(options?: O): Generator<ScannedKey<O>, void, undefined> {
    const { prefix, count = DEFAULT_SCAN_COUNT, keys = 'text' }: ScanOptions = options ?? {};
    let cursor = 0n;
    do {
      const page = this.run(operations.scan, [cursor, count, prefix]);
      for (const key of page.keys) yield (keys === 'bytes' ? key : decodeKey(key)) as ScannedKey<O>;
      cursor = page.cursor;
    } while (cursor !== 0n);
  }

  /** How much is in it. */
  info(): StoreInfo {
    const engine = this.#open();
    return { engine: engine.name, ...engine.stats() };
  }

  /** Lets go of all keys and their memory. Later operations throw `ClosedError`. Twice is fine. */
  close(): void {
    this.#engine = undefined;
  }

  [Symbol.dispose](): void {
    this.close();
  }

  protected override run<A extends readonly unknown[], R>(
    operation: Operation<A, R>,
    args: A,
  ): Returned<R, [], 'value'>['value'] {
    const engine = this.#open();
    const nowMs = this.#now();
    const request = this.#write(operation, args);
    const offset = reserveInput(engine, request.length);
    engine.memory.set(request, offset);
    engine.execute(offset, request.length, nowMs);
    const result = readReply(engine, operation);
    engine.clearOutput();
    if (--this.#untilSweep === 0) {
      this.#untilSweep = SWEEP_INTERVAL;
      engine.sweep(nowMs, SWEEP_KEYS);
    }
    if (result instanceof RingkvError) throw result;
    return result;
  }

  /** The payload, valid until the next operation. */
  #write<A extends readonly unknown[]>(operation: Operation<A, unknown>, args: A): Uint8Array {
    if (this.#request.capacity > KEPT_BYTES_MAX) this.#request = new OperationWriter();
    const request = this.#request;
    request.clear();
    request.arrayHeader(operation.count);
    request.operation(operation, args);
    if (request.length > REQUEST_BYTES_MAX) {
      throw new ArgumentError(
        `${operation.name} takes ${request.length} bytes; ${REQUEST_BYTES_MAX} can be read again`,
      );
    }
    return request.view();
  }

  #open(): Engine {
    if (this.#engine === undefined) throw new ClosedError('the store was closed');
    return this.#engine;
  }
}

function reserveInput(engine: Engine, length: number): number {
  try {
    return engine.reserveInput(length);
  } catch (error) {
    if (error instanceof RangeError) throw new ServerError(ErrorCode.MEMORY, error.message);
    throw error;
  }
}

function readReply<R>(engine: Engine, operation: Operation<never, R>): R | RingkvError {
  const start = engine.outputOffset + FRAME_HEADER_BYTES;
  const reader = new Reader(engine.memory, start, engine.outputOffset + engine.outputBytes);
  if (reader.arrayHeader() === operation.count) return operation.read(reader);
  const error = readError(engine.memory, start, reader.end);
  if (error === undefined) throw new ProtocolError(`the engine's reply to ${operation.name} is no array of results`);
  return new ServerError(error.code, error.message);
}
