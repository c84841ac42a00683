/** Every encoding that MessagePack allows, and what happens to payloads that can not be read. */
import { describe, expect, test } from 'vitest';
import type { Engine } from '../../../core/engine/engine.ts';
import { MAX_ERROR_BYTES, MAX_FRAME_OPERATIONS, Op } from '../../../core/protocol.ts';
import {
  array,
  arrayHeaders,
  ascii,
  concat,
  encode,
  fromHex,
  hex,
  integerEncodings,
  nested,
  stringEncodings,
  wireError,
} from '../../support/bytes.ts';
import { type EngineFactory, execute, expectReply, results } from '../../support/engines.ts';
import { NO_OPERATION, UNKNOWN } from './errors.ts';

const { PING, GET, SET, ADD, CAS, TAKE, COUNT, CLEAR } = Op;
const INT64_MAX = 2n ** 63n - 1n;
const INT64_MIN = -(2n ** 63n);

/** Payloads that can't be read, and the message of the FRAME error. */
const ILL_FORMED = 'truncated or ill-formed MessagePack';
const TOO_DEEP = 'nested more than 32 deep';
const FRAME_ERRORS: readonly (readonly [title: string, payload: Uint8Array, message: string])[] = [
  ['nothing at all', fromHex(''), ILL_FORMED],
  ['an integer', fromHex('01'), 'payload is not an array'],
  ['nil', fromHex('c0'), 'payload is not an array'],
  ['a map', fromHex('80'), 'payload is not an array'],
  ['a text, truncated', fromHex('a5'), 'payload is not an array'],
  ['the byte that MessagePack never uses', fromHex('c1'), 'payload is not an array'],
  ['a truncated array16 header', fromHex('dc 00'), ILL_FORMED],
  ['a truncated array32 header', fromHex('dd 000000'), ILL_FORMED],
  ['too few operations', fromHex('92 91 00'), ILL_FORMED],
  ['a truncated operation', fromHex('91 92 01'), ILL_FORMED],
  ['a truncated key', fromHex('91 92 01 a2 61'), ILL_FORMED],
  ['a key whose length lies', fromHex('91 92 01 db ffffffff 61'), ILL_FORMED],
  ['an operation whose length lies', fromHex('91 dd ffffffff 01'), ILL_FORMED],
  ['a value that is no MessagePack', fromHex('91 93 02 a1 61 c1'), ILL_FORMED],
  ['an ext without its type', fromHex('91 93 02 a1 61 c7 00'), ILL_FORMED],
  ['no MessagePack where no operation stands', fromHex('91 c1'), ILL_FORMED],
  ['bytes after the array', fromHex('91 91 00 00'), "bytes after the payload's array"],
  ['a byte after the empty array', fromHex('90 c1'), "bytes after the payload's array"],
  ['a value 33 deep', concat(fromHex('91 93 02 a1 61'), nested(33)), TOO_DEEP],
  ['maps 33 deep', concat(fromHex('91 92 00'), fromHex('81 01'.repeat(33)), fromHex('01')), TOO_DEEP],
  [
    'an element 33 deep where no operation stands',
    concat(fromHex('91'), fromHex('81 01'.repeat(33)), fromHex('01')),
    TOO_DEEP,
  ],
  ['an unknown operation with an argument 33 deep', concat(fromHex('91 92 63'), nested(33)), TOO_DEEP],
  ['a code 33 deep', concat(fromHex('91 91'), nested(33)), TOO_DEEP],
  ['an empty array 33 deep', concat(fromHex('91 92 00'), nested(32, fromHex('90'))), TOO_DEEP],
  ['too deep before it is truncated', concat(fromHex('92 92 00'), nested(33)), TOO_DEEP],
  ['ill-formed before it is too deep', concat(fromHex('92 92 00 c1 92 00'), nested(33)), ILL_FORMED],
  ['truncated where it would become too deep', concat(fromHex('91 92 00'), nested(32, fromHex('dc 00'))), ILL_FORMED],
  [
    'more operations than a frame may have',
    fromHex('dd 00100001 91 00'),
    `more than ${MAX_FRAME_OPERATIONS} operations in one frame`,
  ],
  ['4,294,967,295 operations', fromHex('dd ffffffff'), `more than ${MAX_FRAME_OPERATIONS} operations in one frame`],
  ['as many operations as allowed, truncated', fromHex('dd 00100000 91 00'), ILL_FORMED],
];

export function encodingsSemantics(create: EngineFactory): void {
  describe('encodings', () => {
    test('every encoding of payload, operation, code, key and integer', () => {
      const key = ascii('key');
      for (const payloadHeader of arrayHeaders(1)) {
        for (const operationHeader of arrayHeaders(3)) {
          for (const code of integerEncodings(BigInt(ADD))) {
            for (const keyBytes of stringEncodings(key)) {
              for (const delta of integerEncodings(7n)) {
                const payload = concat(payloadHeader, operationHeader, code, keyBytes, delta);
                expect(hex(execute(create0(), payload, 0).reply), hex(payload)).toBe('9107');
              }
            }
          }
        }
      }
      // One engine for all of them, emptied each time: there are some thousands.
      function create0(): Engine {
        shared ??= create();
        results(shared, [encode([CLEAR])], 0);
        return shared;
      }
    });
    let shared: Engine | undefined;

    test('values come back as the bytes that came', () => {
      const engine = create();
      const values = [
        ...integerEncodings(5n),
        ...integerEncodings(-5n),
        ...stringEncodings(ascii('v')),
        ...arrayHeaders(0),
        fromHex('de 0000'),
        fromHex('df 00000000'),
        fromHex('ca 3fc00000'),
        fromHex('c8 0001 05 ff'),
        fromHex('c9 00000001 05 ff'),
        fromHex('d4 01 00'),
        fromHex('c7 00 01'),
        fromHex('a2 ff fe'),
        fromHex('cb 7ff8000000000001'),
      ];
      for (const value of values) {
        const operations = [
          array([encode(SET), encode('a'), value]),
          encode([GET, 'a']),
          array([encode(PING), value]),
          array([encode(CAS), encode('a'), value, value]),
          encode([TAKE, 'a']),
        ];
        const [set, get, ping, cas, take] = results(engine, operations, 0).map(hex);
        expect([set, get, ping, cas, take]).toEqual(['c3', hex(value), hex(value), 'c3', hex(value)]);
      }
    });

    test('ADD takes every encoding, and stores and answers the shortest', () => {
      const engine = create();
      for (const value of [
        0n,
        5n,
        -5n,
        -32n,
        127n,
        200n,
        -200n,
        40_000n,
        2n ** 31n,
        2n ** 40n,
        -(2n ** 40n),
        INT64_MAX,
        INT64_MIN,
      ]) {
        for (const stored of integerEncodings(value)) {
          const operations = [array([encode(SET), encode('n'), stored]), encode([ADD, 'n', 0]), encode([GET, 'n'])];
          const shortest = hex(integerEncodings(value)[0]!);
          expect(results(engine, operations, 0).map(hex), hex(stored)).toEqual(['c3', shortest, shortest]);
        }
      }
    });

    test('CAS compares encodings, not values', () => {
      const engine = create();
      const [short, long] = integerEncodings(5n) as [Uint8Array, Uint8Array];
      const compare = (expected: Uint8Array): Uint8Array => array([encode(CAS), encode('a'), expected, encode(6)]);
      const operations = [encode([SET, 'a', 5]), compare(long), compare(short)];
      expect(results(engine, operations, 0).map(hex)).toEqual(['c3', 'c2', 'c3']);
    });

    test('values 32 deep', () => {
      const value = nested(32);
      const operations = [
        array([encode(SET), encode('a'), value]),
        encode([GET, 'a']),
        array([encode(PING), nested(31, fromHex('81 01 c0'))]),
        // Deep elements are no reason to refuse the frame where they don't belong either.
        concat(fromHex('81 01'.repeat(32)), fromHex('01')),
        array([encode(99), value]),
      ];
      const expected = [
        'c3',
        hex(value),
        hex(nested(31, fromHex('81 01 c0'))),
        hex(encode(NO_OPERATION)),
        hex(encode(UNKNOWN)),
      ];
      expect(results(create(), operations, 0).map(hex)).toEqual(expected);
    });
  });

  describe('payloads that can not be read', () => {
    test.each(FRAME_ERRORS)('%s', (_title, payload, message) => {
      const engine = create({ redo: true });
      expectReply(engine, 0, [[SET, 'a', 1], true]);
      const { readable, reply, redo } = execute(engine, payload, 1000);
      expect(hex(reply)).toBe(hex(encode(wireError('FRAME', message))));
      expect(reply.length).toBeLessThanOrEqual(MAX_ERROR_BYTES);
      expect(readable).toBe(false);
      expect(redo.length).toBe(0);
      expectReply(engine, 0, [[GET, 'a'], 1], [[COUNT], 1]);
    });

    test('nothing of them runs', () => {
      const engine = create();
      const { readable } = execute(engine, concat(fromHex('92'), encode([SET, 'a', 1]), fromHex('92 01')), 0);
      expect(readable).toBe(false);
      expectReply(engine, 0, [[COUNT], 0]);
    });
  });
}
