/**
 * Keys and values on their way to MessagePack and back. Equal values are encoded to equal bytes, on every runtime: CAS
 * compares bytes.
 */
import { Packr, Unpackr } from 'msgpackr';
import { MsgpackError, Reader, type Writer } from '../msgpack.ts';
import { MAX_KEY_BYTES, MAX_VALUE_DEPTH } from '../protocol.ts';
import { ArgumentError, ResultError } from './errors.ts';
import { addTypedArrays } from './typed-arrays.ts';

/** A key: text, which stands for its UTF-8, or bytes. 1 to 65,535 bytes long. */
export type Key = string | Uint8Array;

addTypedArrays();

// What every MessagePack library reads: no records, and extensions only for what MessagePack itself has no type for.
const packr = new Packr({ useRecords: false, variableMapSize: true, useBigIntExtension: true });

const unpackr = new Unpackr({
  useRecords: false,
  // Documented by msgpackr, but missing in its types: a number where that is exact, else a bigint.
  int64AsType: 'auto' as 'bigint',
  // What is decoded lies in memory that is used again.
  copyBuffers: true,
});

// A byte order mark at the begin of a text is part of it.
const textDecoder = new TextDecoder('utf-8', { ignoreBOM: true });
const strictTextDecoder = new TextDecoder('utf-8', { ignoreBOM: true, fatal: true });

const NIL = 0xc0;

/** Header of the longest key, be it text or bytes. */
const KEY_HEADER_BYTES_MAX = 3;

/** Appends a key. Throws `ArgumentError` when it is none. */
export function writeKey(writer: Writer, key: Key): void {
  const before = writer.length;
  writeTextOrBytes(writer, key, 'a key');
  const isTooLong = writer.length - before > KEY_HEADER_BYTES_MAX + MAX_KEY_BYTES;
  if (isTooLong || key.length === 0) {
    throw new ArgumentError(`a key must have 1 to ${MAX_KEY_BYTES} bytes; this one has ${isTooLong ? 'more' : 'none'}`);
  }
}

/** Appends text or bytes; `what` is for the message of the `ArgumentError` that anything else throws. */
export function writeTextOrBytes(writer: Writer, value: string | Uint8Array, what: string): void {
  if (typeof value === 'string') writer.text(value);
  else if (value instanceof Uint8Array) writer.binary(value);
  else throw new ArgumentError(`${what} must be a string or a Uint8Array, not ${kindOf(value)}`);
}

/** Appends an integer; `what` is for the message of the `ArgumentError` that anything else throws. */
export function writeInteger(writer: Writer, value: number | bigint, what: string): void {
  const fits = typeof value === 'bigint' ? value === BigInt.asIntN(64, value) : Number.isSafeInteger(value);
  if (!fits) {
    const given = typeof value === 'number' || typeof value === 'bigint' ? value : kindOf(value);
    throw new ArgumentError(`${what} must be a safe integer, or a bigint of 64 bits, not ${given}`);
  }
  writer.integer(value);
}

/**
 * Appends a value. Throws `ArgumentError` for what can't be one: null and undefined, which say that a key is missing, and
 * what msgpackr can't encode or nests too deep.
 */
export function writeValue(writer: Writer, value: unknown): void {
  switch (typeof value) {
    case 'string':
      writer.text(value);
      return;
    case 'boolean':
      writer.boolean(value);
      return;
    case 'number':
      // msgpackr makes a float of an integer beyond 32 bits, to which ADD could add nothing.
      if (Number.isSafeInteger(value) && (value > 0xffff_ffff || value < -0x8000_0000)) writer.integer(value);
      else writer.raw(packr.pack(value));
      return;
    case 'bigint':
      // A bigint and a number of the same value are the same bytes.
      if (value === BigInt.asIntN(64, value)) writer.integer(value);
      else writer.raw(packr.pack(value));
      return;
    case 'object':
      if (value instanceof Uint8Array) writer.binary(value);
      else writer.raw(packObject(value));
      return;
    default:
      throw new ArgumentError(`a value can't be ${kindOf(value)}`);
  }
}

function packObject(value: object | null): Uint8Array {
  let bytes: Uint8Array;
  try {
    bytes = packr.pack(value);
    // The server would refuse the whole frame for a value that is ill-formed or nests too deep.
    new Reader(bytes).skip();
  } catch (cause) {
    const isTooDeep = cause instanceof MsgpackError && cause.tooDeep;
    const why = isTooDeep ? `it nests more than ${MAX_VALUE_DEPTH} deep` : String(cause);
    throw new ArgumentError(`the value can't be encoded: ${why}`, { cause });
  }
  if (bytes[0] === NIL) throw new ArgumentError("a value can't be null");
  return bytes;
}

/** Reads one value of any kind. A well-formed one that msgpackr can't decode is a `ResultError`, which is returned. */
export function readValue(reader: Reader): unknown {
  const { bytes, position: start } = reader;
  if (startsText(reader)) return textDecoder.decode(reader.stringOrBytes()!);
  reader.skip();
  try {
    return unpackr.unpack(bytes, { start, end: reader.position });
  } catch (cause) {
    return new ResultError(`the value can't be decoded: ${String(cause)}`, { cause });
  }
}

function startsText({ bytes, position, end }: Reader): boolean {
  const tag = position < end ? bytes[position]! : NIL;
  return (tag >= 0xa0 && tag <= 0xbf) || (tag >= 0xd9 && tag <= 0xdb);
}

/** A key as text. Throws `ResultError` when its bytes are no UTF-8. */
export function decodeKey(bytes: Uint8Array): string {
  try {
    return strictTextDecoder.decode(bytes);
  } catch (cause) {
    throw new ResultError("a key is no UTF-8: ask with keys: 'bytes'", { cause });
  }
}

function kindOf(value: unknown): string {
  return value === null || value === undefined ? String(value) : `of type ${typeof value}`;
}
