/**
 * Random operations for the property tests and the fuzzer: all of the protocol, in every encoding, with arguments that
 * are mostly right, over few keys so that they meet.
 */
import fc from 'fast-check';
import { MAX_TTL_MS, Op } from '../../core/protocol.ts';
import { arrayHeaders, ascii, concat, encode, fromHex, integerEncodings, nested, stringEncodings } from './bytes.ts';

export interface Operation {
  readonly bytes: Uint8Array;
  /** Whether its result is that of a SCAN, whose order and cursors are each engine's own. */
  readonly scans: boolean;
}

/** One of several encodings, most often the shortest, which comes first. */
function oneOf(encodings: readonly Uint8Array[]): fc.Arbitrary<Uint8Array> {
  const shortest = fc.constant(encodings[0]!);
  return fc.oneof({ weight: 3, arbitrary: shortest }, { weight: 1, arbitrary: fc.constantFrom(...encodings) });
}

function integer(values: fc.Arbitrary<bigint>): fc.Arbitrary<Uint8Array> {
  return values.chain((value) => oneOf(integerEncodings(value)));
}

const anyInt64 = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n });
const edges = [
  0n,
  1n,
  -1n,
  127n,
  128n,
  -32n,
  -33n,
  2n ** 31n,
  2n ** 53n,
  2n ** 63n - 1n,
  -(2n ** 63n),
  2n ** 63n,
  2n ** 64n - 1n,
];
const oddInteger = integer(fc.constantFrom(...edges));

/** What stands where something else belongs. */
const odd = fc.constantFrom(
  ...[
    'c0',
    'c3',
    'ca 3f800000',
    'cb 3ff0000000000000',
    '90',
    '80',
    'a0',
    'c4 00',
    'a1 39',
    'c7 01 05 00',
    'd4 01 00',
  ].map(fromHex),
  concat(fromHex('db 00010000'), new Uint8Array(65_536).fill(0x61)),
);

function mostly(right: fc.Arbitrary<Uint8Array>): fc.Arbitrary<Uint8Array> {
  return fc.oneof(
    { weight: 40, arbitrary: right },
    { weight: 1, arbitrary: odd },
    { weight: 1, arbitrary: oddInteger },
  );
}

/** Keys 0 to `count` - 1, as short as `k7` and, one in ten, as long as 300 bytes. */
export function keyName(i: number): Uint8Array {
  return ascii(i % 10 === 9 ? `k${i}`.padEnd(300, '.') : `k${i}`);
}

function keys(count: number): fc.Arbitrary<Uint8Array> {
  return fc.nat(count - 1).chain((i) => oneOf(stringEncodings(keyName(i))));
}

const smallInteger = integer(fc.bigInt({ min: -300n, max: 300n }));
const values = fc.oneof(
  { weight: 4, arbitrary: smallInteger },
  { weight: 1, arbitrary: integer(anyInt64) },
  { weight: 1, arbitrary: oddInteger },
  { weight: 2, arbitrary: fc.nat(40).chain((length) => oneOf(stringEncodings(new Uint8Array(length).fill(0x76)))) },
  // Lengths around the sizes of memory blocks, and some that are many of them.
  { weight: 1, arbitrary: fc.nat(5000).map((length) => encode('v'.repeat(length))) },
  {
    weight: 1,
    arbitrary: fc.constantFrom(fromHex('c2'), fromHex('93 01 02 03'), fromHex('de 0001 a1 61 c0'), nested(32)),
  },
);

const ttl = integer(
  fc.oneof(
    // Few enough that keys end at the very times that histories wait for.
    { weight: 8, arbitrary: fc.constantFrom(1n, 5n, 10n, 15n, 20n, 60n) },
    { weight: 2, arbitrary: fc.bigInt({ min: 1n, max: 100_000n }) },
    { weight: 1, arbitrary: fc.constantFrom(0n, -1n, BigInt(MAX_TTL_MS), BigInt(MAX_TTL_MS) + 1n) },
  ),
);
const ttlOrNil = fc.oneof(ttl, fc.constant(fromHex('c0')));
const flags = integer(fc.constantFrom(0n, 1n, 2n, 4n, 5n, 6n, 3n, 7n, 8n, -1n));

/** An operation of these arguments; now and then one is missing or one too many. */
function operation(code: number, ...parts: readonly fc.Arbitrary<Uint8Array>[]): fc.Arbitrary<Operation> {
  const amount = fc.oneof({ weight: 60, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.constantFrom(-1, 1) });
  return fc
    .tuple(integer(fc.constant(BigInt(code))), amount, fc.tuple(...parts.map(mostly)), fc.nat(2))
    .map(([codeBytes, change, args, header]) => {
      const given = change > 0 ? [...args, fromHex('01')] : args.slice(0, args.length + change || args.length);
      const headers = arrayHeaders(given.length + 1);
      return { bytes: concat(headers[header]!, codeBytes, ...given), scans: code === Op.SCAN };
    });
}

/** Any operation, over this many keys. */
export function operations(keyCount: number): fc.Arbitrary<Operation> {
  const key = keys(keyCount);
  const prefix = fc.constantFrom(...['', 'k', 'k1', 'k9', 'x'].map((text) => encode(text)));
  const cursor = integer(fc.constantFrom(0n, 0n, 1n, 2n ** 31n, 2n ** 32n - 1n, 2n ** 32n, -1n));
  const count = integer(fc.constantFrom(1n, 5n, 10_000n, 2n ** 40n, 0n));
  const other = fc.oneof(
    fc.constantFrom(
      '90',
      '91 0b',
      '91 a1 30',
      '91 cb 3ff0000000000000',
      '91 20',
      '92 21 a1 61',
      '91 22',
      '05',
      'c0',
      '81 01 02',
    ),
    fc.constant('91 cf 0000000100000001'),
  );
  return fc.oneof(
    { weight: 40, arbitrary: operation(Op.GET, key) },
    { weight: 60, arbitrary: operation(Op.SET, key, values) },
    { weight: 25, arbitrary: operation(Op.SET, key, values, ttlOrNil) },
    { weight: 25, arbitrary: operation(Op.SET, key, values, ttlOrNil, flags) },
    { weight: 25, arbitrary: operation(Op.DEL, key) },
    { weight: 10, arbitrary: operation(Op.HAS, key) },
    { weight: 30, arbitrary: operation(Op.ADD, key, smallInteger) },
    { weight: 5, arbitrary: operation(Op.ADD, key, integer(anyInt64)) },
    { weight: 15, arbitrary: operation(Op.CAS, key, smallInteger, values) },
    { weight: 15, arbitrary: operation(Op.CAS, key, fc.constant(fromHex('c0')), values) },
    { weight: 25, arbitrary: operation(Op.EXPIRE, key, ttl) },
    { weight: 20, arbitrary: operation(Op.TTL, key) },
    { weight: 15, arbitrary: operation(Op.PERSIST, key) },
    { weight: 20, arbitrary: operation(Op.TAKE, key) },
    { weight: 10, arbitrary: operation(Op.SCAN, cursor, count) },
    { weight: 5, arbitrary: operation(Op.SCAN, cursor, count, prefix) },
    { weight: 15, arbitrary: operation(Op.COUNT) },
    { weight: 5, arbitrary: operation(Op.PING, values) },
    { weight: 5, arbitrary: operation(Op.PING) },
    { weight: 5, arbitrary: other.map((text) => ({ bytes: fromHex(text), scans: false })) },
    // So rare that a history has the time to become one.
    { weight: 1, arbitrary: operation(Op.CLEAR) },
  );
}

/** Payloads of these operations, each with any header that its array may have. */
export function payloadOf(parts: readonly Operation[], header: number): Uint8Array {
  const headers = arrayHeaders(parts.length);
  return concat(headers[header % headers.length]!, ...parts.map(({ bytes }) => bytes));
}

/** Seeds of the hash, so that the seed of a failure says all. */
export const hashSeeds = fc.uint8Array({ minLength: 16, maxLength: 16 });
