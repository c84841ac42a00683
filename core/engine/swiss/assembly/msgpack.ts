/**
 * MessagePack as far as the engine has to know it: walking values, reading headers and integers, writing results. Reading
 * is safe on any bytes: what a header claims is compared with what is there before it is believed. A header itself may be
 * read up to 16 bytes beyond the end, which is within the memory; the position is checked before anything follows from it.
 */

/** Why the last `skip` returned 0. */
export let fault: u32 = 0;
export const FAULT_TRUNCATED: u32 = 1;
export const FAULT_DEEP: u32 = 2;

function fail(reason: u32): usize {
  fault = reason;
  return 0;
}

export function truncated(): usize {
  return fail(FAULT_TRUNCATED);
}

/**
 * Passes over one value at `at` whose containers nest at most `depth` deep. Returns where it ends, or 0 (see `fault`) when
 * it is ill-formed, too deep, or goes beyond `end`.
 */
export function skip(at: usize, end: usize, depth: u32): usize {
  if (at >= end) return fail(FAULT_TRUNCATED);
  const tag = <u32>load<u8>(at);
  if (tag <= 0x7f || tag >= 0xe0) return at + 1;
  if (tag <= 0x9f) return skipElements(at + 1, end, (tag & 0x0f) << (tag <= 0x8f ? 1 : 0), depth);
  if (tag <= 0xbf) return skipBytes(at + 1, end, tag & 0x1f);
  switch (tag) {
    case 0xc0:
    case 0xc2:
    case 0xc3:
      return at + 1;
    case 0xc1:
      return fail(FAULT_TRUNCATED);
    case 0xc4:
    case 0xd9:
      return skipBytes(at + 2, end, load<u8>(at, 1));
    case 0xc5:
    case 0xda:
      return skipBytes(at + 3, end, uint16(at + 1));
    case 0xc6:
    case 0xdb:
      return skipBytes(at + 5, end, uint32(at + 1));
    case 0xc7:
      return skipBytes(at + 3, end, load<u8>(at, 1));
    case 0xc8:
      return skipBytes(at + 4, end, uint16(at + 1));
    case 0xc9:
      return skipBytes(at + 6, end, uint32(at + 1));
    case 0xca:
      return skipBytes(at + 1, end, 4);
    case 0xcb:
      return skipBytes(at + 1, end, 8);
    case 0xdc:
      return skipElements(at + 3, end, uint16(at + 1), depth);
    case 0xdd:
      return skipElements(at + 5, end, uint32(at + 1), depth);
    case 0xde:
      return skipElements(at + 3, end, uint16(at + 1) << 1, depth);
    case 0xdf:
      return skipElements(at + 5, end, (<u64>uint32(at + 1)) << 1, depth);
    default:
      // 0xcc to 0xd3 are the integers, 0xd4 to 0xd8 the fixexts: a type byte and 1, 2, 4, 8 or 16 bytes.
      return tag <= 0xd3 ? skipBytes(at + 1, end, 1 << (tag & 3)) : skipBytes(at + 2, end, 1 << (tag - 0xd4));
  }
}

function skipBytes(at: usize, end: usize, length: u32): usize {
  return at > end || length > <u32>(end - at) ? fail(FAULT_TRUNCATED) : at + length;
}

function skipElements(at: usize, end: usize, count: u64, depth: u32): usize {
  if (at > end) return fail(FAULT_TRUNCATED);
  if (depth == 0) return fail(FAULT_DEEP);
  let next = at;
  for (let i: u64 = 0; i < count; i++) {
    next = skip(next, end, depth - 1);
    if (next == 0) return 0;
  }
  return next;
}

/** A big-endian uint16 at any address. */
export function uint16(at: usize): u32 {
  return <u32>bswap(load<u16>(at));
}

/** A big-endian uint32 at any address. */
export function uint32(at: usize): u32 {
  return bswap(load<u32>(at));
}

/** Bytes of the header of the `str` or `bin` that starts with this tag; 0 when it starts neither. */
export function stringHeaderBytes(tag: u32): u32 {
  if ((tag & 0xe0) == 0xa0) return 1;
  if (tag == 0xc4 || tag == 0xd9) return 2;
  if (tag == 0xc5 || tag == 0xda) return 3;
  if (tag == 0xc6 || tag == 0xdb) return 5;
  return 0;
}

/** The length that a `str` or `bin` header of `headerBytes` at `at` tells. */
export function stringLength(at: usize, headerBytes: u32): u32 {
  switch (headerBytes) {
    case 1:
      return load<u8>(at) & 0x1f;
    case 2:
      return load<u8>(at, 1);
    case 3:
      return uint16(at + 1);
    default:
      return uint32(at + 1);
  }
}

/** What `readInteger` found. */
export const INTEGER_OK: u32 = 0;
export const INTEGER_NONE: u32 = 1;
export const INTEGER_TOO_LARGE: u32 = 2;

/** The integer that `readInteger` read. */
export let integer: i64 = 0;

/** Reads the integer at `at` into `integer`, in whatever format; the value must be known to be well-formed. */
export function readInteger(at: usize): u32 {
  const tag = <u32>load<u8>(at);
  if (tag <= 0x7f || tag >= 0xe0) {
    integer = <i64>(<i8>tag);
    return INTEGER_OK;
  }
  switch (tag) {
    case 0xcc:
      integer = load<u8>(at, 1);
      return INTEGER_OK;
    case 0xcd:
      integer = uint16(at + 1);
      return INTEGER_OK;
    case 0xce:
      integer = uint32(at + 1);
      return INTEGER_OK;
    case 0xcf:
    case 0xd3:
      integer = bswap(load<i64>(at, 1));
      return tag == 0xcf && integer < 0 ? INTEGER_TOO_LARGE : INTEGER_OK;
    case 0xd0:
      integer = load<i8>(at, 1);
      return INTEGER_OK;
    case 0xd1:
      integer = <i16>uint16(at + 1);
      return INTEGER_OK;
    case 0xd2:
      integer = <i32>uint32(at + 1);
      return INTEGER_OK;
    default:
      return INTEGER_NONE;
  }
}

/** Writes an integer in its shortest format, of at most 9 bytes, and returns where it ends. */
export function writeInteger(at: usize, value: i64): usize {
  if (value >= -32 && value <= 0x7f) {
    store<u8>(at, <u8>value);
    return at + 1;
  }
  if (value >= 0) {
    if (value <= 0xff) return write8(at, 0xcc, <u8>value);
    if (value <= 0xffff) return write16(at, 0xcd, <u16>value);
    if (value <= 0xffff_ffff) return write32(at, 0xce, <u32>value);
    return write64(at, 0xcf, value);
  }
  if (value >= -0x80) return write8(at, 0xd0, <u8>value);
  if (value >= -0x8000) return write16(at, 0xd1, <u16>value);
  if (value >= -0x8000_0000) return write32(at, 0xd2, <u32>value);
  return write64(at, 0xd3, value);
}

/** Writes the header of an array, of at most 5 bytes, and returns where it ends. */
export function writeArrayHeader(at: usize, count: u32): usize {
  if (count < 16) {
    store<u8>(at, <u8>(0x90 | count));
    return at + 1;
  }
  return count <= 0xffff ? write16(at, 0xdc, <u16>count) : write32(at, 0xdd, count);
}

/** Writes the header of a `bin`, of at most 5 bytes, and returns where it ends. */
export function writeBinaryHeader(at: usize, length: u32): usize {
  if (length <= 0xff) return write8(at, 0xc4, <u8>length);
  return length <= 0xffff ? write16(at, 0xc5, <u16>length) : write32(at, 0xc6, length);
}

function write8(at: usize, tag: u8, value: u8): usize {
  store<u8>(at, tag);
  store<u8>(at, value, 1);
  return at + 2;
}

function write16(at: usize, tag: u8, value: u16): usize {
  store<u8>(at, tag);
  store<u16>(at, bswap(value), 1);
  return at + 3;
}

function write32(at: usize, tag: u8, value: u32): usize {
  store<u8>(at, tag);
  store<u32>(at, bswap(value), 1);
  return at + 5;
}

function write64(at: usize, tag: u8, value: i64): usize {
  store<u8>(at, tag);
  store<i64>(at, bswap(value), 1);
  return at + 9;
}
