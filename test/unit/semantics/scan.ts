/** SCAN and COUNT over many keys, also while they come, go and expire. */
import { describe, expect, test } from 'vitest';
import type { Engine } from '../../../core/engine/engine.ts';
import { Op } from '../../../core/protocol.ts';
import { ascii, encode, hex } from '../../support/bytes.ts';
import { type EngineFactory, expectReply, readScan, results, scanAll } from '../../support/engines.ts';

const { SET, DEL, EXPIRE, SCAN, COUNT } = Op;

export function scanSemantics(create: EngineFactory): void {
  describe('SCAN and COUNT', () => {
    const names = Array.from({ length: 500 }, (_, i) => `key-${i}`);
    const filled = (): Engine => {
      const engine = create();
      results(
        engine,
        names.map((key) => encode([SET, key, 1])),
        0,
      );
      return engine;
    };
    const inHex = (keys: readonly string[]): string[] => keys.map((key) => hex(ascii(key))).sort();

    test.each([1, 3, 10, 499, 500, 100_000])('a whole iteration, %i at a time, gives every key', (count) => {
      expect([...new Set(scanAll(filled(), 0, count))].sort()).toEqual(inHex(names));
    });

    test('count bounds a page, about', () => {
      const engine = filled();
      const { keys } = readScan(results(engine, [encode([SCAN, 0, 10])], 0)[0]!);
      expect(keys.length).toBeGreaterThan(0);
      expect(keys.length).toBeLessThan(100);
    });

    test('a prefix gives those that start with it', () => {
      const wanted = names.filter((key) => key.startsWith('key-4'));
      expect([...new Set(scanAll(filled(), 0, 7, ascii('key-4')))].sort()).toEqual(inHex(wanted));
    });

    test('keys that are there throughout are all returned while others come and go', () => {
      const engine = filled();
      const found = new Set<string>();
      let cursor = 0n;
      let round = 0;
      do {
        const page = readScan(results(engine, [encode([SCAN, Number(cursor), 5])], 0)[0]!);
        for (const key of page.keys) found.add(key);
        cursor = page.next;
        // Grows manifold under the iteration, and loses every other key.
        const comings = Array.from({ length: 50 }, (_, i) => encode([SET, `new-${round}-${i}`, 1]));
        const goings = round * 2 < names.length ? [encode([DEL, names[round * 2]!])] : [];
        if (round < 300) results(engine, [...comings, ...goings], 0);
        round++;
      } while (cursor !== 0n && round < 1_000_000);
      const stayed = names.filter((_, i) => i % 2 === 1);
      expect(inHex(stayed).filter((key) => !found.has(key))).toEqual([]);
    });

    test('a step over long keys ends after about a megabyte of them', () => {
      const engine = create();
      // Together they are more than a reply may hold.
      const longKeys = 1200;
      const key = new Uint8Array(60_000);
      for (let i = 0; i < longKeys; i++) {
        new DataView(key.buffer).setUint32(0, i);
        results(engine, [encode([SET, key, 1])], 0);
      }
      const found = new Set<number>();
      let cursor = 0n;
      do {
        const page = readScan(results(engine, [encode([SCAN, Number(cursor), 10_000])], 0)[0]!);
        expect(page.keys.length).toBeLessThan(40);
        for (const name of page.keys) found.add(Number.parseInt(name.slice(0, 8), 16));
        cursor = page.next;
      } while (cursor !== 0n);
      expect(found.size).toBe(longKeys);
    });

    test('only live keys are given and counted', () => {
      const engine = filled();
      results(
        engine,
        names.slice(0, 200).map((key) => encode([EXPIRE, key, 50])),
        0,
      );
      expectReply(engine, 49, [[COUNT], 500]);
      expectReply(engine, 50, [[COUNT], 300]);
      expect([...new Set(scanAll(engine, 50, 20))].sort()).toEqual(inHex(names.slice(200)));
      expectReply(engine, 60, [[COUNT], 300]);
    });
  });
}
