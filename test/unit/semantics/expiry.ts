/** Expiry with explicit times: when touched, and by the sweep. */
import { describe, expect, test } from 'vitest';
import type { Engine } from '../../../core/engine/engine.ts';
import { MAX_TTL_MS, Op } from '../../../core/protocol.ts';
import { encode } from '../../support/bytes.ts';
import { type EngineFactory, expectReply, results, scanAll } from '../../support/engines.ts';

const { GET, SET, DEL, HAS, ADD, CAS, EXPIRE, TTL, PERSIST, TAKE, SCAN, COUNT, CLEAR } = Op;

export function expirySemantics(create: EngineFactory): void {
  describe('expiry', () => {
    test('a key is there until its time, and is missing from then on for every operation', () => {
      const engine = create();
      expectReply(engine, 1000, [[SET, 'a', 1, 100], true], [[SET, 'x', 1, 100], true], [[SET, 'n', 7, 100], true]);
      expectReply(engine, 1099, [[GET, 'a'], 1], [[TTL, 'a'], 1], [[COUNT], 3]);
      expectReply(
        engine,
        1100,
        [[GET, 'a'], null],
        [[HAS, 'a'], false],
        [[TTL, 'a'], null],
        [[PERSIST, 'a'], false],
        [[EXPIRE, 'a', 50], false],
        [[TAKE, 'a'], null],
        [[DEL, 'a'], false],
        [[COUNT], 0],
        [
          [SCAN, 0, 10],
          [0, []],
        ],
        [[ADD, 'n', 5], 5],
        [[CAS, 'x', null, 2], true],
        [[GET, 'a'], null],
      );
      expectReply(engine, 1100, [[TTL, 'n'], -1], [[TTL, 'x'], -1], [[COUNT], 2]);
    });

    test('an expired key is missing to the flags of SET and to CAS', () => {
      const engine = create();
      expectReply(engine, 0, [[SET, 'a', 1, 10], true], [[SET, 'b', 1, 10], true], [[SET, 'c', 1, 10], true]);
      expectReply(
        engine,
        10,
        [[SET, 'a', 2, null, 2], false],
        [[CAS, 'a', 1, 2], false],
        [[SET, 'b', 2, null, 1], true],
        [[TTL, 'b'], -1],
        [[SET, 'c', 2, null, 4], true],
        [[TTL, 'c'], -1],
      );
    });

    test('SET clears an expiry, keeps it with flag 4, and replaces it by its own', () => {
      const engine = create();
      expectReply(engine, 0, [[SET, 'a', 1, 100], true], [[SET, 'a', 2], true], [[TTL, 'a'], -1]);
      expectReply(
        engine,
        0,
        [[SET, 'a', 3, 100], true],
        [[SET, 'a', 4, null, 4], true],
        [[TTL, 'a'], 100],
        [[GET, 'a'], 4],
      );
      expectReply(engine, 60, [[TTL, 'a'], 40], [[SET, 'a', 5, 500], true], [[TTL, 'a'], 500]);
      expectReply(engine, 60, [[SET, 'b', 1, null, 4], true], [[TTL, 'b'], -1]);
      expectReply(engine, 120, [[SET, 'a', 'longer '.repeat(100), null, 6], true], [[TTL, 'a'], 440]);
    });

    test('a SET that a flag forbade leaves the expiry', () => {
      const engine = create();
      expectReply(
        engine,
        0,
        [[SET, 'a', 1, 100], true],
        [[SET, 'a', 2, null, 1], false],
        [[SET, 'a', 2, 5, 1], false],
        [[TTL, 'a'], 100],
      );
    });

    test('ADD and CAS keep it', () => {
      const engine = create();
      expectReply(
        engine,
        0,
        [[SET, 'n', 1, 100], true],
        [[ADD, 'n', 1], 2],
        [[ADD, 'n', 100_000], 100_002],
        [[CAS, 'n', 100_002, 'a longer one'], true],
      );
      expectReply(engine, 99, [[TTL, 'n'], 1], [[GET, 'n'], 'a longer one']);
      expectReply(engine, 100, [[GET, 'n'], null]);
      expectReply(engine, 100, [[ADD, 'n', 1], 1], [[TTL, 'n'], -1], [[CAS, 'm', null, 1], true], [[TTL, 'm'], -1]);
    });

    test('EXPIRE sets it anew, earlier and later, and PERSIST removes it', () => {
      const engine = create();
      expectReply(
        engine,
        0,
        [[SET, 'a', 1, 100], true],
        [[EXPIRE, 'a', 10], true],
        [[TTL, 'a'], 10],
        [[EXPIRE, 'a', 1000], true],
        [[TTL, 'a'], 1000],
      );
      expectReply(engine, 500, [[TTL, 'a'], 500], [[PERSIST, 'a'], true]);
      expectReply(engine, 5000, [[GET, 'a'], 1], [[TTL, 'a'], -1]);
    });

    test('a key that was deleted or taken has none when it comes again', () => {
      const engine = create();
      expectReply(
        engine,
        0,
        [[SET, 'a', 1, 10], true],
        [[DEL, 'a'], true],
        [[SET, 'a', 2], true],
        [[SET, 'b', 1, 10], true],
        [[TAKE, 'b'], 1],
        [[ADD, 'b', 1], 1],
      );
      expectReply(engine, 10, [[GET, 'a'], 2], [[GET, 'b'], 1]);
      expectReply(engine, 10, [[SET, 'c', 1, 10], true], [[CLEAR], true], [[SET, 'c', 1], true]);
      expectReply(engine, 20, [[GET, 'c'], 1]);
    });

    test('an earlier time counts as the one before', () => {
      const engine = create();
      expectReply(engine, 1000, [[SET, 'a', 1, 100], true]);
      expectReply(engine, 0, [[TTL, 'a'], 100], [[SET, 'b', 1, 50], true]);
      expect(engine.redoTimeMs).toBe(1000);
      expectReply(engine, 1100, [[GET, 'a'], null], [[GET, 'b'], null]);
      expectReply(engine, 1000, [[GET, 'a'], null], [[COUNT], 0]);
      expect(engine.redoTimeMs).toBe(1100);
    });

    test('the time of a sweep counts as well', () => {
      const engine = create();
      expectReply(engine, 1000, [[SET, 'a', 1, 100], true], [[SET, 'b', 1], true]);
      engine.sweep(1100, 100);
      expectReply(engine, 1050, [[GET, 'a'], null], [[COUNT], 1]);
    });

    test('the times of today and of the greatest ttl', () => {
      const engine = create();
      const now = 1_800_000_000_000;
      expectReply(
        engine,
        now,
        [[SET, 'a', 1, MAX_TTL_MS], true],
        [[EXPIRE, 'a', MAX_TTL_MS], true],
        [[TTL, 'a'], MAX_TTL_MS],
      );
      expectReply(engine, now + MAX_TTL_MS - 1, [[TTL, 'a'], 1]);
      expectReply(engine, now + MAX_TTL_MS, [[TTL, 'a'], null]);
    });

    // An engine may be some milliseconds late to remove a key, which is missing already: so the times lie well apart.
    test('sweeping removes what has expired and nothing else, within its budget', () => {
      const engine = create();
      const ttls = [null, 1000, 10_000];
      results(
        engine,
        Array.from({ length: 300 }, (_, i) => encode([SET, `k${i}`, i, ttls[i % 3]])),
        0,
      );
      expect(engine.stats()).toMatchObject({ keys: 300, keysWithExpiry: 200, expired: 0 });
      sweepAll(engine, 800, 7);
      expect(engine.stats()).toMatchObject({ keys: 300, keysWithExpiry: 200, expired: 0 });
      sweepAll(engine, 2000, 7);
      expect(engine.stats()).toMatchObject({ keys: 200, keysWithExpiry: 100, expired: 100 });
      sweepAll(engine, 9800, 1);
      expect(engine.stats()).toMatchObject({ keys: 200, keysWithExpiry: 100, expired: 100 });
      sweepAll(engine, 20_000, 1000);
      expect(engine.stats()).toMatchObject({ keys: 100, keysWithExpiry: 0, expired: 200 });
      expect(scanAll(engine, 20_000, 10).length).toBe(100);
      expect(engine.sweep(30_000, 100)).toBeLessThan(100);
    });

    test('sweeping comes to an end while more keys than its budget are about to expire', () => {
      for (const nowMs of [0, 59, 60, 61, 1000]) {
        const engine = create();
        results(
          engine,
          Array.from({ length: 50 }, (_, i) => encode([SET, `k${i}`, i, 60])),
          0,
        );
        sweepAll(engine, nowMs, 7);
        expectReply(engine, nowMs, [[COUNT], nowMs < 60 ? 50 : 0]);
      }
    });

    test('sweeping meets expiries that were set, changed or removed meanwhile', () => {
      const engine = create();
      const names = Array.from({ length: 60 }, (_, i) => `k${i}`);
      const write = (keys: readonly string[], ttlMs: number, nowMs: number): void => {
        results(
          engine,
          keys.map((key) => encode([SET, key, nowMs, ttlMs])),
          nowMs,
        );
      };
      write(names, 1000, 0);
      // Some of these are removed now, the others expired as well, and half of them all comes again.
      engine.sweep(2000, 10);
      write(names.slice(0, 30), 3000, 2000);
      results(
        engine,
        names.slice(0, 10).map((key) => encode([PERSIST, key])),
        2000,
      );
      sweepAll(engine, 2000, 9);
      expect(engine.stats()).toMatchObject({ keys: 30, keysWithExpiry: 20 });
      results(
        engine,
        names.slice(10, 15).map((key) => encode([EXPIRE, key, 10_000])),
        3000,
      );
      sweepAll(engine, 6000, 9);
      expect(engine.stats()).toMatchObject({ keys: 15, keysWithExpiry: 5 });
      sweepAll(engine, 14_000, 9);
      expect(engine.stats()).toMatchObject({ keys: 10, keysWithExpiry: 0 });
    });

    test('a sweep after a long rest finds everything, from milliseconds to years', () => {
      const engine = create();
      const ttls = Array.from({ length: 44 }, (_, i) => 2 ** i);
      results(
        engine,
        ttls.map((ttlMs) => encode([SET, `k${ttlMs}`, 1, ttlMs])),
        0,
      );
      for (const [i, ttlMs] of ttls.entries()) {
        if (i % 5 !== 4 || ttlMs < 1000) continue;
        sweepAll(engine, ttlMs + 100, 1_000_000);
        expect(engine.stats().keys).toBe(ttls.length - i - 1);
      }
    });
  });
}

/** Sweeps with a small budget again and again until nothing is left to do. */
function sweepAll(engine: Engine, nowMs: number, budget: number): void {
  for (let calls = 0; calls < 100_000; calls++) {
    const used = engine.sweep(nowMs, budget);
    expect(used).toBeLessThanOrEqual(budget);
    if (used < budget) return;
  }
  throw new Error('sweep does not come to an end');
}
