/** Limits, the memory that requests and replies lie in, and the figures. */
import { describe, expect, test } from 'vitest';
import { MAX_REPLY_BYTES, Op } from '../../../core/protocol.ts';
import { array, concat, encode, fromHex, hex } from '../../support/bytes.ts';
import { type EngineFactory, elements, execute, expectReply, results } from '../../support/engines.ts';
import { MEMORY_LIMIT, REPLY_LIMIT } from './errors.ts';

const { PING, GET, SET, DEL, HAS, CAS, TAKE, SCAN, COUNT, CLEAR } = Op;

export function memorySemantics(create: EngineFactory): void {
  describe('limits', () => {
    test('a reply returns so many bytes of values and no more, and what it refused was not done', () => {
      const engine = create({ redo: true });
      // Four of these with their headers of five bytes are exactly as much as is allowed.
      const value = encode(new Uint8Array(MAX_REPLY_BYTES / 4 - 5));
      expect(hex(results(engine, [array([encode(SET), encode('big'), value]), encode([SET, 'a', 1])], 0)[0]!)).toBe(
        'c3',
      );
      const get = encode([GET, 'big']);
      const operations = [
        get,
        get,
        get,
        get,
        get,
        [GET, 'a'],
        [TAKE, 'big'],
        [PING, 1],
        [SCAN, 0, 10],
        [GET, 'zz'],
        [HAS, 'big'],
        [COUNT],
        [PING],
      ];
      const { reply, redo } = execute(
        engine,
        array(operations.map((operation) => (operation === get ? get : encode(operation)))),
        0,
      );
      const parts = elements(reply);
      expect(parts.slice(0, 4).every((part) => Buffer.compare(part, value) === 0)).toBe(true);
      const rest = [REPLY_LIMIT, REPLY_LIMIT, REPLY_LIMIT, REPLY_LIMIT, REPLY_LIMIT, null, true, 2, 'PONG'];
      expect(parts.slice(4).map(hex)).toEqual(rest.map(encode).map(hex));
      expect(redo.length).toBe(0);
      // The next frame has a budget of its own.
      expect(Buffer.compare(results(engine, [encode([TAKE, 'big'])], 0)[0]!, value)).toBe(0);
    });

    test('when memory runs out writes are refused, reads and deletes go on, and what was freed serves again', () => {
      const engine = create({ memoryBytesMax: 4 * 1024 * 1024, redo: true });
      const value = 'x'.repeat(1000);
      const write = (i: number): Uint8Array => encode([SET, `key-${i}`, value]);
      const full = hex(encode(MEMORY_LIMIT));
      let count = 0;
      while (hex(results(engine, [write(count)], 0)[0]!) !== full) {
        count++;
        if (count > 4200) throw new Error('the limit of 4 MiB was never met');
      }
      expect(count).toBeGreaterThan(2000);
      const { usedBytes, limitBytes } = engine.stats();
      expect(limitBytes).toBe(4 * 1024 * 1024);
      expect(usedBytes).toBeLessThanOrEqual(limitBytes);

      const { redo } = execute(engine, array([write(count)]), 0);
      expect(redo.length).toBe(0);
      const huge = 'y'.repeat(100_000);
      expectReply(
        engine,
        0,
        [[SET, 'key-0', huge], MEMORY_LIMIT],
        [[CAS, 'key-0', value, huge], MEMORY_LIMIT],
        [[GET, 'key-0'], value],
        [[COUNT], count],
        [[HAS, `key-${count}`], false],
      );
      for (let i = 0; i < 200; i++) expectReply(engine, 0, [[DEL, `key-${i}`], true]);
      expectReply(engine, 0, [[SET, 'key-0', value], true], [[GET, 'key-0'], value], [[GET, 'key-500'], value]);
    });
  });

  describe('memory', () => {
    test('replies are appended as frames until they are cleared, and outlast a greater room for requests', () => {
      const engine = create();
      const payload = array([encode([PING, 'x'.repeat(100)])]);
      // 91, d9 64 and the 100 letters.
      const frame = hex(concat(fromHex('ce 00000067'), array([encode('x'.repeat(100))])));
      const output = (): string =>
        hex(engine.memory.slice(engine.outputOffset, engine.outputOffset + engine.outputBytes));
      const executeAtEndOf = (room: number): void => {
        const offset = engine.reserveInput(room) + room - payload.length;
        engine.memory.set(payload, offset);
        engine.execute(offset, payload.length, 0);
      };
      executeAtEndOf(payload.length);
      expect(output()).toBe(frame);
      engine.reserveInput(1_000_000);
      expect(output()).toBe(frame);
      executeAtEndOf(1_000_000);
      executeAtEndOf(1_000_000);
      expect(output()).toBe(frame.repeat(3));
      engine.clearOutput();
      expect(engine.outputBytes).toBe(0);
      executeAtEndOf(1_000_000);
      expect(output()).toBe(frame);
    });

    test('the room for requests keeps its place and content over executions that make the memory grow', () => {
      const engine = create();
      const offset = engine.reserveInput(1 << 20);
      const first = array([array([encode(SET), encode('a'), encode('v'.repeat(1_000_000))])]);
      const second = array(new Array(20).fill(encode([GET, 'a'])));
      engine.memory.set(first, offset);
      engine.memory.set(second, offset + (1 << 20) - second.length);
      expect(engine.execute(offset, first.length, 0)).toBe(true);
      expect(engine.reserveInput(1 << 19)).toBe(offset);
      expect(engine.execute(offset + (1 << 20) - second.length, second.length, 0)).toBe(true);
      expect(engine.outputBytes).toBeGreaterThan(20_000_000);
      const kept = engine.memory.slice(offset, offset + first.length);
      expect(Buffer.compare(kept, first)).toBe(0);
    });

    test('a room that no memory can hold is refused', () => {
      expect(() => create().reserveInput(2 ** 40)).toThrow(RangeError);
    });

    test('the figures follow what is held', () => {
      const engine = create();
      const empty = engine.stats();
      expect(empty).toMatchObject({ keys: 0, keysWithExpiry: 0, expired: 0 });
      results(
        engine,
        Array.from({ length: 1000 }, (_, i) => encode([SET, `k${i}`, 'v'.repeat(1000), i % 2 ? 100 : null])),
        0,
      );
      const full = engine.stats();
      expect(full).toMatchObject({ keys: 1000, keysWithExpiry: 500 });
      expect(full.usedBytes - empty.usedBytes).toBeGreaterThan(1_000_000);
      expect(full.usedBytes).toBeGreaterThan(full.indexBytes);
      expect(full.reservedBytes).toBeGreaterThanOrEqual(full.usedBytes);
      expect(full.usedBytes).toBeLessThanOrEqual(full.limitBytes);
      results(engine, [encode([CLEAR])], 0);
      expect(engine.stats()).toMatchObject({ keys: 0, keysWithExpiry: 0 });
      expect(engine.stats().usedBytes).toBeLessThan(full.usedBytes / 2);
    });
  });
}
