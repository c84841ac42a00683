/** The engine `swiss`: what every engine does, and what is its own: growth, memory, and an index that deletions keep clean. */
import { describe, expect, test } from 'vitest';
import type { Engine } from '../../core/engine/engine.ts';
import { createSwissEngine } from '../../core/engine/swiss.ts';
import { Op } from '../../core/protocol.ts';
import { encode } from '../support/bytes.ts';
import { results, scanAll } from '../support/engines.ts';
import { engineSemantics } from './engine-semantics.ts';

engineSemantics('swiss', createSwissEngine);

const MiB = 1024 * 1024;
/** The directory of a small table: one page of 16 KiB. */
const DIRECTORY_BYTES = 16 * 1024;
const NIL = encode(null);
const TRUE = encode(true);

/** The first byte of an error's encoding. */
const ERROR = 0xc7;

/** Runs one operation for each number in `[from, to)`, a thousand to a frame, and returns all the results. */
function each(engine: Engine, from: number, to: number, operation: (i: number) => unknown[]): Uint8Array[] {
  const all: Uint8Array[] = [];
  for (let start = from; start < to; start += 1000) {
    const length = Math.min(1000, to - start);
    all.push(
      ...results(
        engine,
        Array.from({ length }, (_, i) => encode(operation(start + i))),
        0,
      ),
    );
  }
  return all;
}

const key = (i: number): string => `key:${i}`;
const value = (i: number): string => `value of ${i}`.padEnd(i % 100, '.');

describe('engine swiss alone', () => {
  test('holds what it is given while it grows from one segment to a hundred and more', () => {
    const engine = createSwissEngine();
    const count = 100_000;
    each(engine, 0, count, (i) => [Op.SET, key(i), value(i)]);
    expect(engine.stats().keys).toBe(count);
    const got = each(engine, 0, count, (i) => [Op.GET, key(i)]);
    expect(got.findIndex((result, i) => Buffer.compare(result, encode(value(i))) !== 0)).toBe(-1);
    expect(each(engine, count, count + 5000, (i) => [Op.HAS, key(i)]).every((result) => result[0] === 0xc2)).toBe(true);
    const scanned = scanAll(engine, 0, 500);
    expect(scanned.length).toBe(count);
    expect(new Set(scanned).size).toBe(count);
  });

  test('deletions leave nothing behind: millions of keys come and go in the memory of those that are there at a time', () => {
    const engine = createSwissEngine();
    const alive = 5000;
    const churn = (from: number): void => {
      each(engine, from, from + alive, (i) => [Op.SET, key(i), value(i)]);
      each(engine, from - alive, from, (i) => [Op.DEL, key(i)]);
    };
    each(engine, 0, alive, (i) => [Op.SET, key(i), value(i)]);
    churn(alive);
    churn(2 * alive);
    const { indexBytes, reservedBytes } = engine.stats();
    for (let round = 3; round < 60; round++) churn(round * alive);
    expect(engine.stats().keys).toBe(alive);
    // Which keys are alive decides which segment is a bit fuller, so a few more splits may come; not one for each round.
    expect(engine.stats().indexBytes).toBeLessThanOrEqual(indexBytes * 2);
    expect(engine.stats().reservedBytes).toBe(reservedBytes);
  });

  test('memory that one size no longer needs serves another', () => {
    const engine = createSwissEngine({ memoryBytesMax: 16 * MiB });
    for (const size of [10, 100, 1000, 10_000, 200_000, 50, 100_000, 3000]) {
      const count = Math.floor((8 * MiB) / (size + 20));
      const filled = each(engine, 0, count, (i) => [Op.SET, `${size}:${i}`, 'x'.repeat(size)]);
      expect(
        filled.every((result) => result[0] === TRUE[0]),
        `values of ${size} bytes`,
      ).toBe(true);
      each(engine, 0, count, (i) => [Op.DEL, `${size}:${i}`]);
      // What is left are the segments of the index; its directory is no block.
      expect(engine.stats().usedBytes).toBe(engine.stats().indexBytes - DIRECTORY_BYTES);
    }
  });

  test('at its limit writes answer MEMORY and change nothing; reads and deletes go on, and writes after them', () => {
    const engine = createSwissEngine({ memoryBytesMax: 2 * MiB });
    const count = 60_000;
    const stored = each(engine, 0, count, (i) => [Op.SET, key(i), value(i)]).map((result) => result[0] === TRUE[0]);
    const failed = each(engine, 0, count, (i) => [Op.SET, key(i), value(i)]).filter((result) => result[0] === ERROR);
    expect(failed.length).toBeGreaterThan(1000);
    expect(Buffer.from(failed[0]!).toString('latin1')).toContain('MEMORY');
    const kept = stored.filter(Boolean).length;
    expect(engine.stats().keys).toBe(kept);
    const got = each(engine, 0, count, (i) => [Op.GET, key(i)]);
    expect(got.findIndex((result, i) => Buffer.compare(result, stored[i] ? encode(value(i)) : NIL) !== 0)).toBe(-1);
    // What needs more memory fails on keys that are there, too, and leaves them as they were.
    const first = stored.indexOf(true);
    const [grown, expiring, same] = results(
      engine,
      [
        encode([Op.SET, key(first), 'x'.repeat(1 * MiB)]),
        encode([Op.SET, 'new', 'x'.repeat(1 * MiB)]),
        encode([Op.GET, key(first)]),
      ],
      0,
    );
    expect([grown![0], expiring![0]]).toEqual([ERROR, ERROR]);
    expect(same).toEqual(encode(value(first)));

    expect(each(engine, 0, count, (i) => [Op.DEL, key(i)]).filter((result) => result[0] === TRUE[0]).length).toBe(kept);
    expect(engine.stats().keys).toBe(0);
    const again = each(engine, 0, 5000, (i) => [Op.SET, key(i), value(i)]);
    expect(again.every((result) => result[0] === TRUE[0])).toBe(true);
  });

  test('CLEAR gives the memory back, and the empty table serves again', () => {
    const engine = createSwissEngine({ memoryBytesMax: 8 * MiB });
    for (let round = 0; round < 5; round++) {
      const filled = each(engine, 0, 30_000, (i) => [Op.SET, key(i), value(i), i % 2 === 0 ? 1000 : null]);
      expect(filled.every((result) => result[0] === TRUE[0])).toBe(true);
      results(engine, [encode([Op.CLEAR])], 0);
      expect(engine.stats()).toMatchObject({ keys: 0, keysWithExpiry: 0, usedBytes: 4096 });
      expect(scanAll(engine, 0, 100)).toEqual([]);
    }
  });

  test('the seed decides the order of the keys, and nothing else', () => {
    const order = (seed: Uint8Array): string[] => {
      const engine = createSwissEngine({ seed });
      each(engine, 0, 3000, (i) => [Op.SET, key(i), value(i)]);
      return scanAll(engine, 0, 100);
    };
    const one = order(new Uint8Array(16).fill(1));
    const two = order(new Uint8Array(16).fill(2));
    expect(order(new Uint8Array(16).fill(1))).toEqual(one);
    expect(two).not.toEqual(one);
    expect([...two].sort()).toEqual([...one].sort());
  });

  test('refuses a limit and a seed that make no sense', () => {
    expect(() => createSwissEngine({ memoryBytesMax: 1000 })).toThrow(/memoryBytesMax is 1000; it must be from/);
    expect(() => createSwissEngine({ memoryBytesMax: 5 * 1024 ** 3 })).toThrow(RangeError);
    expect(() => createSwissEngine({ seed: new Uint8Array(8) })).toThrow(/seed has 8 bytes; it must have 16/);
  });
});
