/** The engine `swiss`: what every engine does, and what is its own: growth, memory, and an index that deletions keep clean. */
import { describe, expect, test } from 'vitest';
import type { Engine } from '../../core/engine/engine.ts';
import { createMapEngine } from '../../core/engine/map.ts';
import { createSwissEngine } from '../../core/engine/swiss.ts';
import { Op } from '../../core/protocol.ts';
import { array, encode } from '../support/bytes.ts';
import { execute, hostOf, readScan, results, scanAll, scanOperation, takeAllRoom } from '../support/engines.ts';
import { engineSemantics } from './engine-semantics.ts';

engineSemantics('swiss', createSwissEngine);

const MiB = 1024 * 1024;
/** An empty table: a directory of one page of 16 KiB and one segment of 4 KiB. */
const EMPTY_BYTES = 20 * 1024;
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
      expect(engine.stats().usedBytes).toBe(engine.stats().indexBytes);
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

  test('a slab that is kept though empty is given up when another size needs its memory', () => {
    // Every class of sizes used to keep its last empty slab for ever, so a small store had no room left with no keys in it.
    const engine = createSwissEngine({ memoryBytesMax: 8 * MiB });
    for (let size = 8; size < 4 * MiB; size = Math.ceil(size * 1.1)) {
      const [set, deleted] = results(engine, [encode([Op.SET, 'k', 'x'.repeat(size)]), encode([Op.DEL, 'k'])], 0);
      expect([set, deleted], `a value of ${size} bytes`).toEqual([TRUE, TRUE]);
    }
  });

  test('a SCAN whose keys outgrow the output keeps them, behind whatever was answered before', () => {
    // The keys already written were left behind when the output moved to a larger place.
    const engine = createSwissEngine();
    each(engine, 0, 12_000, (i) => [Op.SET, `a key of some length, number ${i}`, i]);
    const [ping, page] = results(engine, [encode([Op.PING, 'x'.repeat(1000)]), encode([Op.SCAN, 0, 10_000])], 0);
    expect(ping).toEqual(encode('x'.repeat(1000)));
    const { keys } = readScan(page!);
    expect(keys.length).toBeGreaterThanOrEqual(10_000);
    expect(new Set(keys).size).toBe(keys.length);
    const names = keys.map((name) => Buffer.from(name, 'hex').toString());
    expect(names.filter((name) => !/^a key of some length, number \d+$/.test(name))).toEqual([]);
  });

  test('a request for whose redo bytes there is no memory is told so, and the next one finds some', () => {
    // The buffer asked for twice what it had been, or for nothing, and the connection ended without a word.
    const engine = createSwissEngine({ redo: true });
    engine.reserveInput(16 * MiB);
    const refused = (bytes: number): Uint8Array => encode([Op.SET, '', 'x'.repeat(bytes)]);
    results(engine, [refused(3 * MiB)], 0);
    const { allocate, free } = engine.room!;
    const hole = allocate(5 * MiB);
    takeAllRoom(engine);
    free(hole);
    expect(Buffer.from(results(engine, [refused(4 * MiB)], 0)[0]!).toString('latin1')).toContain('KEY');
    const { readable, reply } = execute(engine, array([refused(12 * MiB)]), 0);
    expect(readable).toBe(false);
    expect(Buffer.from(reply).toString('latin1')).toContain('MEMORY');
    expect(results(engine, [encode([Op.SET, 'a', 1]), encode([Op.GET, 'a'])], 0)).toEqual([TRUE, encode(1)]);
  });

  test('a reply at the end of the address space does not leave it', () => {
    // Where it would end was computed modulo 4 GiB, so there seemed to be room.
    const engine = createSwissEngine();
    results(engine, [encode([Op.SET, 'short', 'x'.repeat(200_000)]), encode([Op.SET, 'long', 'x'.repeat(4 * MiB)])], 0);
    const taken = takeAllRoom(engine);
    // The output, when it has outgrown its place, comes to lie there, and the long value reaches beyond.
    for (const offset of taken) if (offset > 4093 * MiB) engine.room!.free(offset);
    const [short, long] = results(engine, [encode([Op.GET, 'short']), encode([Op.GET, 'long'])], 0);
    expect(short).toEqual(encode('x'.repeat(200_000)));
    expect(Buffer.from(long!).toString('latin1')).toContain('MEMORY');
  });

  test('data takes no place that is kept for requests and replies, though nothing else is free', () => {
    const engine = createSwissEngine();
    engine.reserveInput(MiB);
    const taken = takeAllRoom(engine);
    // The last 256 MiB are for these.
    for (const offset of taken) if (offset > 3840 * MiB) engine.room!.free(offset);
    const stored = each(engine, 0, 100, (i) => [Op.SET, key(i), 'x'.repeat(1000)]);
    expect(stored.some((result) => result[0] === TRUE[0])).toBe(false);
  });

  test('a SCAN looks at a megabyte of keys, however few it returns', () => {
    // It only counted the keys that had the prefix, so all others were hashed in one step.
    const engine = createSwissEngine();
    const long = '.'.repeat(60_000);
    each(engine, 0, 200, (i) => [Op.SET, `${i}${long}`, i]);
    const wanted = new Uint8Array(Buffer.from('no key begins so'));
    let steps = 0;
    for (let cursor = 0n; cursor !== 0n || steps === 0; steps++) {
      const { next, keys } = readScan(results(engine, [scanOperation(cursor, 10_000, wanted)], 0)[0]!);
      expect(keys).toEqual([]);
      cursor = next;
    }
    expect(steps).toBeGreaterThan(5);
  });

  test('what the server answers counts against the reply as values do', () => {
    const host = hostOf({ serverOperation: () => encode('x'.repeat(60_000)) });
    const payload = array(Array.from({ length: 1200 }, () => encode([Op.INFO])));
    const [swiss, map] = [createSwissEngine(), createMapEngine()].map((engine) => {
      engine.host = host;
      return execute(engine, payload, 0).reply;
    });
    expect(Buffer.compare(swiss!, map!)).toBe(0);
    expect(Buffer.from(swiss!).includes('reply is larger')).toBe(true);
  });

  test('CLEAR gives the memory back, and the empty table serves again', () => {
    const engine = createSwissEngine({ memoryBytesMax: 8 * MiB });
    for (let round = 0; round < 5; round++) {
      const filled = each(engine, 0, 30_000, (i) => [Op.SET, key(i), value(i), i % 2 === 0 ? 1000 : null]);
      expect(filled.every((result) => result[0] === TRUE[0])).toBe(true);
      results(engine, [encode([Op.CLEAR])], 0);
      expect(engine.stats()).toMatchObject({ keys: 0, keysWithExpiry: 0, usedBytes: EMPTY_BYTES });
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
