/** An engine that owns some of the slots: operations on other keys do nothing, and answer where these are. */
import { describe, expect, test } from 'vitest';
import { Op } from '../../../core/protocol.ts';
import { divideSlots, slotOf } from '../../../core/slots.ts';
import { array, ascii, encode, hex, wireError } from '../../support/bytes.ts';
import { type EngineFactory, execute, expectReply, hostOf, results, scanAll } from '../../support/engines.ts';
import { ARGUMENTS, KEY_KIND, KEY_LENGTH, VALUE_NIL } from './errors.ts';

const { PING, GET, SET, DEL, HAS, ADD, CAS, EXPIRE, TTL, PERSIST, TAKE, SCAN, COUNT, CLEAR } = Op;

/** `foo` has slot 12,182, `hello` has 866. */
const [LOWER, UPPER] = divideSlots(2) as [{ first: 0; last: number }, { first: number; last: number }];
const MOVED = wireError('MOVED', '12182 tcp://elsewhere:7465');
const elsewhere = hostOf({ moved: (slot) => encode(wireError('MOVED', `${slot} tcp://elsewhere:7465`)) });

export function slotsSemantics(create: EngineFactory): void {
  describe('slots', () => {
    test('an operation on a key of another shard does nothing and is told where the key is', () => {
      const engine = create({ slots: LOWER, redo: true });
      engine.host = elsewhere;
      const operations = [
        [GET, 'foo'],
        [SET, 'foo', 1],
        [SET, 'foo', 1, 1000, 1],
        [DEL, 'foo'],
        [HAS, 'foo'],
        [ADD, 'foo', 1],
        [CAS, 'foo', null, 1],
        [EXPIRE, 'foo', 1000],
        [TTL, 'foo'],
        [PERSIST, 'foo'],
        [TAKE, 'foo'],
        [GET, ascii('foo')],
      ];
      expectReply(engine, 0, ...operations.map((operation) => [operation, MOVED] as const), [[COUNT], 0]);
      expect(execute(engine, array(operations.map(encode)), 0).redo.length).toBe(0);
    });

    test('those on its own keys, and those on none, are done', () => {
      const engine = create({ slots: LOWER, redo: true });
      engine.host = elsewhere;
      const set = encode([SET, 'hello', 1]);
      const { redo } = execute(engine, array([encode([SET, 'foo', 1]), set, encode([SET, 'foo', 2])]), 0);
      expect(hex(redo)).toBe(`dd00000001${hex(set)}`);
      expectReply(engine, 0, [[GET, 'hello'], 1], [[GET, 'foo'], MOVED], [[PING], 'PONG'], [[COUNT], 1]);
      expect(scanAll(engine, 0, 10)).toEqual([hex(ascii('hello'))]);
      expectReply(
        engine,
        0,
        [
          [SCAN, 0, 10, 'foo'],
          [0, []],
        ],
        [[CLEAR], true],
        [[COUNT], 0],
      );
    });

    test('the arguments count in their order: what is wrong with the key before, with the others after', () => {
      const engine = create({ slots: LOWER });
      engine.host = elsewhere;
      expectReply(
        engine,
        0,
        [[SET, 'foo'], ARGUMENTS],
        [[SET, 1, 1], KEY_KIND],
        [[SET, '', 1], KEY_LENGTH],
        [[SET, 'foo', null], MOVED],
        [[SET, 'hello', null], VALUE_NIL],
      );
    });

    test('both ends of its range are its own', () => {
      for (const [first, last, isOwn] of [
        [12_182, 12_182, true],
        [0, 12_182, true],
        [12_182, 16_383, true],
        [0, 12_181, false],
        [12_183, 16_383, false],
      ] as const) {
        const engine = create({ slots: { first, last } });
        engine.host = elsewhere;
        expectReply(engine, 0, [[SET, 'foo', 1], isOwn ? true : MOVED]);
      }
    });

    test('keys of every form are on the shard that their slot says', () => {
      const keys = [
        'a',
        'k'.repeat(300),
        '{tag}x',
        'x{tag}',
        'x{}y',
        'x{tag',
        '}{',
        '{a}{b}',
        'x{{y}}',
        '\u00fc{\u00fc}',
      ];
      for (const [shard, slots] of [LOWER, UPPER].entries()) {
        const engine = create({ slots });
        engine.host = hostOf({ moved: (slot) => encode(slot) });
        for (const key of keys.map((text) => Uint8Array.from(Buffer.from(text)))) {
          const slot = slotOf(key);
          expectReply(engine, 0, [[HAS, key], Math.floor(slot / 8192) === shard ? false : slot]);
        }
      }
    });

    test('an engine on its own knows the slot alone', () => {
      expectReply(create({ slots: LOWER }), 0, [[GET, 'foo'], wireError('MOVED', '12182')]);
    });

    test('what is told counts against the reply as values do', () => {
      const engine = create({ slots: LOWER });
      engine.host = hostOf({ moved: () => encode('x'.repeat(60_000)) });
      const replies = results(engine, new Array(1200).fill(encode([GET, 'foo'])), 0).map((result) => result.length);
      expect(replies.filter((length) => length > 60_000).length).toBe(Math.floor((64 * 1024 * 1024) / 60_003));
      expect(replies.at(-1)).toBeLessThan(100);
    });

    test.each([
      { first: -1, last: 5 },
      { first: 6, last: 5 },
      { first: 0, last: 16_384 },
      { first: 0.5, last: 5 },
    ])('refuses the slots $first to $last', (slots) => {
      expect(() => create({ slots })).toThrow(RangeError);
    });
  });
}
