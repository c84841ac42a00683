/** The engines under test, and how tests talk to one: a payload in, the reply's payload and the redo bytes out. */
import { inspect } from 'node:util';
import { expect } from 'vitest';
import type { Engine, EngineHost, EngineOptions } from '../../core/engine/engine.ts';
import { createMapEngine } from '../../core/engine/map.ts';
import { createSwissEngine } from '../../core/engine/swiss.ts';
import { Reader } from '../../core/msgpack.ts';
import { FRAME_HEADER_BYTES, FRAME_TAG, Op } from '../../core/protocol.ts';
import { array, concat, encode, hex } from './bytes.ts';

export type EngineFactory = (options?: EngineOptions) => Engine;

/** The oracle, and what is compared with it. */
export const oracle: EngineFactory = createMapEngine;
export const subject: EngineFactory = createSwissEngine;

/** A host that answers what the test says, and fails when it is asked for anything else. */
export function hostOf(answers: Partial<EngineHost>): EngineHost {
  const unasked = (): never => {
    throw new Error('the host is asked for what is not its own');
  };
  return { serverOperation: unasked, moved: unasked, ...answers };
}

/**
 * Takes all memory that an engine could still grow into, in runs that follow one another; nothing is written there, so it costs the
 * machine nothing. Returns them, to be given back with `engine.room!.free`.
 */
export function takeAllRoom(engine: Engine): number[] {
  const { allocate } = engine.room!;
  const taken: number[] = [];
  for (const bytes of [1024 ** 3, 64 * 1024 ** 2, 1024 ** 2, 1]) {
    for (let offset = allocate(bytes); offset > 0; offset = allocate(bytes)) taken.push(offset);
  }
  return taken;
}

export interface Outcome {
  /** What `execute` returned. */
  readonly readable: boolean;
  /** The reply's payload. */
  readonly reply: Uint8Array;
  readonly redo: Uint8Array;
}

/** Executes one payload, and checks the frame around the reply. The output is cleared. */
export function execute(engine: Engine, payload: Uint8Array, nowMs: number): Outcome {
  const offset = engine.reserveInput(payload.length);
  engine.memory.set(payload, offset);
  const readable = engine.execute(offset, payload.length, nowMs);
  const frame = engine.memory.slice(engine.outputOffset, engine.outputOffset + engine.outputBytes);
  const redo = engine.redo().slice();
  engine.clearOutput();
  expect(frame[0]).toBe(FRAME_TAG);
  expect(new DataView(frame.buffer).getUint32(1)).toBe(frame.length - FRAME_HEADER_BYTES);
  return { readable, reply: frame.slice(FRAME_HEADER_BYTES), redo };
}

/** The bytes of each element of an array that is all of `payload`. */
export function elements(payload: Uint8Array): Uint8Array[] {
  const reader = new Reader(payload);
  const count = reader.arrayHeader();
  if (count < 0) throw new Error(`no array: ${hex(payload.subarray(0, 32))}`);
  const parts = Array.from({ length: count }, () => {
    const start = reader.position;
    // An operation holds values as deep as allowed, and a reply results as deep, so both are one deeper.
    reader.skip(33);
    return payload.slice(start, reader.position);
  });
  expect(reader.position).toBe(payload.length);
  return parts;
}

/** Executes operations, each encoded already, and returns the bytes of each result. */
export function results(engine: Engine, operations: readonly Uint8Array[], nowMs: number): Uint8Array[] {
  const { readable, reply } = execute(engine, array(operations), nowMs);
  expect(readable).toBe(true);
  const parts = elements(reply);
  expect(parts.length).toBe(operations.length);
  return parts;
}

/** An operation and its result. */
export type Exchange = readonly [operation: unknown, result: unknown];

/** Executes the operations as one frame, and compares the whole reply. */
export function expectReply(engine: Engine, nowMs: number, ...exchanges: readonly Exchange[]): void {
  const { readable, reply } = execute(engine, array(exchanges.map(([operation]) => encode(operation))), nowMs);
  expect(readable).toBe(true);
  const wanted = exchanges.map(([, result]) => encode(result));
  if (Buffer.compare(reply, array(wanted)) === 0) return;
  // One after the other, so that a failure shows the operation that it is about.
  elements(reply).forEach((result, i) => {
    expect(hex(result), `result of ${inspect(exchanges[i]![0])}`).toBe(hex(wanted[i]!));
  });
  expect(hex(reply)).toBe(hex(array(wanted)));
}

/** All keys that a full iteration gives, in hexadecimal, each as often as it came. `count` keys are asked for at a time. */
export function scanAll(engine: Engine, nowMs: number, count: number, prefix?: Uint8Array): string[] {
  const keys: string[] = [];
  let cursor = 0n;
  // Pages may be empty: what they looked at was deleted, or no key of the prefix. But they come to an end.
  for (let calls = 0; calls < 100_000; calls++) {
    const scan = scanOperation(cursor, count, prefix);
    const page = readScan(results(engine, [scan], nowMs)[0]!);
    keys.push(...page.keys);
    cursor = page.next;
    if (cursor === 0n) return keys;
  }
  throw new Error(`SCAN does not come to an end: still at cursor ${cursor}`);
}

export function scanOperation(cursor: bigint, count: number, prefix?: Uint8Array): Uint8Array {
  return encode(prefix ? [Op.SCAN, Number(cursor), count, prefix] : [Op.SCAN, Number(cursor), count]);
}

/** Reads SCAN's result; the keys, which must be `bin`, come in hexadecimal. */
export function readScan(result: Uint8Array): { next: bigint; keys: string[] } {
  const reader = new Reader(result);
  expect(reader.arrayHeader(), hex(result)).toBe(2);
  const next = reader.integer();
  const count = reader.arrayHeader();
  if (next === undefined || count < 0) throw new Error(`no result of SCAN: ${hex(result)}`);
  const keys = Array.from({ length: count }, () => {
    expect([0xc4, 0xc5, 0xc6]).toContain(result[reader.position]);
    return hex(reader.stringOrBytes()!);
  });
  expect(reader.position).toBe(result.length);
  return { next, keys };
}

/** All that an engine holds at a time: for each key, in order, the bytes of its value and of its time to live. */
export function dump(engine: Engine, nowMs: number, count = 1000): string[] {
  const keys = [...new Set(scanAll(engine, nowMs, count))].sort();
  expect(results(engine, [encode([Op.COUNT])], nowMs)[0]).toEqual(encode(keys.length));
  const questions = keys.flatMap((key) => {
    const bytes = new Uint8Array(Buffer.from(key, 'hex'));
    return [encode([Op.GET, bytes]), encode([Op.TTL, bytes])];
  });
  const answers = results(engine, questions, nowMs);
  return keys.map((key, i) => `${key} = ${hex(answers[2 * i]!)} ttl ${hex(answers[2 * i + 1]!)}`);
}

/** The redo payload that holds these operations. */
export function redoOf(operations: readonly Uint8Array[]): Uint8Array {
  if (operations.length === 0) return new Uint8Array();
  const header = new DataView(new ArrayBuffer(5));
  header.setUint8(0, 0xdd);
  header.setUint32(1, operations.length);
  return concat(new Uint8Array(header.buffer), ...operations);
}
