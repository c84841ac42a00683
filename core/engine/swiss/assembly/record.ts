/**
 * A record: key and value in one block, without padding between them. What a slot of the table holds is the address of its
 * header.
 *
 *     [expiry i64 | next u32 | link u32]  value bytes u32 (top bit: has an expiry) | key bytes u16 | key … | value …
 *      only with an expiry, before        ^ the record's address, a multiple of 8
 *      the address
 *
 * `next` and `link` chain the records of one slot of the timing wheel (`wheel.ts`).
 */
import { allocateBlock, blockBytes, blockCapacity, freeBlock } from './blocks';

export const HEADER_BYTES: u32 = 6;
const EXPIRY_BYTES: u32 = 16;
const HAS_EXPIRY: u32 = 0x8000_0000;

export function hasExpiry(record: usize): bool {
  return <i32>load<u32>(record) < 0;
}

export function valueBytes(record: usize): u32 {
  return load<u32>(record) & ~HAS_EXPIRY;
}

export function keyBytes(record: usize): u32 {
  return load<u16>(record, 4);
}

export function keyOf(record: usize): usize {
  return record + HEADER_BYTES;
}

export function valueOf(record: usize): usize {
  return record + HEADER_BYTES + keyBytes(record);
}

/** Milliseconds since 1970. Only for records that have one. */
export function expiryOf(record: usize): i64 {
  return load<i64>(record - 16);
}

export function setExpiry(record: usize, expiry: i64): void {
  store<i64>(record - 16, expiry);
}

/** Address of the word that holds the next record of the wheel's slot. */
export function nextWord(record: usize): usize {
  return record - 8;
}

/** Address of the word that points to this record: a slot of the wheel, or the `nextWord` of the record before. */
export function linkOf(record: usize): usize {
  return load<u32>(record - 4);
}

export function setLink(record: usize, word: usize): void {
  store<u32>(record - 4, <u32>word);
}

/** Bytes of memory a record of these measures takes. */
export function recordBytes(keyLength: u32, valueLength: u32, withExpiry: bool): u32 {
  return blockBytes(sizeOf(keyLength, valueLength, withExpiry));
}

/** Bytes of memory that a record takes. */
export function bytesOf(record: usize): u32 {
  return recordBytes(keyBytes(record), valueBytes(record), hasExpiry(record));
}

function sizeOf(keyLength: u32, valueLength: u32, withExpiry: bool): u32 {
  return HEADER_BYTES + keyLength + valueLength + (withExpiry ? EXPIRY_BYTES : 0);
}

/** A record with its key, the value's length and room for the value; 0 when memory is short. */
export function createRecord(key: usize, keyLength: u32, valueLength: u32, withExpiry: bool): usize {
  const block = allocateBlock(sizeOf(keyLength, valueLength, withExpiry));
  if (block == 0) return 0;
  const record = withExpiry ? block + EXPIRY_BYTES : block;
  store<u32>(record, withExpiry ? valueLength | HAS_EXPIRY : valueLength);
  store<u16>(record, <u16>keyLength, 4);
  copyBytes(record + HEADER_BYTES, key, keyLength);
  return record;
}

/**
 * The record of a block, if that has one with an expiry, or without; 0 when what lies there can't be one. Only the table knows
 * whether it is.
 */
export function recordIn(block: usize, withExpiry: bool): usize {
  const record = withExpiry ? block + EXPIRY_BYTES : block;
  const size = <u64>HEADER_BYTES + keyBytes(record) + valueBytes(record) + (withExpiry ? EXPIRY_BYTES : 0);
  return hasExpiry(record) == withExpiry && keyBytes(record) != 0 && size <= blockCapacity(block) ? record : 0;
}

export function freeRecord(record: usize): void {
  const withExpiry = hasExpiry(record);
  const block = withExpiry ? record - EXPIRY_BYTES : record;
  freeBlock(block, sizeOf(keyBytes(record), valueBytes(record), withExpiry));
}

/** Changes the length of the value. Only to one for which `recordBytes` is the same. */
export function setValueBytes(record: usize, length: u32): void {
  store<u32>(record, (load<u32>(record) & HAS_EXPIRY) | length);
}

/** Copies exactly `length` bytes: what lies behind the target belongs to somebody else. */
export function copyBytes(target: usize, source: usize, length: u32): void {
  if (length > 256) {
    memory.copy(target, source, length);
    return;
  }
  let to = target;
  let from = source;
  let left = length;
  while (left >= 8) {
    store<u64>(to, load<u64>(from));
    to += 8;
    from += 8;
    left -= 8;
  }
  if (left & 4) {
    store<u32>(to, load<u32>(from));
    to += 4;
    from += 4;
  }
  if (left & 2) {
    store<u16>(to, load<u16>(from));
    to += 2;
    from += 2;
  }
  if (left & 1) store<u8>(to, load<u8>(from));
}

/** Whether two byte strings of the same length are equal. Up to 7 bytes behind them are read, and count for nothing. */
export function sameBytes(a: usize, b: usize, length: u32): bool {
  let left = length;
  while (left >= 8) {
    if (load<u64>(a) != load<u64>(b)) return false;
    a += 8;
    b += 8;
    left -= 8;
  }
  return left == 0 || (load<u64>(a) ^ load<u64>(b)) << ((8 - left) << 3) == 0;
}
