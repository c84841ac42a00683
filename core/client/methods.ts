/**
 * The operations as people call them. Client, store and batch are the same methods, which differ only in what they give
 * back: a promise, the result itself, or the batch with one more operation in it.
 */
import type { Batch } from './batch.ts';
import { type Operation, operations, type SetOptions } from './operations.ts';
import type { Key } from './values.ts';

/** What bounds one operation of a client. */
export interface CallOptions {
  /** How long the reply may take, waiting for a connection included. Unit: milliseconds. Default: the client's. */
  readonly timeoutMs?: number | undefined;
  /** Gives the operation up when it is aborted. */
  readonly signal?: AbortSignal | undefined;
}

/** How operations are run: at once, or by a server. */
export type Way = 'value' | 'promise';

/** What a method gives back whose operation has the result `R`. `T` are the results of the batch so far. */
export interface Returned<R, T extends unknown[], W extends Way> {
  value: R;
  promise: Promise<R>;
  batch: Batch<W, [...T, R]>;
}

/** What a method takes after its own arguments: only a client can wait, and only it can stop waiting. */
export interface Options {
  value: [];
  promise: [options?: CallOptions];
  batch: [];
}

/** What SET takes among its own options. */
export interface SetOptionsOf {
  value: SetOptions;
  promise: SetOptions & CallOptions;
  batch: SetOptions;
}

/** What adding to an integer gives. */
export type Sum<D extends number | bigint> = D extends bigint ? bigint : number;

/**
 * `K` is what the methods give back; of a batch, `T` are the results so far and `W` is how it will be run.
 *
 * Values are whatever msgpackr encodes, but for null and undefined. They come back as MessagePack has them: integers as
 * numbers where that is exact and else as bigints, -0 as 0, a `Map` as a plain object, a `Set` as an array, a `Buffer` or
 * `ArrayBuffer` as `Uint8Array`, a field named `__proto__` under another name. A type given to a method
 * (`get<User>(key)`) is taken at its word, not checked.
 *
 * Every method throws, or rejects with, a `RingkvError`: `ArgumentError` for what can't be sent, `ServerError` with the code
 * that was answered.
 */
export abstract class Methods<K extends keyof Options, T extends unknown[] = [], W extends Way = 'value'> {
  /** Runs one operation. */
  protected abstract run<A extends readonly unknown[], R>(
    operation: Operation<A, R>,
    args: A,
    options?: CallOptions,
  ): Returned<R, T, W>[K];

  /** The value of a key; undefined when there is no such key. */
  get<R = unknown>(key: Key, ...[options]: Options[K]): Returned<R | undefined, T, W>[K] {
    return this.run(operations.get as Operation<[Key], R | undefined>, [key], options);
  }

  /** Gives a key a value. False when `ifMissing` or `ifPresent` forbade it. */
  set(key: Key, value: unknown, options?: SetOptionsOf[K]): Returned<boolean, T, W>[K] {
    return this.run(operations.set, [key, value, options], options as CallOptions | undefined);
  }

  /** Removes a key. Whether it was there. */
  delete(key: Key, ...[options]: Options[K]): Returned<boolean, T, W>[K] {
    return this.run(operations.delete, [key], options);
  }

  /** Whether a key is there. */
  has(key: Key, ...[options]: Options[K]): Returned<boolean, T, W>[K] {
    return this.run(operations.has, [key], options);
  }

  /**
   * Adds an integer to the one that the key has, and gives the sum; a missing key counts as 0. Its time to live stays.
   * The sum is of the type of the delta. With a number, a sum that is no safe integer is stored, but a `ResultError`.
   */
  add<D extends number | bigint>(key: Key, delta: D, ...[options]: Options[K]): Returned<Sum<D>, T, W>[K] {
    const operation = typeof delta === 'bigint' ? operations.addBigInt : operations.add;
    return this.run(operation as Operation<[Key, D], Sum<D>>, [key, delta], options);
  }

  /**
   * Gives a key a value if it has the one that is expected; undefined or null expects the key to be missing. The encoded
   * bytes are compared, so the fields of an object have to be in the same order. The time to live stays.
   */
  cas(key: Key, expected: unknown, value: unknown, ...[options]: Options[K]): Returned<boolean, T, W>[K] {
    return this.run(operations.cas, [key, expected, value], options);
  }

  /** Gives a key a time to live in milliseconds; 0 or less removes it. Whether it was there. */
  expire(key: Key, ttlMs: number, ...[options]: Options[K]): Returned<boolean, T, W>[K] {
    return this.run(operations.expire, [key, ttlMs], options);
  }

  /** Milliseconds that a key has left; Infinity when it does not expire, undefined when there is no such key. */
  ttl(key: Key, ...[options]: Options[K]): Returned<number | undefined, T, W>[K] {
    return this.run(operations.ttl, [key], options);
  }

  /** Lets a key live for ever. Whether it had a time to live. */
  persist(key: Key, ...[options]: Options[K]): Returned<boolean, T, W>[K] {
    return this.run(operations.persist, [key], options);
  }

  /** Removes a key and gives the value it had; undefined when there was no such key. */
  take<R = unknown>(key: Key, ...[options]: Options[K]): Returned<R | undefined, T, W>[K] {
    return this.run(operations.take as Operation<[Key], R | undefined>, [key], options);
  }

  /** How many keys there are. */
  count(...[options]: Options[K]): Returned<number, T, W>[K] {
    return this.run(operations.count, [], options);
  }

  /** Removes all keys. */
  clear(...[options]: Options[K]): Returned<boolean, T, W>[K] {
    return this.run(operations.clear, [], options);
  }

  /** Gives back the value, or `PONG` for undefined. */
  ping<R = 'PONG'>(value?: R, ...[options]: Options[K]): Returned<R, T, W>[K] {
    return this.run(operations.ping as Operation<[unknown?], R>, [value], options);
  }
}

/** How to go through the keys. */
export interface ScanOptions {
  /** Only keys that begin with this. Default: all. */
  readonly prefix?: Key | undefined;
  /** How many keys each step looks at, up to 10,000. Default: `DEFAULT_SCAN_COUNT`. */
  readonly count?: number | undefined;
  /**
   * How keys are given: as `text`, which throws `ResultError` at the first key that is no UTF-8, or as `bytes`.
   * Default: `text`.
   */
  readonly keys?: 'text' | 'bytes' | undefined;
}

/** What a scan gives for these options: both, where their type leaves it open which. */
export type ScannedKey<O extends ScanOptions> = O extends { readonly keys: 'bytes' }
  ? Uint8Array
  : 'keys' extends keyof O
    ? 'bytes' extends O['keys']
      ? string | Uint8Array
      : string
    : string;

export const DEFAULT_SCAN_COUNT = 1000;
