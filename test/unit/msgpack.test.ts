/** `core/msgpack.ts` against `@msgpack/msgpack`, against every encoding the format has, and against every truncation. */
import { decode } from '@msgpack/msgpack';
import { describe, expect, test } from 'vitest';
import { MsgpackError, Reader, readError, Writer } from '../../core/msgpack.ts';
import { ERROR_EXT_TYPE, MAX_VALUE_DEPTH } from '../../core/protocol.ts';
import {
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
} from '../support/bytes.ts';

const INTEGERS = [
  0n,
  1n,
  127n,
  128n,
  255n,
  256n,
  65_535n,
  65_536n,
  2n ** 31n - 1n,
  2n ** 31n,
  2n ** 32n - 1n,
  2n ** 32n,
  2n ** 53n,
  2n ** 63n - 1n,
  -1n,
  -32n,
  -33n,
  -128n,
  -129n,
  -32_768n,
  -32_769n,
  -(2n ** 31n),
  -(2n ** 31n) - 1n,
  -(2n ** 53n),
  -(2n ** 63n),
];
const LENGTHS = [0, 1, 15, 16, 31, 32, 255, 256, 65_535, 65_536];

/** One value of each of MessagePack's formats. */
const FORMATS = [
  '00',
  '7f',
  '80',
  '81 a1 61 01',
  '90',
  '92 01 02',
  'a0',
  'a3 61 62 63',
  'c0',
  'c2',
  'c3',
  'c4 00',
  'c4 02 01 02',
  'c5 0001 ff',
  'c6 00000001 ff',
  'c7 00 05',
  'c7 03 05 010203',
  'c8 0001 05 ff',
  'c9 00000001 05 ff',
  'ca 3fc00000',
  'cb 3ff8000000000000',
  'cc ff',
  'cd ffff',
  'ce ffffffff',
  'cf ffffffffffffffff',
  'd0 80',
  'd1 8000',
  'd2 80000000',
  'd3 8000000000000000',
  'd4 05 01',
  'd5 05 0102',
  'd6 05 01020304',
  'd7 05 0102030405060708',
  'd8 05 0102030405060708090a0b0c0d0e0f10',
  'd9 01 61',
  'da 0001 61',
  'db 00000001 61',
  'dc 0001 01',
  'dd 00000001 01',
  'de 0001 01 02',
  'df 00000001 01 02',
  'e0',
  'ff',
].map(fromHex);

function written(write: (writer: Writer) => void): Uint8Array {
  const writer = new Writer(1);
  write(writer);
  return writer.copy();
}

describe('Reader', () => {
  test('integers in every encoding', () => {
    for (const value of [...INTEGERS, 2n ** 63n, 2n ** 64n - 1n]) {
      for (const bytes of integerEncodings(value)) {
        const reader = new Reader(bytes);
        expect(reader.integer(), hex(bytes)).toBe(value);
        expect(reader.position).toBe(bytes.length);
      }
    }
  });

  test('strings and binaries in every encoding', () => {
    for (const length of LENGTHS) {
      const content = new Uint8Array(length).fill(0x61);
      for (const bytes of stringEncodings(content)) {
        const reader = new Reader(bytes);
        expect(hex(reader.stringOrBytes()!) === hex(content), `${hex(bytes.subarray(0, 5))} ...`).toBe(true);
        expect(reader.position).toBe(bytes.length);
      }
    }
  });

  test('headers of arrays in every encoding', () => {
    for (const length of [...LENGTHS, 2 ** 32 - 1]) {
      for (const bytes of arrayHeaders(length)) {
        const reader = new Reader(bytes);
        expect(reader.arrayHeader(), hex(bytes)).toBe(length);
        expect(reader.position).toBe(bytes.length);
      }
    }
  });

  test('what is of another kind is left unread', () => {
    for (const bytes of FORMATS) {
      const tag = bytes[0]!;
      const isInteger = tag <= 0x7f || tag >= 0xe0 || (tag >= 0xcc && tag <= 0xd3);
      const isString = (tag >= 0xa0 && tag <= 0xbf) || (tag >= 0xc4 && tag <= 0xc6) || (tag >= 0xd9 && tag <= 0xdb);
      const isArray = (tag >= 0x90 && tag <= 0x9f) || tag === 0xdc || tag === 0xdd;
      const reader = new Reader(bytes);
      if (!isInteger) expect(reader.integer(), hex(bytes)).toBeUndefined();
      if (!isString) expect(reader.stringOrBytes(), hex(bytes)).toBeUndefined();
      if (!isArray) expect(reader.arrayHeader(), hex(bytes)).toBe(-1);
      if (tag !== 0xc0) expect(reader.nil(), hex(bytes)).toBe(false);
      expect(reader.position, hex(bytes)).toBe(0);
    }
    const reader = new Reader(fromHex('c0'));
    expect(reader.nil()).toBe(true);
    expect(reader.position).toBe(1);
  });

  test('skips one value of every format, and nothing behind it', () => {
    for (const bytes of FORMATS) {
      const reader = new Reader(concat(bytes, Uint8Array.of(0xc1)));
      reader.skip();
      expect(reader.position, hex(bytes)).toBe(bytes.length);
    }
  });

  test('refuses every truncation of every format, and every value that goes beyond the end', () => {
    for (const bytes of FORMATS) {
      for (let length = 0; length < bytes.length; length++) {
        const what = `${length} bytes of ${hex(bytes)}`;
        expect(() => new Reader(bytes.slice(0, length)).skip(), what).toThrow(MsgpackError);
        expect(() => new Reader(bytes, 0, length).skip(), what).toThrow(MsgpackError);
      }
    }
  });

  test('truncated headers, strings and integers throw where they are read', () => {
    for (const bytes of [...arrayHeaders(3).slice(1), Uint8Array.of()]) {
      expect(() => new Reader(bytes.subarray(0, -1)).arrayHeader(), hex(bytes)).toThrow(MsgpackError);
    }
    for (const bytes of stringEncodings(ascii('ab'))) {
      expect(() => new Reader(bytes.subarray(0, -1)).stringOrBytes(), hex(bytes)).toThrow(MsgpackError);
    }
    for (const bytes of integerEncodings(1n)) {
      expect(() => new Reader(bytes.subarray(0, -1)).integer(), hex(bytes)).toThrow(MsgpackError);
    }
    expect(() => new Reader(new Uint8Array()).nil()).toThrow(MsgpackError);
  });

  test('the byte that MessagePack never uses is refused, with its place', () => {
    expect(() => new Reader(fromHex('92 01 c1')).skip()).toThrow('byte 0xc1 at 2');
  });

  test('lengths that lie about gigabytes are refused without being walked', () => {
    for (const text of ['c6 ffffffff', 'db ffffffff', 'c9 ffffffff 01', 'dd ffffffff', 'df ffffffff']) {
      expect(() => new Reader(fromHex(text)).skip(), text).toThrow(MsgpackError);
    }
  });

  test('nesting is allowed up to the depth given, arrays and maps alike', () => {
    for (const tag of ['91', '81 01', 'dc 0001', 'dd 00000001', 'de 0001 01', 'df 00000001 01']) {
      const deep = (depth: number): Uint8Array => fromHex(`${tag.repeat(depth)} 02`);
      const reader = new Reader(deep(MAX_VALUE_DEPTH));
      reader.skip();
      expect(reader.position).toBe(reader.end);
      expect(() => new Reader(deep(MAX_VALUE_DEPTH + 1)).skip(), tag).toThrow(
        expect.objectContaining({ name: 'MsgpackError', tooDeep: true }),
      );
      expect(() => new Reader(deep(2)).skip(1), tag).toThrow('nested too deep');
    }
    expect(() => new Reader(nested(1)).skip(0)).toThrow('nested too deep');
    new Reader(fromHex('01')).skip(0);
    expect(() => new Reader(fromHex('91')).skip()).toThrow(expect.objectContaining({ tooDeep: false }));
  });

  test('an empty container counts for the depth as well', () => {
    const empty = (depth: number): Reader => new Reader(nested(depth - 1, Uint8Array.of(0x90)));
    empty(32).skip();
    expect(() => empty(33).skip()).toThrow('nested too deep');
  });
});

describe('Writer', () => {
  test('integers in the shortest encoding, as numbers and as bigints', () => {
    for (const value of INTEGERS) {
      const shortest = hex(integerEncodings(value)[0]!);
      expect(hex(written((writer) => writer.integer(value))), `${value}n`).toBe(shortest);
      if (!Number.isSafeInteger(Number(value))) continue;
      expect(hex(written((writer) => writer.integer(Number(value)))), `${value}`).toBe(shortest);
    }
    expect(hex(written((writer) => writer.integer(-0)))).toBe('00');
  });

  test('what is no integer of 64 bits is refused and nothing is written', () => {
    const writer = new Writer();
    for (const value of [1.5, Number.NaN, Infinity, 2 ** 53, 2n ** 63n, -(2n ** 63n) - 1n]) {
      expect(() => writer.integer(value), `${value}`).toThrow(RangeError);
    }
    expect(writer.length).toBe(0);
  });

  test('texts of any length and script are read by another library', () => {
    for (const length of LENGTHS) {
      const text = 'x'.repeat(length);
      expect(hex(written((writer) => writer.text(text))) === hex(encode(text)), `${length}`).toBe(true);
    }
    for (const text of [
      'é'.repeat(5),
      'é'.repeat(10),
      'é'.repeat(16),
      '漢'.repeat(10),
      '漢'.repeat(11),
      '😀'.repeat(5),
    ]) {
      const bytes = written((writer) => writer.text(text));
      expect(decode(bytes)).toBe(text);
      expect(hex(bytes)).toBe(hex(encode(text)));
    }
  });

  test('half a surrogate pair becomes the replacement character, as UTF-8 has it', () => {
    expect(hex(written((writer) => writer.text('\ud800')))).toBe('a3efbfbd');
  });

  test('binaries, arrays and maps of any length', () => {
    for (const length of LENGTHS) {
      const bytes = new Uint8Array(length);
      expect(hex(written((writer) => writer.binary(bytes))) === hex(encode(bytes)), `${length}`).toBe(true);
      const array = encode(new Array(length).fill(0));
      expect(hex(written((writer) => writer.arrayHeader(length)))).toBe(hex(array.slice(0, array.length - length)));
      const map = encode(Object.fromEntries(Array.from({ length }, (_, i) => [i, 0])));
      const header = hex(written((writer) => writer.mapHeader(length)));
      expect(hex(map).startsWith(header), `${length}: ${header}`).toBe(true);
    }
  });

  test('nil and booleans', () => {
    const bytes = written((writer) => {
      writer.nil();
      writer.boolean(true);
      writer.boolean(false);
    });
    expect(hex(bytes)).toBe('c0c3c2');
  });

  test('grows over what was written, and clears, truncates, reserves', () => {
    const writer = new Writer(0);
    const expected: number[] = [];
    for (let i = 0; i < 1000; i++) {
      writer.byte(i & 0xff);
      expected.push(i & 0xff);
    }
    expect([...writer.view()]).toEqual(expected);
    expect(writer.capacity).toBeGreaterThanOrEqual(1000);

    writer.truncate(10);
    expect([...writer.view()]).toEqual(expected.slice(0, 10));
    expect(() => writer.truncate(11)).toThrow(RangeError);
    expect(writer.reserve(3)).toBe(10);
    expect(writer.length).toBe(13);

    const copy = writer.copy();
    writer.clear();
    expect(writer.length).toBe(0);
    writer.raw(fromHex('ffff'));
    expect(copy[0]).toBe(0);
  });
});

describe('errors', () => {
  test('the general ext formats with the body [code, message]', () => {
    expect(hex(written((writer) => writer.error('TYPE', 'value is nil')))).toBe(
      `c71301${hex(encode(['TYPE', 'value is nil']))}`,
    );
    // A body of 16 bytes, for which MessagePack has a fixext as well.
    expect(hex(written((writer) => writer.error('OP', 'abcdefghijk')))).toBe(
      `c71001${hex(encode(['OP', 'abcdefghijk']))}`,
    );
    for (const length of [300, 70_000]) {
      const bytes = written((writer) => writer.error('FRAME', 'm'.repeat(length)));
      expect(hex(bytes) === hex(encode(wireError('FRAME', 'm'.repeat(length)))), `${length}`).toBe(true);
    }
  });

  test('are read back, from the middle of other bytes too and from every ext format', () => {
    for (const length of [0, 1, 5, 11, 20, 300, 70_000]) {
      const message = 'm'.repeat(length);
      for (const bytes of [written((writer) => writer.error('OP', message)), encode(wireError('OP', message))]) {
        expect(readError(bytes, 0, bytes.length)).toEqual({ code: 'OP', message });
        const inside = concat(fromHex('92'), bytes, fromHex('c3'));
        expect(readError(inside, 1, inside.length)).toEqual({ code: 'OP', message });
      }
    }
    const fixed = fromHex(`d6 01 92 a1 41 a0`);
    expect(readError(fixed, 0, fixed.length)).toEqual({ code: 'A', message: '' });
  });

  test('anything else is no error', () => {
    for (const bytes of FORMATS) expect(readError(bytes, 0, bytes.length), hex(bytes)).toBeUndefined();
    expect(readError(new Uint8Array(), 0, 0)).toBeUndefined();
    const ext = (type: number, body: string): Uint8Array => {
      const bytes = fromHex(body);
      return concat(Uint8Array.of(0xc7, bytes.length, type), bytes);
    };
    const body = '92 a1 41 a1 42';
    const error = ext(ERROR_EXT_TYPE, body);
    expect(readError(error, 0, error.length)).toEqual({ code: 'A', message: 'B' });
    const others = [
      ext(2, body),
      ext(1, ''),
      ext(1, '92 a1 41'),
      ext(1, '91 a1 41'),
      ext(1, '92 01 a1 42'),
      ext(1, '92 a1 41 02'),
    ];
    others.push(ext(1, '93 a1 41 a1 42 c0'), ext(1, `${body} c0`), ext(1, 'a1 41'), ext(1, '92 a1 41 a9 42'));
    for (const other of others) {
      // What follows the ext must not be taken for its body.
      const followed = concat(other, fromHex('a1 42 a1 42 a1 42'));
      expect(readError(followed, 0, followed.length), hex(other)).toBeUndefined();
    }
  });

  test('a truncated error is none', () => {
    const error = written((writer) => writer.error('OP', 'm'));
    for (let length = 0; length < error.length; length++) {
      expect(readError(error.slice(0, length), 0, length)).toBeUndefined();
      expect(readError(error, 0, length)).toBeUndefined();
    }
  });
});
