/** Every operation, flag and error: what is answered, what is refused and with which words. */
import { describe, expect, test } from 'vitest';
import { MAX_ERROR_BYTES, MAX_FRAME_OPERATIONS, MAX_TTL_MS, Op } from '../../../core/protocol.ts';
import { array, arrayHeaders, ascii, concat, encode, fromHex, hex, wireError } from '../../support/bytes.ts';
import { type EngineFactory, type Exchange, execute, expectReply, hostOf, results } from '../../support/engines.ts';
import {
  ARGUMENTS,
  BAD_COUNT,
  BAD_CURSOR,
  BAD_FLAGS,
  BAD_TTL,
  BEYOND_INT64,
  KEY_KIND,
  KEY_LENGTH,
  NO_INTEGER,
  NO_OPERATION,
  OVERFLOW,
  STORED_KIND,
  UNKNOWN,
  VALUE_NIL,
} from './errors.ts';

const { PING, GET, SET, DEL, HAS, ADD, CAS, EXPIRE, TTL, PERSIST, TAKE, SCAN, COUNT, CLEAR, HELLO, AUTH, INFO } = Op;
const INT64_MAX = 2n ** 63n - 1n;
const INT64_MIN = -(2n ** 63n);

/** Operations of one frame and their results, on an empty engine. */
type Row = readonly [title: string, ...exchanges: Exchange[]];

const ROWS: readonly Row[] = [
  ['PING alone', [[PING], 'PONG']],
  ['PING answers its argument', [[PING, 'x'], 'x'], [[PING, null], null], [[PING, { a: [1.5] }], { a: [1.5] }]],
  ['PING of two arguments', [[PING, 1, 2], ARGUMENTS]],
  ['no operations'],
  ['GET of a missing key', [[GET, 'a'], null]],
  ['SET, then GET', [[SET, 'a', '1'], true], [[GET, 'a'], '1']],
  [
    'SET replaces, by shorter and longer',
    [[SET, 'a', 'four'], true],
    [[SET, 'a', 1], true],
    [[GET, 'a'], 1],
    [[SET, 'a', 'x'.repeat(5000)], true],
    [[GET, 'a'], 'x'.repeat(5000)],
  ],
  ...[false, 0, -1, 1.5, '', 'é', Uint8Array.of(1), [], [null], {}, { n: null }].map(
    (value, i): Row => [`value of kind ${i}`, [[SET, 'a', value], true], [[GET, 'a'], value]],
  ),
  [
    'keys are bytes: str and bin are the same',
    [[SET, 'ab', 1], true],
    [[GET, ascii('ab')], 1],
    [[SET, ascii('ab'), 2], true],
    [[GET, 'ab'], 2],
    [[COUNT], 1],
  ],
  [
    'keys that differ in one byte or in length',
    [[SET, 'a', 1], true],
    [[SET, 'b', 2], true],
    [[SET, 'aa', 3], true],
    [[SET, 'a\0', 4], true],
    [[GET, 'a'], 1],
    [[GET, 'b'], 2],
    [[GET, 'aa'], 3],
    [[GET, 'a\0'], 4],
    [[COUNT], 4],
  ],
  [
    'keys of any bytes',
    [[SET, Uint8Array.of(0), 1], true],
    [[SET, Uint8Array.of(255), 2], true],
    [[SET, Uint8Array.of(0x80), 3], true],
    [[GET, Uint8Array.of(0)], 1],
    [[GET, Uint8Array.of(255)], 2],
    [[GET, Uint8Array.of(0x80)], 3],
  ],
  [
    'a key of 65,535 bytes',
    [[SET, 'k'.repeat(65_535), 1], true],
    [[GET, 'k'.repeat(65_535)], 1],
    [[DEL, 'k'.repeat(65_535)], true],
  ],
  [
    'a key of 65,536 bytes, and of none',
    [[GET, 'k'.repeat(65_536)], KEY_LENGTH],
    [[SET, 'k'.repeat(65_536), 1], KEY_LENGTH],
    [[GET, ''], KEY_LENGTH],
    [[SET, new Uint8Array(), 1], KEY_LENGTH],
  ],
  ['a value that is nil', [[SET, 'a', null], VALUE_NIL], [[HAS, 'a'], false]],
  ['DEL', [[DEL, 'a'], false], [[SET, 'a', 1], true], [[DEL, 'a'], true], [[DEL, 'a'], false], [[GET, 'a'], null]],
  ['HAS', [[HAS, 'a'], false], [[SET, 'a', 1], true], [[HAS, 'a'], true]],
  ['TAKE', [[TAKE, 'a'], null], [[SET, 'a', [1]], true], [[TAKE, 'a'], [1]], [[TAKE, 'a'], null], [[HAS, 'a'], false]],
  ['SET only if missing', [[SET, 'a', 1, null, 1], true], [[SET, 'a', 2, null, 1], false], [[GET, 'a'], 1]],
  [
    'SET only if present',
    [[SET, 'a', 1, null, 2], false],
    [[HAS, 'a'], false],
    [[SET, 'a', 2], true],
    [[SET, 'a', 3, null, 2], true],
    [[GET, 'a'], 3],
  ],
  [
    'SET with the flags 0, 4, 5 and 6',
    [[SET, 'a', 1, null, 0], true],
    [[SET, 'a', 2, null, 4], true],
    [[SET, 'a', 3, null, 5], false],
    [[SET, 'a', 4, null, 6], true],
    [[GET, 'a'], 4],
    [[SET, 'b', 1, null, 6], false],
    [[SET, 'b', 2, null, 5], true],
    [[GET, 'b'], 2],
  ],
  [
    'SET with flags that exclude each other',
    [[SET, 'a', 1, null, 3], BAD_FLAGS],
    [[SET, 'a', 1, null, 7], BAD_FLAGS],
    [[SET, 'a', 1, 5, 4], BAD_FLAGS],
    [[HAS, 'a'], false],
  ],
  [
    'SET with flags outside 0 to 7',
    [[SET, 'a', 1, null, 8], BAD_FLAGS],
    [[SET, 'a', 1, null, -1], BAD_FLAGS],
    [[SET, 'a', 1, null, INT64_MAX], BAD_FLAGS],
    [[SET, 'a', 1, null, 2n ** 63n], BEYOND_INT64],
  ],
  [
    'SET with flags that are no integer',
    [[SET, 'a', 1, null, null], NO_INTEGER],
    [[SET, 'a', 1, null, '1'], NO_INTEGER],
    [[SET, 'a', 1, null, 1.5], NO_INTEGER],
  ],
  [
    'SET with a ttl out of range',
    [[SET, 'a', 1, 0], BAD_TTL],
    [[SET, 'a', 1, -1], BAD_TTL],
    [[SET, 'a', 1, MAX_TTL_MS + 1], BAD_TTL],
    [[SET, 'a', 1, INT64_MAX], BAD_TTL],
    [[SET, 'a', 1, INT64_MIN], BAD_TTL],
    [[SET, 'a', 1, 2n ** 63n], BEYOND_INT64],
    [[HAS, 'a'], false],
  ],
  [
    'SET with a ttl that is no integer',
    [[SET, 'a', 1, '5'], NO_INTEGER],
    [[SET, 'a', 1, 5.5], NO_INTEGER],
    [[SET, 'a', 1, true], NO_INTEGER],
  ],
  [
    'SET with the least and the greatest ttl',
    [[SET, 'a', 1, 1], true],
    [[TTL, 'a'], 1],
    [[SET, 'a', 1, MAX_TTL_MS], true],
    [[TTL, 'a'], MAX_TTL_MS],
  ],
  ['ADD to a missing key', [[ADD, 'n', 5], 5], [[ADD, 'n', -7], -2], [[GET, 'n'], -2]],
  [
    'ADD across every width',
    [[ADD, 'n', 127], 127],
    [[ADD, 'n', 1], 128],
    [[ADD, 'n', 127], 255],
    [[ADD, 'n', 1], 256],
    [[ADD, 'n', 65_279], 65_535],
    [[ADD, 'n', 1], 65_536],
    [[ADD, 'n', 4_294_901_759], 4_294_967_295],
    [[ADD, 'n', 1], 4_294_967_296],
  ],
  [
    'ADD downwards across every width',
    [[ADD, 'n', -32], -32],
    [[ADD, 'n', -1], -33],
    [[ADD, 'n', -95], -128],
    [[ADD, 'n', -1], -129],
    [[ADD, 'n', -32_639], -32_768],
    [[ADD, 'n', -1], -32_769],
    [[ADD, 'n', -2_147_450_879], -2_147_483_648],
    [[ADD, 'n', -1], -2_147_483_649],
  ],
  [
    'ADD up to the ends of int64',
    [[ADD, 'n', INT64_MAX], INT64_MAX],
    [[GET, 'n'], INT64_MAX],
    [[ADD, 'm', INT64_MIN], INT64_MIN],
    [[GET, 'm'], INT64_MIN],
    [[ADD, 'm', INT64_MAX], -1],
    [[ADD, 'n', INT64_MIN], -1],
  ],
  [
    'ADD beyond the ends of int64',
    [[ADD, 'n', INT64_MAX], INT64_MAX],
    [[ADD, 'n', 1], OVERFLOW],
    [[GET, 'n'], INT64_MAX],
    [[ADD, 'm', INT64_MIN], INT64_MIN],
    [[ADD, 'm', -1], OVERFLOW],
    [[GET, 'm'], INT64_MIN],
  ],
  [
    'ADD of what is no int64',
    [[ADD, 'n', 1.5], NO_INTEGER],
    [[ADD, 'n', '1'], NO_INTEGER],
    [[ADD, 'n', null], NO_INTEGER],
    [[ADD, 'n', 2n ** 63n], BEYOND_INT64],
    [[ADD, 'n', 2n ** 64n - 1n], BEYOND_INT64],
    [[HAS, 'n'], false],
  ],
  [
    'ADD to what is no int64',
    [[SET, 's', '1'], true],
    [[ADD, 's', 1], STORED_KIND],
    [[SET, 'f', 1.5], true],
    [[ADD, 'f', 1], STORED_KIND],
    [[SET, 'u', 2n ** 63n], true],
    [[ADD, 'u', -1], STORED_KIND],
    [[GET, 'u'], 2n ** 63n],
    [[SET, 'l', [1]], true],
    [[ADD, 'l', 1], STORED_KIND],
  ],
  ['ADD of zero', [[ADD, 'n', 0], 0], [[GET, 'n'], 0], [[ADD, 'n', 0], 0]],
  [
    'CAS that expects nothing',
    [[CAS, 'a', null, 1], true],
    [[GET, 'a'], 1],
    [[CAS, 'a', null, 2], false],
    [[GET, 'a'], 1],
  ],
  [
    'CAS that expects a value',
    [[CAS, 'a', 1, 2], false],
    [[HAS, 'a'], false],
    [[SET, 'a', 1], true],
    [[CAS, 'a', 2, 3], false],
    [[CAS, 'a', 1, 'longer than before'], true],
    [[GET, 'a'], 'longer than before'],
  ],
  [
    'CAS compares all of the bytes',
    [[SET, 'a', 'abc'], true],
    [[CAS, 'a', 'abd', 1], false],
    [[CAS, 'a', 'ab', 1], false],
    [[CAS, 'a', 'abcd', 1], false],
    [[CAS, 'a', ascii('abc'), 1], false],
    [[CAS, 'a', 'abc', 1], true],
  ],
  [
    'CAS to nil',
    [[CAS, 'a', null, null], VALUE_NIL],
    [[SET, 'a', 1], true],
    [[CAS, 'a', 1, null], VALUE_NIL],
    [[CAS, 'a', 2, null], VALUE_NIL],
    [[GET, 'a'], 1],
  ],
  [
    'EXPIRE, TTL and PERSIST of a missing key',
    [[EXPIRE, 'a', 5], false],
    [[EXPIRE, 'a', 0], false],
    [[TTL, 'a'], null],
    [[PERSIST, 'a'], false],
  ],
  [
    'EXPIRE, TTL and PERSIST',
    [[SET, 'a', 1], true],
    [[TTL, 'a'], -1],
    [[PERSIST, 'a'], false],
    [[EXPIRE, 'a', 500], true],
    [[TTL, 'a'], 500],
    [[PERSIST, 'a'], true],
    [[TTL, 'a'], -1],
    [[PERSIST, 'a'], false],
  ],
  [
    'EXPIRE with a ttl of 0 or less deletes',
    [[SET, 'a', 1], true],
    [[EXPIRE, 'a', 0], true],
    [[HAS, 'a'], false],
    [[SET, 'a', 1], true],
    [[EXPIRE, 'a', -1], true],
    [[HAS, 'a'], false],
    [[SET, 'a', 1], true],
    [[EXPIRE, 'a', INT64_MIN], true],
    [[COUNT], 0],
  ],
  [
    'EXPIRE with bad arguments',
    [[SET, 'a', 1], true],
    [[EXPIRE, 'a', MAX_TTL_MS + 1], BAD_TTL],
    [[EXPIRE, 'a', INT64_MAX], BAD_TTL],
    [[EXPIRE, 'a', 2n ** 63n], BEYOND_INT64],
    [[EXPIRE, 'a', null], NO_INTEGER],
    [[EXPIRE, 'a', 1.5], NO_INTEGER],
    [[TTL, 'a'], -1],
    [[EXPIRE, 'a', MAX_TTL_MS], true],
    [[TTL, 'a'], MAX_TTL_MS],
  ],
  [
    'EXPIRE of a missing key still has its arguments checked',
    [[EXPIRE, 'a', MAX_TTL_MS + 1], BAD_TTL],
    [[EXPIRE, 'a', 'x'], NO_INTEGER],
  ],
  [
    'SCAN of nothing',
    [
      [SCAN, 0, 10],
      [0, []],
    ],
    [
      [SCAN, 4_294_967_295, 10],
      [0, []],
    ],
    [
      [SCAN, 0, 10, 'p'],
      [0, []],
    ],
  ],
  [
    'SCAN of one key',
    [[SET, 'a', 1], true],
    [
      [SCAN, 0, 10],
      [0, [ascii('a')]],
    ],
  ],
  [
    'SCAN with a prefix',
    [[SET, 'ab', 1], true],
    [
      [SCAN, 0, 10, 'a'],
      [0, [ascii('ab')]],
    ],
    [
      [SCAN, 0, 10, ascii('ab')],
      [0, [ascii('ab')]],
    ],
    [
      [SCAN, 0, 10, ''],
      [0, [ascii('ab')]],
    ],
    [
      [SCAN, 0, 10, 'abc'],
      [0, []],
    ],
    [
      [SCAN, 0, 10, 'b'],
      [0, []],
    ],
    [
      [SCAN, 0, 10, 'a'.repeat(70_000)],
      [0, []],
    ],
  ],
  [
    'SCAN of a long key',
    [[SET, 'k'.repeat(300), 1], true],
    [
      [SCAN, 0, 10],
      [0, [ascii('k'.repeat(300))]],
    ],
  ],
  [
    'SCAN after a SCAN finds what was added, deleted and added again between them',
    [
      [SCAN, 0, 10],
      [0, []],
    ],
    [[SET, 'a', 1], true],
    [
      [SCAN, 0, 10],
      [0, [ascii('a')]],
    ],
    [[DEL, 'a'], true],
    [
      [SCAN, 0, 10],
      [0, []],
    ],
    [[SET, 'b', 1], true],
    [
      [SCAN, 0, 10],
      [0, [ascii('b')]],
    ],
  ],
  [
    'SCAN with a bad cursor',
    [[SCAN, -1, 1], BAD_CURSOR],
    [[SCAN, 4_294_967_296, 1], BAD_CURSOR],
    [[SCAN, INT64_MAX, 1], BAD_CURSOR],
    [[SCAN, 2n ** 63n, 1], BEYOND_INT64],
    [[SCAN, null, 1], NO_INTEGER],
    [[SCAN, 'x', 1], NO_INTEGER],
  ],
  [
    'SCAN with a bad count',
    [[SCAN, 0, 0], BAD_COUNT],
    [[SCAN, 0, -1], BAD_COUNT],
    [[SCAN, 0, INT64_MIN], BAD_COUNT],
    [[SCAN, 0, 2n ** 63n], BEYOND_INT64],
    [[SCAN, 0, null], NO_INTEGER],
    [[SCAN, 0, 1.5], NO_INTEGER],
  ],
  [
    'SCAN with a huge count',
    [[SET, 'a', 1], true],
    [
      [SCAN, 0, INT64_MAX],
      [0, [ascii('a')]],
    ],
  ],
  ['SCAN with a bad prefix', [[SCAN, 0, 1, 5], KEY_KIND], [[SCAN, 0, 1, null], KEY_KIND], [[SCAN, 0, 1, []], KEY_KIND]],
  [
    'COUNT and CLEAR',
    [[COUNT], 0],
    [[SET, 'a', 1], true],
    [[SET, 'b', 1, 5], true],
    [[COUNT], 2],
    [[CLEAR], true],
    [[COUNT], 0],
    [[GET, 'a'], null],
    [[GET, 'b'], null],
    [[CLEAR], true],
    [[SET, 'a', 2], true],
    [[GET, 'a'], 2],
    [[COUNT], 1],
  ],
  [
    'wrong numbers of arguments',
    [[GET], ARGUMENTS],
    [[GET, 'a', 1], ARGUMENTS],
    [[SET, 'a'], ARGUMENTS],
    [[SET], ARGUMENTS],
    [[SET, 'a', 1, 5, 0, 0], ARGUMENTS],
    [[DEL], ARGUMENTS],
    [[HAS], ARGUMENTS],
    [[ADD, 'a'], ARGUMENTS],
    [[ADD, 'a', 1, 1], ARGUMENTS],
    [[CAS, 'a', 1], ARGUMENTS],
    [[CAS, 'a', 1, 1, 1], ARGUMENTS],
    [[EXPIRE, 'a'], ARGUMENTS],
    [[TTL], ARGUMENTS],
    [[PERSIST], ARGUMENTS],
    [[TAKE], ARGUMENTS],
    [[TAKE, 'a', 1], ARGUMENTS],
    [[SCAN, 0], ARGUMENTS],
    [[SCAN, 0, 1, 'p', 1], ARGUMENTS],
    [[COUNT, 1], ARGUMENTS],
    [[CLEAR, 1], ARGUMENTS],
  ],
  [
    'the number of arguments is looked at before their kind',
    [[GET, 1, 1], ARGUMENTS],
    [[SET, 1], ARGUMENTS],
    [[SCAN, 'x'], ARGUMENTS],
  ],
  [
    'keys of another kind',
    [[GET, 1], KEY_KIND],
    [[SET, null, 1], KEY_KIND],
    [[DEL, []], KEY_KIND],
    [[HAS, {}], KEY_KIND],
    [[ADD, 1.5, 1], KEY_KIND],
    [[CAS, true, 1, 1], KEY_KIND],
    [[EXPIRE, -1, 1], KEY_KIND],
    [[TTL, 1], KEY_KIND],
    [[PERSIST, 1], KEY_KIND],
    [[TAKE, wireError('A', 'B')], KEY_KIND],
  ],
  [
    'arguments are looked at from left to right',
    [[SET, 1, null], KEY_KIND],
    [[SET, 'a', null, 0], VALUE_NIL],
    [[SET, 'a', 1, 0, 9], BAD_TTL],
    [[ADD, '', 'x'], KEY_LENGTH],
    [[CAS, '', 1, null], KEY_LENGTH],
    [[EXPIRE, '', 'x'], KEY_LENGTH],
    [[SCAN, -1, 0, 5], BAD_CURSOR],
    [[SCAN, 0, 0, 5], BAD_COUNT],
  ],
  [
    'unknown operations',
    [[11], UNKNOWN],
    [[15], UNKNOWN],
    [[19], UNKNOWN],
    [[31], UNKNOWN],
    [[35], UNKNOWN],
    [[127], UNKNOWN],
    [[-1], UNKNOWN],
    [[255], UNKNOWN],
    [[INT64_MAX], UNKNOWN],
    [[2n ** 64n - 1n], UNKNOWN],
    [[2n ** 32n + 1n, 'a'], UNKNOWN],
    [[], UNKNOWN],
  ],
  [
    'codes that are no integer',
    [['GET', 'a'], UNKNOWN],
    [[1.5, 'a'], UNKNOWN],
    [[null], UNKNOWN],
    [[[1], 'a'], UNKNOWN],
    [[true], UNKNOWN],
    [[{}], UNKNOWN],
  ],
  [
    'operations that are no array',
    [1, NO_OPERATION],
    [null, NO_OPERATION],
    ['GET', NO_OPERATION],
    [{}, NO_OPERATION],
    [true, NO_OPERATION],
    [1.5, NO_OPERATION],
    [wireError('A', 'B'), NO_OPERATION],
  ],
  [
    'an error stops nothing',
    [[SET, 'a', 1], true],
    [[GET, ''], KEY_LENGTH],
    [5, NO_OPERATION],
    [[99], UNKNOWN],
    [[GET, 'a'], 1],
  ],
  [
    'HELLO, AUTH and INFO without a host',
    [[HELLO, { version: 1 }], UNKNOWN],
    [[AUTH, 'x'], UNKNOWN],
    [[INFO], UNKNOWN],
    [[HELLO], UNKNOWN],
    [[INFO, 1], UNKNOWN],
  ],
];

export function operationsSemantics(create: EngineFactory): void {
  describe('operations', () => {
    for (const [title, ...exchanges] of ROWS) {
      test(title, () => {
        expectReply(create(), 0, ...exchanges);
      });
    }

    test('one frame or one frame for each operation: the results are the same', () => {
      for (const [, ...exchanges] of ROWS) {
        const engine = create();
        for (const exchange of exchanges) expectReply(engine, 0, exchange);
      }
    });

    test("the protocol's example", () => {
      const { reply } = execute(create(), fromHex('92 93 02 a1 61 a1 31 92 01 a1 61'), 0);
      expect(hex(reply)).toBe('92c3a131');
    });

    test('errors are as short as promised', () => {
      for (const [, ...exchanges] of ROWS) {
        for (const result of results(
          create(),
          exchanges.map(([operation]) => encode(operation)),
          0,
        )) {
          if (result[0] === 0xc7 && result[2] === 1) expect(result.length).toBeLessThanOrEqual(MAX_ERROR_BYTES);
        }
      }
    });

    test('a reply of many results has the shortest header', () => {
      for (const count of [15, 16, 65_535, 65_536]) {
        const { reply } = execute(create(), array(new Array(count).fill(fromHex('91 11'))), 0);
        expect(hex(reply) === hex(array(new Array(count).fill(fromHex('00')))), `${count} results`).toBe(true);
      }
    });

    test('as many operations as a frame may have', () => {
      const payload = concat(arrayHeaders(MAX_FRAME_OPERATIONS)[0]!, new Uint8Array(MAX_FRAME_OPERATIONS).fill(0x01));
      const { readable, reply } = execute(create(), payload, 0);
      const error = encode(NO_OPERATION);
      expect(readable).toBe(true);
      expect(reply.length).toBe(5 + MAX_FRAME_OPERATIONS * error.length);
      expect(hex(reply.slice(-error.length))).toBe(hex(error));
    });
  });

  describe('the host', () => {
    const answer = encode({ server: 'test' });

    test('gets HELLO, AUTH and INFO as they came, and its answers are the results', () => {
      const engine = create({ redo: true });
      const calls: string[] = [];
      engine.host = hostOf({
        serverOperation: (code, operation) => {
          calls.push(`${code} ${hex(operation)}`);
          return answer;
        },
      });
      const long = concat(fromHex('dc 0001'), fromHex('cd 0022'));
      const operations = [
        encode([HELLO, { version: 1 }]),
        encode([PING]),
        encode([AUTH, 'x']),
        long,
        encode([INFO, 1, 2, 3]),
      ];
      const { reply, redo } = execute(engine, array(operations), 0);
      expect(hex(reply)).toBe(hex(array([answer, encode('PONG'), answer, answer, answer])));
      expect(calls).toEqual([
        `32 ${hex(operations[0]!)}`,
        `33 ${hex(operations[2]!)}`,
        `34 ${hex(long)}`,
        `34 ${hex(operations[4]!)}`,
      ]);
      expect(redo.length).toBe(0);
    });

    test('gets nothing else', () => {
      const engine = create();
      engine.host = hostOf({});
      expectReply(engine, 0, [[31], UNKNOWN], [[35], UNKNOWN], [[PING], 'PONG'], [[], UNKNOWN], [[-1], UNKNOWN]);
    });

    test('may answer 64 KiB, many times in a frame', () => {
      const engine = create();
      const large = encode('x'.repeat(64 * 1024 - 3 - 2));
      engine.host = hostOf({ serverOperation: () => large });
      expect(results(engine, new Array(20).fill(encode([INFO])), 0).every((result) => hex(result) === hex(large))).toBe(
        true,
      );
    });
  });
}
