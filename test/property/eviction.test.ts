/**
 * Engines that make room: how well they choose, that memory stays within its limit whatever is stored, and that their redo bytes
 * rebuild the state on engines that would have chosen otherwise.
 */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Random } from '../../bench/load/random.ts';
import { ZIPF_EXPONENT, Zipf } from '../../bench/load/zipf.ts';
import type { Engine } from '../../core/engine/engine.ts';
import { Op } from '../../core/protocol.ts';
import { array, encode, hex } from '../support/bytes.ts';
import { dump, type EngineFactory, elements, execute, oracle, results, subject } from '../support/engines.ts';
import { hashSeeds } from '../support/operations.ts';

const MiB = 1024 * 1024;
const NIL = 0xc0;
/** Operations of a frame, which is as many as a trace is off by. */
const FRAME = 30;
const engines: readonly (readonly [string, EngineFactory])[] = [
  ['swiss', subject],
  ['map', oracle],
];
const SEED = new Uint8Array(16).fill(7);

/** Feeds redo bytes to an engine as recovery does. */
function replay(engine: Engine, redo: Uint8Array, nowMs: number): void {
  if (redo.length === 0) return;
  const offset = engine.reserveInput(redo.length);
  engine.memory.set(redo, offset);
  expect(engine.replay(offset, redo.length, nowMs)).toBe(true);
  engine.clearOutput();
}

/** More keys than 2 MiB can hold. */
function fill(engine: Engine): void {
  const sets = Array.from({ length: 30_000 }, (_, i) => encode([Op.SET, `key-${i}`, 'x'.repeat(60)]));
  execute(engine, array(sets), 0);
}

/** Hits of a cache that holds so many keys and forgets the one that was asked for longest ago. */
function lruHits(trace: readonly number[], capacity: number, from: number): number {
  const kept = new Map<number, true>();
  let hits = 0;
  for (const [i, key] of trace.entries()) {
    if (kept.delete(key) && i >= from) hits++;
    kept.set(key, true);
    if (kept.size > capacity) kept.delete(kept.keys().next().value!);
  }
  return hits;
}

describe('clock', () => {
  test.each([
    ['values of a size', () => 100],
    ['values from 10 to 1,000 bytes', (key: number) => 10 + ((key * 7919) % 990)],
  ])('hits within 2 points of exact LRU, on a Zipf trace, with %s', (_, bytesOf) => {
    const random = new Random(7464);
    const zipf = new Zipf(50_000, ZIPF_EXPONENT);
    const trace = Array.from({ length: 90_000 }, () => zipf.rank(random));
    const warm = trace.length / 3;
    const engine = subject({ memoryBytesMax: MiB, eviction: 'clock', seed: SEED });
    let hits = 0;
    let heldSum = 0;
    for (let from = 0; from < trace.length; from += FRAME) {
      const keys = trace.slice(from, from + FRAME);
      const got = results(
        engine,
        keys.map((key) => encode([Op.GET, `key:${key}`])),
        0,
      );
      const missed = keys.filter((_key, i) => got[i]![0] === NIL);
      results(
        engine,
        missed.map((key) => encode([Op.SET, `key:${key}`, 'x'.repeat(bytesOf(key))])),
        0,
      );
      if (from < warm) continue;
      hits += keys.length - missed.length;
      heldSum += engine.stats().keys * keys.length;
    }
    const counted = trace.length - warm;
    const held = Math.round(heldSum / counted);
    const exact = lruHits(trace, held, warm);
    expect(engine.stats().evicted).toBeGreaterThan(1000);
    expect(Math.abs(hits - exact) / counted, `${hits} hits, exact LRU of ${held} keys ${exact}`).toBeLessThan(0.02);
  });

  for (const [name, create] of engines) {
    describe(name, () => {
      test('writes go on when the memory is full, within the limit, through every size of value', () => {
        const limited = { memoryBytesMax: 2 * MiB, eviction: 'clock' } as const;
        const engine = create({ ...limited, redo: true, seed: SEED });
        const copies = [subject(), oracle(), create(limited)];
        let written = 0;
        for (const size of [60, 1000, 150_000, 200, 700_000, 50, 40_000, 5000]) {
          for (let bytes = 0; bytes < 4 * MiB; ) {
            const count = Math.min(200, Math.ceil(50_000 / size));
            const sets = Array.from({ length: count }, () => encode([Op.SET, `key-${written++}`, 'x'.repeat(size)]));
            bytes += count * (size + 100);
            const { reply, redo } = execute(engine, array(sets), 0);
            expect(elements(reply).map(hex), `${size} bytes`).toEqual(Array(count).fill('c3'));
            for (const copy of copies) replay(copy, redo, 0);
          }
          const { usedBytes, limitBytes, keys } = engine.stats();
          expect(usedBytes).toBeLessThanOrEqual(limitBytes);
          // A value of another size does not cost all the others.
          expect(keys * (size + 200)).toBeGreaterThan(MiB / 2);
        }
        const state = dump(engine, 0);
        for (const copy of copies) expect(dump(copy, 0)).toEqual(state);
      });

      test('many small values take the place of a few large ones, the index they need included', () => {
        // The index could not grow in a full memory, so the newest keys had to give way to each other and the old ones stayed.
        const options = { memoryBytesMax: 2 * MiB, eviction: 'clock', redo: true } as const;
        const engine = create({ ...options, seed: SEED });
        const copy = subject({ redo: true });
        const write = (name: string, count: number, size: number): void => {
          for (let from = 0; from < count; from += 200) {
            const sets = Array.from({ length: 200 }, (_, i) =>
              encode([Op.SET, `${name}-${from + i}`, 'x'.repeat(size)]),
            );
            const { reply, redo } = execute(engine, array(sets), 0);
            expect(elements(reply).map(hex)).toEqual(Array(200).fill('c3'));
            replay(copy, redo, 0);
          }
        };
        const there = (name: string, from: number, to: number): number => {
          const asked = Array.from({ length: to - from }, (_, i) => encode([Op.HAS, `${name}-${from + i}`]));
          return results(engine, asked, 0).filter(([first]) => first === 0xc3).length;
        };
        write('large', 3000, 1000);
        write('small', 40_000, 40);
        expect(there('large', 0, 3000)).toBe(0);
        expect(there('small', 39_000, 40_000)).toBe(1000);
        // A small key takes 76 bytes in `swiss`, its place in the index included, and 118 in `map`.
        const { keys, usedBytes, limitBytes } = engine.stats();
        expect(keys * 150).toBeGreaterThan(limitBytes);
        expect(usedBytes).toBeLessThanOrEqual(limitBytes);
        expect(dump(copy, 0)).toEqual(dump(engine, 0));
      });

      test('what takes more than half of the memory is refused, and costs nobody else', () => {
        const engine = create({ memoryBytesMax: 2 * MiB, eviction: 'clock', redo: true });
        fill(engine);
        const { keys, evicted } = engine.stats();
        const { redo } = execute(engine, array([encode([Op.SET, 'big', 'x'.repeat(1.2 * MiB)])]), 0);
        expect(redo.length).toBe(0);
        expect(engine.stats()).toMatchObject({ keys, evicted });
      });

      test('without it a full memory refuses', () => {
        const engine = create({ memoryBytesMax: MiB, eviction: 'none' });
        fill(engine);
        expect(engine.stats().evicted).toBe(0);
        expect(results(engine, [encode([Op.SET, 'last', 'x'.repeat(5000)])], 0)[0]![0]).toBe(0xc7);
      });
    });
  }

  test('a large value that does not fit beside the one it replaces costs nobody else', () => {
    // All others were removed, and it was refused all the same.
    const engine = subject({ memoryBytesMax: 2 * MiB, eviction: 'clock', redo: true });
    const before = encode([Op.SET, 'large', 'x'.repeat(990_000)]);
    const [hasLarge, larger] = [encode([Op.HAS, 'large']), encode([Op.SET, 'large', 'y'.repeat(1_020_000)])];
    results(engine, [before], 0);
    for (let i = 0; i < 20_000; i += 100) {
      const sets = Array.from({ length: 100 }, (_, j) => encode([Op.SET, `key-${i + j}`, 'x'.repeat(60)]));
      results(engine, [...sets, hasLarge], 0);
    }
    const { keys, evicted } = engine.stats();
    expect(evicted).toBeGreaterThan(1000);
    expect(results(engine, [larger], 0)[0]![0]).toBe(0xc7);
    expect(engine.stats()).toMatchObject({ keys, evicted });
    // Without it there is room for the other.
    expect(results(engine, [encode([Op.DEL, 'large']), larger], 0).map(([first]) => first)).toEqual([0xc3, 0xc3]);
  });

  test('random histories are rebuilt by their redo bytes, on engines of either kind, with the same limit or none', () => {
    const sizes = fc.oneof({ weight: 9, arbitrary: fc.nat(3000) }, fc.constantFrom(3000, 20_000, 140_000));
    const key = fc.nat(1500).map((i) => (i % 50 === 0 ? `long-${i}`.padEnd(3000, '.') : `key-${i}`));
    const operation = fc.oneof(
      { weight: 6, arbitrary: fc.tuple(key, sizes).map(([k, size]) => [Op.SET, k, 'x'.repeat(size)]) },
      {
        weight: 2,
        arbitrary: fc
          .tuple(key, sizes, fc.integer({ min: 1, max: 50 }))
          .map(([k, size, ttl]) => [Op.SET, k, 'x'.repeat(size), ttl]),
      },
      { weight: 2, arbitrary: key.map((k) => [Op.GET, k]) },
      { weight: 1, arbitrary: key.map((k) => [Op.DEL, k]) },
      { weight: 1, arbitrary: key.map((k) => [Op.EXPIRE, k, 20]) },
      { weight: 1, arbitrary: key.map((k) => [Op.PERSIST, k]) },
    );
    const frames = fc.array(fc.array(operation, { minLength: 20, maxLength: 40 }), { minLength: 10, maxLength: 25 });
    let evicted = 0;
    const property = fc.property(frames, hashSeeds, (history, seed) => {
      for (const [, create] of engines) {
        const options = { memoryBytesMax: MiB, eviction: 'clock', redo: true } as const;
        const original = create({ ...options, seed });
        const copies = [subject({ redo: true }), oracle({ redo: true }), subject(options), oracle(options)];
        let nowMs = 1000;
        for (const frame of history) {
          nowMs += 3;
          const { redo } = execute(original, array(frame.map(encode)), nowMs);
          for (const copy of copies) {
            replay(copy, redo, original.redoTimeMs);
            // What changed something does so again, all of it.
            if (redo.length > 0) expect(Buffer.compare(copy.redo(), redo)).toBe(0);
          }
          if (nowMs % 5 === 0) original.sweep(nowMs, 20);
        }
        expect(original.stats().usedBytes).toBeLessThanOrEqual(original.stats().limitBytes);
        evicted += original.stats().evicted;
        const state = dump(original, nowMs);
        for (const copy of copies) expect(dump(copy, nowMs)).toEqual(state);
      }
    });
    fc.assert(property, { numRuns: 8 });
    expect(evicted).toBeGreaterThan(1000);
  });
});
