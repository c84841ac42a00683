/**
 * Random histories on two engines at once: they answer the same bytes, hold the same state, and their redo bytes rebuild
 * it. fast-check prints the seed and the shortest history that fails; `fc.assert(…, { seed, path })` replays it.
 */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Access, type Engine } from '../../core/engine/engine.ts';
import { readError } from '../../core/msgpack.ts';
import { Op } from '../../core/protocol.ts';
import { array, ascii, encode, hex } from '../support/bytes.ts';
import {
  dump,
  elements,
  execute,
  oracle,
  readScan,
  results,
  scanAll,
  scanOperation,
  subject,
} from '../support/engines.ts';
import { hashSeeds, keyName, type Operation, operations, payloadOf } from '../support/operations.ts';

/** A history's step. Times are in milliseconds, and may go back. */
type Step =
  | {
      readonly kind: 'frame';
      readonly operations: readonly Operation[];
      readonly header: number;
      readonly access: Access;
    }
  | { readonly kind: 'wait'; readonly ms: number }
  /** Each engine sweeps with a budget of its own: nobody may notice. */
  | { readonly kind: 'sweep'; readonly budgets: readonly [number, number] }
  /** So many keys beyond those of the frames, that tables grow; or all of them deleted again. */
  | {
      readonly kind: 'fill' | 'drain';
      readonly count: number;
      readonly valueBytes: number;
      readonly ttlMs: number | null;
    };

const KEYS = 12;

const steps: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 12,
    arbitrary: fc.record({
      kind: fc.constant('frame' as const),
      operations: fc.array(operations(KEYS), { maxLength: 12 }),
      header: fc.nat(2),
      access: fc.constantFrom<Access>(Access.FULL, Access.FULL, Access.FULL, Access.FULL, Access.READ, Access.NONE),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('wait' as const),
      ms: fc.oneof(fc.constantFrom(0, 1, 5, 10, 15), fc.constantFrom(-5, 7, 64, 1000, 60_000, 5_000_000)),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('sweep' as const), budgets: fc.tuple(fc.nat(50), fc.nat(50)) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constantFrom('fill' as const, 'drain' as const),
      count: fc.nat(1500),
      valueBytes: fc.nat(200),
      ttlMs: fc.constantFrom(null, 30, 2000),
    }),
  },
);

const histories = fc.array(steps, { maxLength: 60, size: 'max' });

function framesOf(step: Step): { payload: Uint8Array; scans: readonly boolean[] } | undefined {
  if (step.kind === 'frame') {
    return { payload: payloadOf(step.operations, step.header), scans: step.operations.map(({ scans }) => scans) };
  }
  if (step.kind !== 'fill' && step.kind !== 'drain') return undefined;
  const value = 'f'.repeat(step.valueBytes);
  const bulk = Array.from({ length: step.count }, (_, i) =>
    encode(step.kind === 'fill' ? [Op.SET, `fill-${i}`, value, step.ttlMs] : [Op.DEL, `fill-${i}`]),
  );
  return { payload: array(bulk), scans: bulk.map(() => false) };
}

/** Plays a history, and calls `frame` for each of its frames. Returns the time at the end, and the latest: clocks are set back. */
function play(
  history: readonly Step[],
  engines: readonly Engine[],
  frame: (payload: Uint8Array, nowMs: number, scans: readonly boolean[]) => void,
): { readonly endMs: number; readonly latestMs: number } {
  let nowMs = 1_700_000_000_000;
  let latestMs = nowMs;
  for (const step of history) {
    if (step.kind === 'wait') nowMs += step.ms;
    latestMs = Math.max(latestMs, nowMs);
    if (step.kind === 'sweep') engines.forEach((engine, i) => void engine.sweep(nowMs, step.budgets[i]!));
    const frames = framesOf(step);
    for (const engine of engines) engine.access = step.kind === 'frame' ? step.access : Access.FULL;
    if (frames) frame(frames.payload, nowMs, frames.scans);
    for (const engine of engines) engine.access = Access.FULL;
  }
  return { endMs: nowMs, latestMs };
}

describe('engines', () => {
  test('answer the same bytes and hold the same state', () => {
    const property = fc.property(histories, fc.integer({ min: 1, max: 20 }), hashSeeds, (history, scanCount, seed) => {
      const a = oracle({ redo: true, seed });
      const b = subject({ redo: true, seed });
      const { endMs } = play(history, [a, b], (payload, nowMs, scans) => {
        const [fromA, fromB] = [execute(a, payload, nowMs), execute(b, payload, nowMs)];
        expect(fromB.readable).toBe(fromA.readable);
        expect(hex(fromB.redo)).toBe(hex(fromA.redo));
        expect(b.redoTimeMs).toBe(a.redoTimeMs);
        if (fromA.readable && scans.includes(true)) compareResults(fromA.reply, fromB.reply, scans);
        else expect(hex(fromB.reply)).toBe(hex(fromA.reply));
      });
      expect(dump(b, endMs, scanCount)).toEqual(dump(a, endMs, scanCount));
      const prefix = ascii('k1');
      const prefixed = (engine: Engine): string[] => [...new Set(scanAll(engine, endMs, scanCount, prefix))].sort();
      expect(prefixed(b)).toEqual(prefixed(a));
    });
    fc.assert(property, { numRuns: 150 });
  });

  test('are rebuilt by their redo bytes at their times, each from the other one', () => {
    const property = fc.property(histories, fc.integer({ min: 0, max: 100 }), hashSeeds, (history, laterMs, seed) => {
      const originals = [oracle({ redo: true, seed }), subject({ redo: true, seed })];
      const copies = [subject({ redo: true, seed }), oracle({ redo: true, seed })];
      const { endMs, latestMs } = play(history, originals, (payload, nowMs) => {
        originals.forEach((original, i) => {
          const { redo } = execute(original, payload, nowMs);
          if (redo.length === 0) return;
          const replayed = execute(copies[i]!, redo, original.redoTimeMs);
          expect(replayed.readable).toBe(true);
          // What changed something does so again, all of it.
          expect(hex(replayed.redo)).toBe(hex(redo));
        });
      });
      const engines = [...originals, ...copies];
      // An engine's time does not go back, and of what changed nothing, the copies know not when it was.
      for (const engine of engines) engine.sweep(latestMs, 0);
      const [state, ...others] = engines.map((engine) => dump(engine, endMs + laterMs));
      for (const other of others) expect(other).toEqual(state);
    });
    fc.assert(property, { numRuns: 100 });
  });

  test('SCAN returns every key that is there throughout, whatever else happens between its pages', () => {
    const between = fc.array(fc.array(operations(KEYS), { maxLength: 8 }), { minLength: 1, maxLength: 20 });
    const bulk = fc.record({ count: fc.nat(800), fills: fc.boolean() });
    const property = fc.property(
      between,
      fc.array(bulk, { maxLength: 6 }),
      fc.integer({ min: 1, max: 30 }),
      hashSeeds,
      (frames, bulks, count, seed) => {
        for (const engine of [oracle({ seed }), subject({ seed })]) {
          // The frames may touch and clear anything; what stays is what is put back at once, in the same frame.
          const stays = Array.from({ length: 40 }, (_, i) => encode([Op.SET, `stays-${i}`, i]));
          results(engine, stays, 0);
          const found = new Set<string>();
          let cursor = 0n;
          let page = 0;
          do {
            const { keys, next } = readScan(results(engine, [scanOperation(cursor, count)], 0)[0]!);
            for (const key of keys) found.add(key);
            cursor = next;
            const frame = frames[page % frames.length]!;
            if (page < 100) results(engine, [...frame.map(({ bytes }) => bytes), ...stays], 0);
            const { count: fillCount, fills } = bulks[page] ?? { count: 0, fills: false };
            results(
              engine,
              Array.from({ length: fillCount }, (_, i) => encode(fills ? [Op.SET, `f${i}`, i] : [Op.DEL, `f${i}`])),
              0,
            );
            page++;
          } while (cursor !== 0n && page < 20_000);
          expect(cursor).toBe(0n);
          const missed = stays.map((_, i) => hex(ascii(`stays-${i}`))).filter((key) => !found.has(key));
          expect(missed).toEqual([]);
        }
      },
    );
    fc.assert(property, { numRuns: 60 });
  });

  test('the histories are worth it: they have hits, misses, expiries and errors of every code', () => {
    const seen = new Set<string>();
    const sample = fc.sample(histories, { numRuns: 60, seed: 1 });
    for (const history of sample) {
      const engine = oracle();
      play(history, [engine, oracle()], (payload, nowMs) => {
        const { readable, reply } = execute(engine, payload, nowMs);
        for (const result of readable ? elements(reply) : []) {
          seen.add(readError(result, 0, result.length)?.code ?? (result[0] === 0xc0 ? 'a miss' : 'a result'));
        }
      });
      if (engine.stats().expired > 0) seen.add('an expiry');
    }
    expect([...seen].sort()).toEqual(['AUTH', 'KEY', 'OP', 'RANGE', 'TYPE', 'a miss', 'a result', 'an expiry']);
    expect(keyName(9).length).toBe(300);
  });
});

/** Compares results one by one; for those of SCAN only whether both are results or the same error. */
function compareResults(a: Uint8Array, b: Uint8Array, scans: readonly boolean[]): void {
  const [fromA, fromB] = [elements(a), elements(b)];
  expect(fromB.length).toBe(fromA.length);
  fromA.forEach((result, i) => {
    const isError = result[0] === 0xc7;
    if (!scans[i] || isError) expect(hex(fromB[i]!), `result ${i}`).toBe(hex(result));
    else readScan(fromB[i]!);
  });
}
