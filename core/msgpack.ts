/**
 * The little MessagePack that has to know where things lie in the bytes: walking a payload without decoding it, and
 * writing the frame's own structure. Values of users are encoded and decoded by msgpackr, not here.
 *
 * Source of the format: the MessagePack specification, github.com/msgpack/msgpack/blob/master/spec.md.
 */
import { ERROR_EXT_TYPE, type ErrorCode, MAX_VALUE_DEPTH } from './protocol.ts';

/** The bytes are not well-formed MessagePack, end too early or nest too deep. The message says which, and where. */
export class MsgpackError extends Error {
  override readonly name = 'MsgpackError';
  /** Whether containers nest deeper than allowed; the bytes up to there are well-formed. */
  readonly tooDeep: boolean;

  constructor(message: string, tooDeep = false) {
    super(message);
    this.tooDeep = tooDeep;
  }
}

const NIL = 0xc0;
const FALSE = 0xc2;
const TRUE = 0xc3;

/** A text up to this long is encoded in place, for which three times its length is reserved. Unit: UTF-16 units. */
const TEXT_IN_PLACE_MAX = 1024;

const textEncoder = new TextEncoder();
const textDecoder = new TextDecoder();

/** Reads forward over `bytes[position, end)`. Each method reads one value or header, and throws `MsgpackError`. */
export class Reader {
  position: number;
  readonly end: number;
  readonly bytes: Uint8Array;

  constructor(bytes: Uint8Array, position = 0, end: number = bytes.length) {
    this.bytes = bytes;
    this.position = position;
    this.end = end;
  }

  /** Elements of the array that starts here, which is entered; -1, reading nothing, when it is no array. */
  arrayHeader(): number {
    const tag = this.#peek();
    if (tag >= 0x90 && tag <= 0x9f) {
      this.position++;
      return tag & 0x0f;
    }
    if (tag === 0xdc) return this.#lengthField(2);
    if (tag === 0xdd) return this.#lengthField(4);
    return -1;
  }

  /** Pairs of the map that starts here, which is entered; -1, reading nothing, when it is no map. */
  mapHeader(): number {
    const tag = this.#peek();
    if (tag >= 0x80 && tag <= 0x8f) {
      this.position++;
      return tag & 0x0f;
    }
    if (tag === 0xde) return this.#lengthField(2);
    if (tag === 0xdf) return this.#lengthField(4);
    return -1;
  }

  /** The bytes of the `str` or `bin` that starts here, as a view; undefined, reading nothing, when it is neither. */
  stringOrBytes(): Uint8Array | undefined {
    const tag = this.#peek();
    let length: number;
    if (tag >= 0xa0 && tag <= 0xbf) {
      this.position++;
      length = tag & 0x1f;
    } else if (tag === 0xd9 || tag === 0xc4) length = this.#lengthField(1);
    else if (tag === 0xda || tag === 0xc5) length = this.#lengthField(2);
    else if (tag === 0xdb || tag === 0xc6) length = this.#lengthField(4);
    else return undefined;
    const start = this.#advance(length);
    return this.bytes.subarray(start, start + length);
  }

  /**
   * The integer that starts here, in any of MessagePack's integer formats; undefined, reading nothing, when it is none.
   * A uint64 above int64 comes as it is: whether that is in range is the caller's matter.
   */
  integer(): bigint | undefined {
    const tag = this.#peek();
    if (tag <= 0x7f) {
      this.position++;
      return BigInt(tag);
    }
    if (tag >= 0xe0) {
      this.position++;
      return BigInt(tag - 0x100);
    }
    if (tag < 0xcc || tag > 0xd3) return undefined;
    const width = 1 << (tag & 3);
    const start = this.#advance(1 + width) + 1;
    let value = 0n;
    for (let i = 0; i < width; i++) value = (value << 8n) | BigInt(this.bytes[start + i]!);
    return tag >= 0xd0 ? BigInt.asIntN(width * 8, value) : value;
  }

  /** Reads a nil if one starts here, and says whether it did. */
  nil(): boolean {
    if (this.#peek() !== NIL) return false;
    this.position++;
    return true;
  }

  /**
   * Passes over one value of any kind, whose containers nest at most `depth` deep: 0 allows scalars only, 1 an array of
   * scalars. Default: `MAX_VALUE_DEPTH`.
   */
  skip(depth: number = MAX_VALUE_DEPTH): void {
    const tag = this.#peek();
    if (tag <= 0x7f || tag >= 0xe0) this.position++;
    else if (tag <= 0x9f) {
      this.position++;
      this.#skipElements((tag & 0x0f) << (tag <= 0x8f ? 1 : 0), depth);
    } else if (tag <= 0xbf) this.#advance(1 + (tag & 0x1f));
    else this.#skipTagged(tag, depth);
  }

  #skipTagged(tag: number, depth: number): void {
    switch (tag) {
      case NIL:
      case FALSE:
      case TRUE:
        this.position++;
        return;
      case 0xc1:
        throw new MsgpackError(`byte 0xc1 at ${this.position} starts no MessagePack value`);
      case 0xc4:
      case 0xd9:
        this.#advance(this.#lengthField(1));
        return;
      case 0xc5:
      case 0xda:
        this.#advance(this.#lengthField(2));
        return;
      case 0xc6:
      case 0xdb:
        this.#advance(this.#lengthField(4));
        return;
      case 0xc7:
        this.#advance(1 + this.#lengthField(1));
        return;
      case 0xc8:
        this.#advance(1 + this.#lengthField(2));
        return;
      case 0xc9:
        this.#advance(1 + this.#lengthField(4));
        return;
      case 0xca:
        this.#advance(5);
        return;
      case 0xcb:
        this.#advance(9);
        return;
      case 0xdc:
        this.#skipElements(this.#lengthField(2), depth);
        return;
      case 0xdd:
        this.#skipElements(this.#lengthField(4), depth);
        return;
      case 0xde:
        this.#skipElements(this.#lengthField(2) * 2, depth);
        return;
      case 0xdf:
        this.#skipElements(this.#lengthField(4) * 2, depth);
        return;
      default:
        // 0xcc to 0xd3 are the integers, 0xd4 to 0xd8 the fixexts: a type byte and 1, 2, 4, 8 or 16 bytes.
        this.#advance(tag <= 0xd3 ? 1 + (1 << (tag & 3)) : 2 + (1 << (tag - 0xd4)));
    }
  }

  #skipElements(count: number, depth: number): void {
    if (depth === 0) throw new MsgpackError(`nested too deep before ${this.position}`, true);
    for (let i = 0; i < count; i++) this.skip(depth - 1);
  }

  #peek(): number {
    if (this.position >= this.end) throw new MsgpackError(`ends at ${this.end} where a value should start`);
    return this.bytes[this.position]!;
  }

  /** Moves over `length` bytes and returns where they start. */
  #advance(length: number): number {
    const start = this.position;
    if (length > this.end - start) throw new MsgpackError(`value at ${start} goes beyond the end at ${this.end}`);
    this.position = start + length;
    return start;
  }

  /** Reads a tag byte and the big-endian length of `width` bytes that follows it. */
  #lengthField(width: number): number {
    const start = this.#advance(1 + width) + 1;
    let value = 0;
    for (let i = 0; i < width; i++) value = value * 256 + this.bytes[start + i]!;
    return value;
  }
}

/** Appends MessagePack to a buffer that grows. `view()` is what was written since `clear()`. */
export class Writer {
  #bytes: Uint8Array<ArrayBuffer>;
  #length = 0;

  constructor(capacity = 256) {
    this.#bytes = new Uint8Array(capacity);
  }

  get length(): number {
    return this.#length;
  }

  /** Bytes of memory taken, written or not. */
  get capacity(): number {
    return this.#bytes.length;
  }

  /** What was written; a view that is valid until the next write. */
  view(): Uint8Array<ArrayBuffer> {
    return this.#bytes.subarray(0, this.#length);
  }

  /** A copy of what was written. */
  copy(): Uint8Array<ArrayBuffer> {
    return this.#bytes.slice(0, this.#length);
  }

  clear(): void {
    this.#length = 0;
  }

  /** Forgets what was written after the first `length` bytes. Throws `RangeError` when fewer were written. */
  truncate(length: number): void {
    if (length > this.#length) throw new RangeError(`cannot truncate ${this.#length} bytes to ${length}`);
    this.#length = length;
  }

  arrayHeader(length: number): void {
    this.#header(length, 0x90, 16, 0, 0xdc, 0xdd);
  }

  mapHeader(length: number): void {
    this.#header(length, 0x80, 16, 0, 0xde, 0xdf);
  }

  text(text: string): void {
    if (text.length > TEXT_IN_PLACE_MAX) {
      const bytes = textEncoder.encode(text);
      this.#header(bytes.length, 0xa0, 32, 0xd9, 0xda, 0xdb);
      this.raw(bytes);
      return;
    }
    // The header depends on the length in bytes. It is taken to be that of ASCII; where it isn't, the text is moved.
    const presumed = textHeaderBytes(text.length);
    this.#ensure(5 + text.length * 3);
    const start = this.#length + presumed;
    const { written } = textEncoder.encodeInto(text, this.#bytes.subarray(start));
    const actual = textHeaderBytes(written);
    if (actual !== presumed) this.#bytes.copyWithin(this.#length + actual, start, start + written);
    this.#header(written, 0xa0, 32, 0xd9, 0xda, 0xdb);
    this.#length += written;
  }

  binary(bytes: Uint8Array): void {
    this.#header(bytes.length, 0, 0, 0xc4, 0xc5, 0xc6);
    this.raw(bytes);
  }

  /** Shortest encoding. Throws `RangeError` for what is no integer or lies outside int64. */
  integer(value: number | bigint): void {
    if (typeof value === 'number') {
      if (!Number.isSafeInteger(value)) throw new RangeError(`${value} is not a safe integer`);
      // Nearly every integer the protocol itself has is this small, and BigInt is slow.
      if (value >= -32 && value <= 0x7f) {
        this.byte(value & 0xff);
        return;
      }
    }
    const big = BigInt(value);
    if (big !== BigInt.asIntN(64, big)) throw new RangeError(`${value} is outside int64`);
    const width = big >= 0n ? unsignedWidth(big) : signedWidth(big);
    if (width === 0) {
      this.byte(Number(big) & 0xff);
      return;
    }
    this.byte((big >= 0n ? 0xcc : 0xd0) + Math.log2(width));
    this.#ensure(width);
    for (let i = width - 1; i >= 0; i--) this.#bytes[this.#length++] = Number((big >> BigInt(i * 8)) & 0xffn);
  }

  nil(): void {
    this.byte(NIL);
  }

  boolean(value: boolean): void {
    this.byte(value ? TRUE : FALSE);
  }

  /** The protocol's error: an ext whose body is the array `[code, message]`. */
  error(code: ErrorCode, message: string): void {
    const body = new Writer(64);
    body.arrayHeader(2);
    body.text(code);
    body.text(message);
    // An ext may use the fixext formats at 1, 2, 4, 8 and 16 bytes; the general one is as good and one path less.
    this.#header(body.length, 0, 0, 0xc7, 0xc8, 0xc9);
    this.byte(ERROR_EXT_TYPE);
    this.raw(body.view());
  }

  /** Bytes that are MessagePack already. */
  raw(bytes: Uint8Array): void {
    this.#ensure(bytes.length);
    this.#bytes.set(bytes, this.#length);
    this.#length += bytes.length;
  }

  byte(value: number): void {
    this.#ensure(1);
    this.#bytes[this.#length++] = value;
  }

  /** Makes room for `length` bytes to be filled in later, and returns where they are. */
  reserve(length: number): number {
    this.#ensure(length);
    this.#length += length;
    return this.#length - length;
  }

  /** A header of the smallest format that holds `length`; a format whose tag is 0 does not exist for this kind. */
  #header(length: number, fix: number, fixLimit: number, tag8: number, tag16: number, tag32: number): void {
    this.#ensure(5);
    const bytes = this.#bytes;
    if (length < fixLimit) bytes[this.#length++] = fix | length;
    else if (length < 0x100 && tag8 !== 0) {
      bytes[this.#length++] = tag8;
      bytes[this.#length++] = length;
    } else if (length < 0x10000) {
      bytes[this.#length++] = tag16;
      bytes[this.#length++] = length >>> 8;
      bytes[this.#length++] = length;
    } else {
      bytes[this.#length++] = tag32;
      bytes[this.#length++] = length >>> 24;
      bytes[this.#length++] = length >>> 16;
      bytes[this.#length++] = length >>> 8;
      bytes[this.#length++] = length;
    }
  }

  #ensure(more: number): void {
    const needed = this.#length + more;
    if (needed <= this.#bytes.length) return;
    const grown = new Uint8Array(Math.max(needed, this.#bytes.length * 2));
    grown.set(this.view());
    this.#bytes = grown;
  }
}

/**
 * Reads the error ext that starts at `offset`; undefined when something else starts there, be it another ext of the same
 * type, whose body is not exactly `[code, message]`, or the end of the bytes.
 */
export function readError(
  bytes: Uint8Array,
  offset: number,
  end: number,
): { code: string; message: string } | undefined {
  const ext = offset < end ? extBody(bytes, offset) : undefined;
  if (ext === undefined || ext.type !== ERROR_EXT_TYPE || ext.end > end) return undefined;
  try {
    const body = new Reader(bytes, ext.start, ext.end);
    if (body.arrayHeader() !== 2) return undefined;
    const code = body.stringOrBytes();
    const message = code && body.stringOrBytes();
    if (code === undefined || message === undefined || body.position !== body.end) return undefined;
    return { code: textDecoder.decode(code), message: textDecoder.decode(message) };
  } catch (error) {
    if (error instanceof MsgpackError) return undefined;
    throw error;
  }
}

/** Type and body of the ext that starts at `offset`; undefined when none does. The body may go beyond the bytes. */
function extBody(bytes: Uint8Array, offset: number): { type: number; start: number; end: number } | undefined {
  const tag = bytes[offset]!;
  // The type byte follows the tag in the fixext formats, and a length of 1, 2 or 4 bytes in the general ones.
  if (tag >= 0xd4 && tag <= 0xd8) {
    const start = offset + 2;
    return { type: bytes[offset + 1] ?? 0, start, end: start + (1 << (tag - 0xd4)) };
  }
  if (tag < 0xc7 || tag > 0xc9) return undefined;
  const width = 1 << (tag - 0xc7);
  let length = 0;
  for (let i = 1; i <= width; i++) length = length * 256 + (bytes[offset + i] ?? 0);
  const start = offset + width + 2;
  return { type: bytes[start - 1] ?? 0, start, end: start + length };
}

function textHeaderBytes(length: number): number {
  return length < 32 ? 1 : length < 0x100 ? 2 : 3;
}

function unsignedWidth(value: bigint): number {
  if (value <= 0x7fn) return 0;
  if (value <= 0xffn) return 1;
  if (value <= 0xffffn) return 2;
  return value <= 0xffff_ffffn ? 4 : 8;
}

function signedWidth(value: bigint): number {
  if (value >= -32n) return 0;
  if (value >= -0x80n) return 1;
  if (value >= -0x8000n) return 2;
  return value >= -0x8000_0000n ? 4 : 8;
}
