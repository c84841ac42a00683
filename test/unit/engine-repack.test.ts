/**
 * A replay lays keys out otherwise than the engine did whose redo bytes it executes. What had fitted there must fit, so the
 * records that lie scattered are moved together.
 */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Engine } from '../../core/engine/engine.ts';
import { createSwissEngine } from '../../core/engine/swiss.ts';
import { replayPayload } from '../../core/log/replay.ts';
import { Op } from '../../core/protocol.ts';
import { array, encode } from '../support/bytes.ts';
import { dump, execute, oracle, redoOf, results, scanAll, takeAllRoom } from '../support/engines.ts';
import { hashSeeds } from '../support/operations.ts';

const MiB = 1024 * 1024;
const PLACE = { directory: '', file: '', offset: 0 };
const TRUE = encode(true);

/** Sets all keys of one engine in another, in the order that a snapshot has: that of their hashes. */
function load(from: Engine, into: Engine, nowMs: number): void {
  const keys = scanAll(from, nowMs, 1000).map((key) => new Uint8Array(Buffer.from(key, 'hex')));
  for (let start = 0; start < keys.length; start += 500) {
    const some = keys.slice(start, start + 500);
    const values = results(
      from,
      some.map((key) => encode([Op.GET, key])),
      nowMs,
    );
    const sets = some.map((key, i) => array([encode(Op.SET), encode(key), values[i]!]));
    replayPayload(into, redoOf(sets), nowMs, PLACE);
  }
}

/**
 * Fills an engine with small keys, loads them into a copy, and replays there how the oldest give way to large values. Where they
 * were set one after the other, that empties slabs; where they lie in the order of their hashes, it makes holes in all.
 */
function replaceOldest(engine: Engine, copy: Engine): void {
  const write = (from: number, to: number, operation: (i: number) => unknown[], replayed: boolean): void => {
    for (let start = from; start < to; start += 200) {
      const operations = Array.from({ length: Math.min(200, to - start) }, (_, i) => encode(operation(start + i)));
      const { reply, redo } = execute(engine, array(operations), 0);
      expect(Buffer.compare(reply, array(operations.map(() => TRUE)))).toBe(0);
      if (replayed) replayPayload(copy, redo, 0, PLACE);
    }
  };
  write(0, 20_000, (i) => [Op.SET, `small-${i}`, 'x'.repeat(100)], false);
  load(engine, copy, 0);
  write(0, 12_000, (i) => [Op.DEL, `small-${i}`], true);
  write(0, 1600, (i) => [Op.SET, `large-${i}`, 'x'.repeat(1000)], true);
}

describe('repack', () => {
  test('a server that starts again writes on within its limit where it would have written before', () => {
    // It answered MEMORY: the same keys in the same bytes of memory, but these in 1.6 times the slabs.
    const options = { memoryBytesMax: 4 * MiB, redo: true };
    const engine = createSwissEngine(options);
    const copy = createSwissEngine(options);
    replaceOldest(engine, copy);
    copy.repack();
    expect(dump(copy, 0).join() === dump(engine, 0).join()).toBe(true);
    const more = encode([Op.SET, 'more', 'x'.repeat(200_000)]);
    expect([results(engine, [more], 0), results(copy, [more], 0)]).toEqual([[TRUE], [TRUE]]);
  });

  test('what had fitted into all there is can be replayed', () => {
    // It was refused, so that the server did not start.
    const engine = createSwissEngine({ memoryBytesMax: 4 * MiB, redo: true });
    const copy = createSwissEngine({ redo: true });
    // All but 20 MiB of the 4 GiB are taken.
    copy.reserveInput(MiB);
    const { allocate, free } = copy.room!;
    const left = allocate(4 * MiB);
    const forDump = allocate(16 * MiB);
    takeAllRoom(copy);
    free(left);
    replaceOldest(engine, copy);
    free(forDump);
    expect(dump(copy, 0).join() === dump(engine, 0).join()).toBe(true);
  });

  test('random histories go on as if nothing had been moved', () => {
    const key = fc.nat(3000).map((i) => (i % 50 === 0 ? `long-${i}`.padEnd(3000, '.') : `key-${i}`));
    const size = fc.oneof({ weight: 9, arbitrary: fc.nat(400) }, fc.constantFrom(3000, 4050, 20_000, 140_000));
    const operation = fc.oneof(
      { weight: 4, arbitrary: fc.tuple(key, size).map(([k, bytes]) => [Op.SET, k, 'x'.repeat(bytes)]) },
      {
        weight: 3,
        arbitrary: fc
          .tuple(key, size, fc.integer({ min: 1, max: 3000 }))
          .map(([k, bytes, ttl]) => [Op.SET, k, 'x'.repeat(bytes), ttl]),
      },
      { weight: 5, arbitrary: key.map((k) => [Op.DEL, k]) },
      { weight: 1, arbitrary: key.map((k) => [Op.EXPIRE, k, 20]) },
      { weight: 1, arbitrary: key.map((k) => [Op.PERSIST, k]) },
    );
    const frames = fc.array(fc.array(operation, { minLength: 300, maxLength: 400 }), { minLength: 5, maxLength: 12 });
    const property = fc.property(frames, hashSeeds, (history, seed) => {
      const engine = oracle();
      // It holds more than it may, so that it moves together what it can each time.
      const subject = createSwissEngine({ memoryBytesMax: MiB, redo: true, seed });
      replayPayload(subject, redoOf([encode([Op.SET, 'all it may hold', 'x'.repeat(MiB)])]), 0, PLACE);
      let nowMs = 1000;
      for (const frame of history) {
        nowMs += 100;
        const payload = array(frame.map(encode));
        const offset = subject.reserveInput(payload.length);
        subject.memory.set(payload, offset);
        subject.replay(offset, payload.length, nowMs);
        const { outputOffset, outputBytes } = subject;
        const reply = subject.memory.slice(outputOffset + 5, outputOffset + outputBytes);
        subject.clearOutput();
        expect(Buffer.compare(reply, execute(engine, payload, nowMs).reply)).toBe(0);
        subject.repack();
        if (nowMs % 300 === 0) subject.sweep(nowMs, 500);
      }
      results(engine, [encode([Op.SET, 'all it may hold', 'x'.repeat(MiB)])], nowMs);
      expect(dump(subject, nowMs)).toEqual(dump(engine, nowMs));
      // All links of the wheel lead on: whoever has a time to live goes, and nobody else.
      const later = nowMs + 10_000;
      subject.sweep(later, 1_000_000);
      expect(subject.stats().keysWithExpiry).toBe(0);
      expect(dump(subject, later)).toEqual(dump(engine, later));
      const keys = scanAll(subject, later, 1000).map((name) => new Uint8Array(Buffer.from(name, 'hex')));
      results(
        subject,
        keys.map((name) => encode([Op.DEL, name])),
        later,
      );
      const { usedBytes, indexBytes } = subject.stats();
      expect(usedBytes).toBe(indexBytes);
    });
    fc.assert(property, { numRuns: 6 });
  });
});
