/** The engine `map`: what every engine does, and what is its own. */
import { describe, expect, test } from 'vitest';
import { MAX_ENGINE_BYTES } from '../../core/engine/engine.ts';
import { createMapEngine } from '../../core/engine/map.ts';
import { Op } from '../../core/protocol.ts';
import { ascii, encode, hex } from '../support/bytes.ts';
import { readScan, results, scanAll, scanOperation } from '../support/engines.ts';
import { engineSemantics } from './engine-semantics.ts';

engineSemantics('map', createMapEngine);

describe('engine map alone', () => {
  test('accounts for key, value and 64 bytes, and exactly for the limit', () => {
    const engine = createMapEngine({ memoryBytesMax: 2 * (1 + 2 + 64) });
    const set = (key: string, value: string): number => results(engine, [encode([Op.SET, key, value])], 0)[0]![0]!;
    expect(set('a', 'x')).toBe(0xc3);
    expect(engine.stats()).toMatchObject({ usedBytes: 67, indexBytes: 64 });
    expect(set('b', 'xy')).toBe(0xc7);
    expect(set('b', 'x')).toBe(0xc3);
    expect(set('b', 'xy')).toBe(0xc7);
    expect(set('b', '')).toBe(0xc3);
    expect(set('a', 'xy')).toBe(0xc3);
    results(engine, [encode([Op.DEL, 'a']), encode([Op.DEL, 'b'])], 0);
    expect(engine.stats().usedBytes).toBe(0);
  });

  test('a sweep is no use of a key: the one that was asked for longest ago gives way', () => {
    // The sweep moved the keys that it let live to the newest end.
    const engine = createMapEngine({ memoryBytesMax: 3 * (1 + 1 + 64), eviction: 'clock' });
    const set = (nowMs: number, ...operation: unknown[]): Uint8Array =>
      results(engine, [encode([Op.SET, ...operation])], nowMs)[0]!;
    set(0, 'a', 1, 1000);
    set(0, 'b', 1);
    set(0, 'c', 1, 10);
    engine.sweep(20, 100);
    for (const key of ['d', 'e']) expect(set(20, key, 1)).toEqual(encode(true));
    expect(
      results(
        engine,
        ['a', 'b'].map((key) => encode([Op.HAS, key])),
        20,
      ).map(hex),
    ).toEqual(['c2', 'c3']);
  });

  test('SCAN never parts keys of one hash, and goes on behind them', () => {
    // These pairs are known to have the same FNV-1a hash of 32 bits.
    const keys = ['costarring', 'liquid', 'declinate', 'macallums', 'altarage', 'zinke'];
    const engine = createMapEngine();
    results(
      engine,
      keys.map((key) => encode([Op.SET, key, 1])),
      0,
    );
    expect(scanAll(engine, 0, 1).sort()).toEqual(keys.map((key) => hex(ascii(key))).sort());
    const pages = [];
    for (let cursor = 0n, pagesLeft = 6; pagesLeft > 0; pagesLeft--) {
      const page = readScan(results(engine, [scanOperation(cursor, 1)], 0)[0]!);
      pages.push(page.keys.length);
      cursor = page.next;
      if (cursor === 0n) break;
    }
    expect(pages).toEqual([2, 2, 2]);
  });

  test('refuses a limit that it can not keep', () => {
    for (const memoryBytesMax of [0, -1, 1.5, Number.NaN, MAX_ENGINE_BYTES + 1]) {
      expect(() => createMapEngine({ memoryBytesMax }), `${memoryBytesMax}`).toThrow(
        /memoryBytesMax is .* must be an integer/,
      );
    }
  });

  test('refuses to execute what lies outside its room for requests', () => {
    const engine = createMapEngine();
    engine.reserveInput(10);
    for (const [offset, length] of [
      [-1, 5],
      [0, 11],
      [10, 1],
      [5, -1],
    ] as const) {
      expect(() => engine.execute(offset, length, 0), `${offset}, ${length}`).toThrow(RangeError);
    }
  });
});
