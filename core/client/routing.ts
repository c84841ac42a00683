/**
 * Which shards operations go to, and what their results are together. An operation tells by its own MessagePack, as
 * clients write it: an array header and a code of one byte each, then the key if there is one.
 */
import { Reader } from '../msgpack.ts';
import { ErrorCode, MAX_VALUE_DEPTH, Op } from '../protocol.ts';
import { type ShardMap, SLOTS, slotOf } from '../slots.ts';
import { BatchError, RingkvError, ServerError, UnknownOutcomeError } from './errors.ts';
import type { Operation } from './operations.ts';

/** The operation is one for every shard: what they answer is put together. */
export const EVERY_SHARD = -1;

/** The operation is one for any shard. */
export const ANY_SHARD = -2;

/** A slot, `EVERY_SHARD` or `ANY_SHARD`. */
export type Route = number;

/** The map of a server that has told of no shards. */
export const ONE_SHARD: ShardMap = [[0, SLOTS - 1, '']];

/** One operation of a batch. */
export interface Part {
  readonly operation: Operation<never, unknown>;
  /** Its MessagePack. */
  readonly bytes: Uint8Array;
  readonly route: Route;
}

/** Where the operation goes whose MessagePack starts here. */
export function routeOf(bytes: Uint8Array, start = 0): Route {
  const code = bytes[start + 1]!;
  if (code === Op.COUNT || code === Op.CLEAR) return EVERY_SHARD;
  if (code < Op.GET || code > Op.TAKE) return ANY_SHARD;
  return slotOf(new Reader(bytes, start + 2).stringOrBytes()!);
}

/** The operations of a batch, given their MessagePack one after the other. */
export function partsOf(all: readonly Operation<never, unknown>[], bytes: Uint8Array): Part[] {
  const reader = new Reader(bytes);
  return all.map((operation) => {
    const start = reader.position;
    // An operation is an array around values that may nest as deep as a value may.
    reader.skip(MAX_VALUE_DEPTH + 1);
    return { operation, bytes: bytes.subarray(start, reader.position), route: routeOf(bytes, start) };
  });
}

/** An operation whose MessagePack is there already: its argument. */
export function encoded<R>({ name, isRead, count, read }: Operation<never, R>): Operation<[bytes: Uint8Array], R> {
  return { name, isRead, count, read, write: (writer, bytes) => writer.raw(bytes) };
}

/** For each slot, the number of the shard that owns it. */
export function shardsOfSlots(map: ShardMap): Uint16Array<ArrayBuffer> {
  const shards = new Uint16Array(SLOTS);
  for (const [shard, [first, last]] of map.entries()) shards.fill(shard, first, last + 1);
  return shards;
}

export function isSameMap(a: ShardMap, b: ShardMap): boolean {
  return a.length === b.length && a.every((shard, i) => shard.every((field, j) => field === b[i]![j]));
}

/** Whether a result, or what was thrown, says that the key belongs to another shard. */
export function isMoved(result: unknown): boolean {
  return result instanceof ServerError && result.code === ErrorCode.MOVED;
}

/** That an operation was not done by all of the shards there are now. */
export function otherShards(): ServerError {
  return new ServerError(ErrorCode.MOVED, 'the server has other shards now');
}

/**
 * What shards answered to the same operation, as one answer: an error if there is one, else the sum of numbers. A write that
 * some have done, and others not, is no error that says that nothing was done.
 */
export function combine({ isRead }: Operation<never, unknown>, answers: readonly unknown[]): unknown {
  const errors = answers.filter((answer) => answer instanceof RingkvError);
  const [first] = errors;
  if (first === undefined) return answers.reduce((a, b) => (typeof b === 'boolean' ? b : Number(a) + Number(b)));
  const unknown = errors.find((error) => error instanceof UnknownOutcomeError);
  if (unknown !== undefined) return unknown;
  return isRead || errors.length === answers.length ? first : new UnknownOutcomeError(first);
}

/**
 * What a batch gives whose operations have these results. Throws `BatchError` when some failed; but when no shard took its
 * part, all for the same reason, that error. `refused` are the errors with which shards' parts failed as a whole.
 */
export function resultOfBatch<T extends unknown[]>(results: readonly unknown[], refused: readonly RingkvError[]): T {
  const [first] = refused;
  if (first !== undefined && refused.every(({ code }) => code === first.code)) {
    if (results.every((result) => refused.some((error) => error === result))) throw first;
  }
  if (results.some((result) => result instanceof RingkvError)) throw new BatchError(results);
  return results as T;
}
