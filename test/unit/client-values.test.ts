/** Keys and values: what goes in comes out, on the wire it is what other libraries read, and what can't be is refused. */
import { decode, encode } from '@msgpack/msgpack';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ArgumentError, ResultError } from '../../core/client/errors.ts';
import { decodeKey, readValue, writeKey, writeValue } from '../../core/client/values.ts';
import { Reader, Writer } from '../../core/msgpack.ts';
import { hex, nested } from '../support/bytes.ts';

function encoded(value: unknown): Uint8Array {
  const writer = new Writer();
  writeValue(writer, value);
  return writer.copy();
}

function decoded(bytes: Uint8Array): unknown {
  const reader = new Reader(bytes);
  const value = readValue(reader);
  expect(reader.position).toBe(bytes.length);
  return value;
}

const keyBytes = (key: string | Uint8Array): Uint8Array => {
  const writer = new Writer();
  writeKey(writer, key);
  return writer.copy();
};

/** As `Float16Array`, where a runtime has it: a view that is none of the kinds known before. */
class HalfPrecision {
  constructor() {
    const typedArray: object = Object.getPrototypeOf(Uint16Array.prototype);
    // biome-ignore lint/correctness/noConstructorReturn: only what is a typed array by birth counts as one.
    return Object.setPrototypeOf(Uint16Array.of(1), typedArray);
  }
}

class Nothing {
  toJSON(): null {
    return null;
  }
}

describe('values', () => {
  test.each([
    ['text', 'Grüße 🎉'],
    ['empty text', ''],
    ['text with a byte order mark', `\ufeff${'x'.repeat(100)}`],
    ['long text', 'ä'.repeat(70_000)],
    ['true', true],
    ['a float', 1.5],
    ['not a number', Number.NaN],
    ['the largest safe integer', Number.MAX_SAFE_INTEGER],
    ['the smallest safe integer', Number.MIN_SAFE_INTEGER],
    ['a bigint beyond the safe integers', 2n ** 60n],
    ['an unsigned bigint', 2n ** 64n - 1n],
    ['a bigint beyond 64 bits', -(10n ** 30n)],
    ['a date', new Date('2024-02-29T12:34:56.789Z')],
    ['a date before 1970', new Date(-5)],
    ['bytes', Uint8Array.of(0, 1, 255)],
    ['nested things', { a: [1, { b: [null, undefined, 'x', new Date(0)] }], ü: Uint8Array.of(7) }],
    ['floats of 32 bits', Float32Array.of(1.5, -2.25)],
    ['an array of every kind of array', [Int8Array.of(-1), Int16Array.of(-300), Uint32Array.of(2 ** 31)]],
    ['large typed arrays', { vector: Float64Array.from({ length: 3000 }, (_, i) => i / 7) }],
    ['bigint arrays', BigInt64Array.of(-5n)],
    ['an object of 70,000 fields', Object.fromEntries(Array.from({ length: 70_000 }, (_, i) => [`f${i}`, i]))],
  ])('%s comes back as it was', (_, value) => {
    expect(decoded(encoded(value))).toEqual(value);
  });

  test.each([
    ['a Map', new Map([['a', 1]]), { a: 1 }],
    ['a Set', new Set([1, 2]), [1, 2]],
    ['a Buffer', Buffer.from('ab'), Uint8Array.of(97, 98)],
    ['an ArrayBuffer', Uint8Array.of(1, 2).buffer, Uint8Array.of(1, 2)],
    ['a small bigint', 5n, 5],
    ['a small bigint inside', { n: 5n }, { n: 5 }],
    ['a class with toJSON', new URL('tcp://127.0.0.1:1'), 'tcp://127.0.0.1:1'],
    [
      'an instance of a class',
      new (class Point {
        x = 1;
      })(),
      { x: 1 },
    ],
  ])('%s comes back as MessagePack has it', (_, value, expected) => {
    expect(decoded(encoded(value))).toEqual(expected);
  });

  test('a DataView comes back with its bytes', () => {
    const view = decoded(encoded(new DataView(Uint8Array.of(9, 8, 7, 6).buffer, 1, 2))) as DataView;
    expect([view.byteLength, view.getUint8(0), view.getUint8(1)]).toEqual([2, 8, 7]);
  });

  test('another library reads what is written, and writes what is read', () => {
    // JSON has no -0, which MessagePack's integers don't have either; no library takes a field named __proto__ as it is.
    const json = fc
      .json({ maxDepth: 4 })
      .filter((text) => text !== 'null' && !text.includes('__proto__'))
      .map((text): unknown => JSON.parse(text));
    fc.assert(
      fc.property(json, (value) => {
        const bytes = encoded(value);
        expect(decode(bytes)).toEqual(value);
        expect(decoded(encode(value))).toEqual(value);
      }),
    );
  });

  test('text of every script is written as another library does, where the header grows too', () => {
    for (const letter of ['a', 'ä', '€', '🎉']) {
      for (const length of [
        0, 1, 7, 8, 10, 11, 15, 16, 31, 32, 63, 64, 85, 86, 127, 128, 255, 256, 1024, 1025, 70_000,
      ]) {
        const text = letter.repeat(length);
        expect(hex(encoded(text)) === hex(encode(text)), `${length} times ${letter}`).toBe(true);
      }
    }
  });

  test('bytes are read as a copy and as no Buffer, though they come in one', () => {
    const source = Buffer.from(encoded({ a: Uint8Array.of(1, 2, 3), b: 'text', c: Float32Array.of(1) }));
    const value = readValue(new Reader(new Uint8Array(source.buffer, source.byteOffset, source.length)));
    source.fill(0xff);
    expect(value).toEqual({ a: Uint8Array.of(1, 2, 3), b: 'text', c: Float32Array.of(1) });
    expect((value as { a: Uint8Array }).a.constructor).toBe(Uint8Array);
  });

  test.each([
    [5_000_000_000, 'cf000000012a05f200'],
    [5_000_000_000n, 'cf000000012a05f200'],
    [-5_000_000_000, 'd3fffffffed5fa0e00'],
    [7, '07'],
    [7n, '07'],
    [300, 'cd012c'],
    [-32, 'e0'],
  ])('the integer %s is written as the shortest, so that ADD and CAS know it: %s', (value, bytes) => {
    expect(hex(encoded(value))).toBe(bytes);
  });

  const circular: Record<string, unknown> = {};
  circular.self = circular;
  test.each([
    ['null', null],
    ['undefined', undefined],
    ['a function', () => 1],
    ['a symbol', Symbol('s')],
    ['a symbol inside', [Symbol('s')]],
    ['a class whose toJSON is null', new Nothing()],
    ['a circle', circular],
    ['a typed array of a kind that msgpackr does not know', new HalfPrecision()],
  ])('%s is refused', (_, value) => {
    expect(() => encoded(value)).toThrow(ArgumentError);
  });

  test('32 arrays in each other are a value, 33 are refused', () => {
    const deep = (depth: number): unknown => (depth === 0 ? 1 : [deep(depth - 1)]);
    expect(hex(encoded(deep(32)))).toBe(hex(nested(32)));
    expect(() => encoded(deep(33))).toThrow(/more than 32 deep/);
  });

  test.each([
    ['an extension nobody knows', 'd40500'],
    ['a map whose keys are maps', '818001'],
    ['floats cut off', 'c70374070000'],
  ])('%s is a result that can’t be given', (_, bytes) => {
    expect(decoded(Buffer.from(bytes, 'hex'))).toBeInstanceOf(ResultError);
  });
});

describe('keys', () => {
  test('text and its UTF-8 are the same key but for the header', () => {
    expect(hex(keyBytes('é'))).toBe('a2c3a9');
    expect(hex(keyBytes(Uint8Array.of(0xc3, 0xa9)))).toBe('c402c3a9');
  });

  test.each(['x'.repeat(65_535), new Uint8Array(65_535), 'x', 'ä'.repeat(32_767)])('of a length that may be', (key) => {
    expect(() => keyBytes(key)).not.toThrow();
  });

  test.each(['', new Uint8Array(0), 'x'.repeat(65_536), new Uint8Array(65_536), 'ä'.repeat(32_768)])(
    'of a length that may not be',
    (key) => {
      expect(() => keyBytes(key)).toThrow(/1 to 65535 bytes/);
    },
  );

  test.each([5, null, undefined, {}, ['a']])('%s is none', (key) => {
    expect(() => keyBytes(key as unknown as string)).toThrow(/must be a string or a Uint8Array/);
  });

  test('read as text they are exact, or an error', () => {
    expect(decodeKey(Uint8Array.of(0xef, 0xbb, 0xbf, 0x61))).toBe('\ufeffa');
    expect(() => decodeKey(Uint8Array.of(0xff))).toThrow(ResultError);
  });
});
