/**
 * Bytes for tests: hexadecimal, and MessagePack in every encoding that the format has, shortest or not, written here
 * independently of `core/msgpack.ts`.
 */
import { ExtData, encode as encodeShortest } from '@msgpack/msgpack';

export function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}

/** From hexadecimal, in which spaces are allowed. Throws when it is none, so that a slip of the pen is not a test. */
export function fromHex(text: string): Uint8Array {
  const digits = text.replaceAll(' ', '');
  if (!/^([0-9a-f]{2})*$/i.test(digits)) throw new Error(`no hexadecimal: ${text}`);
  return new Uint8Array(Buffer.from(digits, 'hex'));
}

export function concat(...parts: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts));
}

export function ascii(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text, 'latin1'));
}

/** MessagePack in the shortest encoding, as an independent library writes it; a bigint always takes eight bytes. */
export function encode(value: unknown): Uint8Array {
  return encodeShortest(largeAsBigint(value), { useBigInt64: true }).slice();
}

/** With `useBigInt64` that library writes a number beyond 32 bits as a float, so these have to be bigints. */
function largeAsBigint(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(largeAsBigint);
  if (typeof value !== 'number' || !Number.isSafeInteger(value)) return value;
  return value >= 2 ** 32 || value < -(2 ** 31) ? BigInt(value) : value;
}

/** The protocol's error as a value for `encode`. */
export function wireError(code: string, message: string): ExtData {
  return new ExtData(1, encode([code, message]));
}

function bigEndian(value: bigint, bytes: number): Uint8Array {
  const all = new DataView(new ArrayBuffer(8));
  all.setBigUint64(0, BigInt.asUintN(64, value));
  return new Uint8Array(all.buffer, 8 - bytes);
}

function tagged(tag: number, length: number, lengthBytes: number): Uint8Array {
  return concat(Uint8Array.of(tag), bigEndian(BigInt(length), lengthBytes));
}

/** Every header of an array of `length` elements, the shortest first. */
export function arrayHeaders(length: number): Uint8Array[] {
  const headers = [tagged(0xdd, length, 4)];
  if (length < 0x10000) headers.unshift(tagged(0xdc, length, 2));
  if (length < 16) headers.unshift(Uint8Array.of(0x90 | length));
  return headers;
}

/** Every encoding of these bytes as `str` and `bin`, the shortest first. */
export function stringEncodings(bytes: Uint8Array): Uint8Array[] {
  const headers = [tagged(0xdb, bytes.length, 4), tagged(0xc6, bytes.length, 4)];
  if (bytes.length < 0x10000) headers.unshift(tagged(0xda, bytes.length, 2), tagged(0xc5, bytes.length, 2));
  if (bytes.length < 0x100) headers.unshift(tagged(0xd9, bytes.length, 1), tagged(0xc4, bytes.length, 1));
  if (bytes.length < 32) headers.unshift(Uint8Array.of(0xa0 | bytes.length));
  return headers.map((header) => concat(header, bytes));
}

/** Every encoding of an integer from -2^63 to 2^64-1, the shortest first (and unsigned before signed). */
export function integerEncodings(value: bigint): Uint8Array[] {
  const encodings: Uint8Array[] = [];
  if (value >= -32n && value <= 127n) encodings.push(bigEndian(value, 1));
  for (const width of [1, 2, 4, 8]) {
    const log = Math.log2(width);
    const bits = width * 8;
    if (value === BigInt.asUintN(bits, value))
      encodings.push(concat(Uint8Array.of(0xcc + log), bigEndian(value, width)));
    if (value === BigInt.asIntN(bits, value))
      encodings.push(concat(Uint8Array.of(0xd0 + log), bigEndian(value, width)));
  }
  return encodings;
}

/** `value` inside `depth` arrays of one element each. */
export function nested(depth: number, value: Uint8Array = Uint8Array.of(0x01)): Uint8Array {
  return concat(new Uint8Array(depth).fill(0x91), value);
}

/** An array whose elements are encoded already. */
export function array(elements: readonly Uint8Array[]): Uint8Array {
  return concat(arrayHeaders(elements.length)[0]!, ...elements);
}
