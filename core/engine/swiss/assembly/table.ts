/**
 * The table: from a key's hash to its record.
 *
 * It is a Swiss table cut into segments that are the leaves of extendible hashing (Fagin et al., 1979). A segment is one
 * page of 4 KiB: 64 groups, each one cache line, so that looking up a key touches one line of the index.
 *
 *     group, 64 bytes:  12 tags u8 | overflow u8 | 1 byte unused | uses u16 | 12 slots u32
 *
 * A tag is 0 for an empty slot, else 0x80 and 7 bits of the hash; all of a group are compared with one SIMD instruction. A
 * slot is the address of a record. `overflow` counts the keys that wanted this group or passed it, and found it full: a
 * probe ends at a group where it is 0, so a deletion leaves no tombstone, it lowers the counts again (as in Facebook's
 * F14). At 255 it stays, until the segment is split. `uses` has a bit for each slot, for the clock of `evict.ts`.
 *
 * The directory is indexed by the top bits of the hash, and a segment uses the six bits behind those for the home group.
 * So the order of groups is the order of hashes, whatever was split since, which is what SCAN's cursors stand on.
 *
 * When a segment is 7/8 full it is split in two, which moves at most 672 keys: the table grows in steps of some
 * microseconds, never all at once.
 */
import { allocateBlock, blockBytesInUse, freeAllBlocks, slabBytes } from './blocks';
import { allocatePages, freePages, KIND_DIRECTORY, PAGE_BYTES, PAGE_SHIFT } from './pages';
import { keyBytes, keyOf, recordIn, sameBytes } from './record';
import { hashKey } from './siphash';

const GROUP_SHIFT: u32 = 6;
const GROUPS: u32 = 64;
const GROUP_SLOTS: u32 = 12;
const SLOT_MASK: i32 = 0xfff;
const OVERFLOW: usize = 12;
const OVERFLOW_STUCK: u32 = 255;
const USES: usize = 14;
const SLOTS: usize = 16;
const SEGMENT_BYTES: u32 = 4096;
const SEGMENT_SLOTS: u32 = GROUPS * GROUP_SLOTS;
const SPLIT_AT: u32 = (SEGMENT_SLOTS * 7) / 8;

/** 2^18 segments hold 100 million keys and more; 4 GiB hold fewer records than that. */
const DEPTH_MAX: u32 = 18;

/** Address of the directory: a word per segment, its address with the number of hash bits it stands for in the low 12. */
let directory: usize = 0;
/** Hash bits that index the directory. */
let depth: u32 = 0;
let segments: u32 = 0;
let keys: u32 = 0;

/** Keys in each segment, by the segment's address in units of its size. */
const segmentKeys: usize = memory.data(0x100000 * 2, 64);

/** Where a segment lies while it is split. */
const splitting: usize = memory.data(SEGMENT_BYTES, 64);

export function keyCount(): u32 {
  return keys;
}

/** Bytes of the records and the index. */
export function usedBytes(): f64 {
  return blockBytesInUse() + <f64>directoryPages() * PAGE_BYTES;
}

/** Bytes of the segments and the directory. */
export function indexBytes(): f64 {
  return <f64>segments * SEGMENT_BYTES + <f64>directoryPages() * PAGE_BYTES;
}

/** Makes the table empty. False when there is not even memory for that. */
export function initTable(): bool {
  depth = 0;
  segments = 0;
  keys = 0;
  directory = allocatePages(1, KIND_DIRECTORY);
  if (directory == 0) return false;
  const segment = newSegment();
  if (segment == 0) return false;
  store<u32>(directory, <u32>segment);
  return true;
}

/** Removes all keys and gives all their memory back. */
export function clearTable(): void {
  freeAllBlocks();
  initTable();
}

/** Address of the group that is home to a hash. To be touched before a batch is executed. */
export function homeGroup(hash: u64): usize {
  const entry = directoryEntry(hash);
  return (entry & ~(SEGMENT_BYTES - 1)) + (homeIndex(hash, entry & (SEGMENT_BYTES - 1)) << GROUP_SHIFT);
}

/** Loads what lies at the record that a lookup will most likely find, so that it is in the cache by then. */
export function touchRecord(group: usize, hash: u64): u32 {
  let matches = i8x16.bitmask(i8x16.eq(v128.load(group), tagOf(hash))) & SLOT_MASK;
  let sum: u32 = 0;
  while (matches != 0) {
    const record = <usize>load<u32>(group + SLOTS + (ctz(matches) << 2));
    sum += load<u32>(record) + load<u32>(record + 64);
    matches &= matches - 1;
  }
  return sum;
}

/** Address of the slot that holds the key's record; 0 when the key is not there. */
export function findSlot(hash: u64, key: usize, length: u32): usize {
  const entry = directoryEntry(hash);
  const segment = <usize>(entry & ~(SEGMENT_BYTES - 1));
  let index = homeIndex(hash, entry & (SEGMENT_BYTES - 1));
  const tag = tagOf(hash);
  for (let probe: u32 = 0; probe < GROUPS; probe++) {
    const group = segment + (index << GROUP_SHIFT);
    let matches = i8x16.bitmask(i8x16.eq(v128.load(group), tag)) & SLOT_MASK;
    while (matches != 0) {
      const slot = group + SLOTS + (ctz(matches) << 2);
      const record = <usize>load<u32>(slot);
      if (keyBytes(record) == length && sameBytes(keyOf(record), key, length)) return slot;
      matches &= matches - 1;
    }
    if (load<u8>(group, OVERFLOW) == 0) return 0;
    index = (index + 1) & (GROUPS - 1);
  }
  return 0;
}

/**
 * Puts a record whose key is not in the table. False when memory is short; then nothing has changed. With `fillsUp`, a segment
 * for which there is no other is filled to its last slot before that.
 */
export function insert(hash: u64, record: usize, fillsUp: bool): bool {
  let entry = directoryEntry(hash);
  while (load<u16>(countOf(entry)) >= SPLIT_AT) {
    if (!split(hash, entry)) {
      if (!fillsUp || load<u16>(countOf(entry)) >= SEGMENT_SLOTS) return false;
      break;
    }
    entry = directoryEntry(hash);
  }
  place(<usize>(entry & ~(SEGMENT_BYTES - 1)), entry & (SEGMENT_BYTES - 1), hash, record, 1);
  store<u16>(countOf(entry), <u16>(load<u16>(countOf(entry)) + 1));
  keys++;
  return true;
}

/** Takes the record out of the slot where `findSlot` found it. The record itself stays. */
export function removeSlot(hash: u64, slot: usize): void {
  const entry = directoryEntry(hash);
  const segment = <usize>(entry & ~(SEGMENT_BYTES - 1));
  let index = homeIndex(hash, entry & (SEGMENT_BYTES - 1));
  const group = slot & ~((1 << GROUP_SHIFT) - 1);
  store<u8>(group + ((slot - group - SLOTS) >> 2), 0);
  for (let passed = segment + (index << GROUP_SHIFT); passed != group; passed = segment + (index << GROUP_SHIFT)) {
    const overflow = <u32>load<u8>(passed, OVERFLOW);
    if (overflow != OVERFLOW_STUCK) store<u8>(passed, <u8>(overflow - 1), OVERFLOW);
    index = (index + 1) & (GROUPS - 1);
  }
  store<u16>(countOf(entry), <u16>(load<u16>(countOf(entry)) - 1));
  keys--;
}

/** Address of the slot that holds this very record, if it is in the table. */
export function slotOf(hash: u64, record: usize): usize {
  return findSlot(hash, keyOf(record), keyBytes(record));
}

/** Address of the slot whose record lies in this block; 0 when none does: it may be a part of the index as well. */
export function slotOfBlock(block: usize): usize {
  const slot = slotHolding(recordIn(block, false));
  return slot != 0 ? slot : slotHolding(recordIn(block, true));
}

/** Address of the slot that holds this very address; 0 when none does. */
function slotHolding(record: usize): usize {
  if (record == 0) return 0;
  const slot = slotOf(hashKey(keyOf(record), keyBytes(record)), record);
  return slot != 0 && load<u32>(slot) == <u32>record ? slot : 0;
}

// SCAN goes over the home groups in the order of hashes. A position is the top 32 bits of a hash.

/** Where the records with the home group of `position` are put by `collectGroup`. */
export const collected: usize = memory.data(SEGMENT_SLOTS * 4, 16);

/** Collects the records whose home group is the one of `position`; returns how many there are. */
export function collectGroup(position: u32): u32 {
  const hash = (<u64>position) << 32;
  const entry = directoryEntry(hash);
  const segment = <usize>(entry & ~(SEGMENT_BYTES - 1));
  const bits = entry & (SEGMENT_BYTES - 1);
  const home = homeIndex(hash, bits);
  let index = home;
  let count: u32 = 0;
  for (let probe: u32 = 0; probe < GROUPS; probe++) {
    const group = segment + (index << GROUP_SHIFT);
    let full = i8x16.bitmask(v128.load(group)) & SLOT_MASK;
    while (full != 0) {
      const record = <usize>load<u32>(group + SLOTS + (ctz(full) << 2));
      if (homeIndex(hashKey(keyOf(record), keyBytes(record)), bits) == home) {
        store<u32>(collected + (count << 2), <u32>record);
        count++;
      }
      full &= full - 1;
    }
    if (load<u8>(group, OVERFLOW) == 0) break;
    index = (index + 1) & (GROUPS - 1);
  }
  return count;
}

/** The position of the group behind the one of `position`; 0 behind the last. */
export function nextPosition(position: u32): u32 {
  const bits = directoryEntry((<u64>position) << 32) & (SEGMENT_BYTES - 1);
  const shift = 26 - bits;
  return ((position >> shift) + 1) << shift;
}

// For the clock, which goes over the groups as they lie, in the same order.

/** Address of the group of a position. */
export function groupAt(position: u32): usize {
  return homeGroup((<u64>position) << 32);
}

export function slotAt(group: usize, i: u32): usize {
  return group + SLOTS + (i << 2);
}

/** Notes that the record in this slot was asked for. The group's line is in the cache: its tags were just compared. */
export function noteUse(slot: usize): void {
  const group = slot & ~((1 << GROUP_SHIFT) - 1);
  const uses = <u32>load<u16>(group, USES);
  const bit = (<u32>1) << ((slot - group - SLOTS) >> 2);
  if ((uses & bit) == 0) store<u16>(group, <u16>(uses | bit), USES);
}

export function clearUses(group: usize): void {
  store<u16>(group, 0, USES);
}

/** Bits of the slots that hold a record. */
export function usedSlots(group: usize): i32 {
  return i8x16.bitmask(v128.load(group)) & SLOT_MASK;
}

/** Bits of those whose record was not asked for since the bits were cleared. */
export function unusedSlots(group: usize): i32 {
  return usedSlots(group) & ~(<i32>load<u16>(group, USES));
}

function directoryEntry(hash: u64): u32 {
  // Two shifts, since one by 64 - 0 would shift by nothing.
  return load<u32>(directory + ((<usize>((hash >> 1) >> (63 - <u64>depth))) << 2));
}

function homeIndex(hash: u64, bits: u32): u32 {
  return <u32>((hash << (<u64>bits)) >> 58);
}

function tagOf(hash: u64): v128 {
  return i8x16.splat(<i8>(0x80 | (<u32>hash & 0x7f)));
}

function countOf(entry: u32): usize {
  return segmentKeys + <usize>((entry >> 12) << 1);
}

function directoryPages(): u32 {
  return max(1, ((<u32>4) << depth) >> PAGE_SHIFT);
}

function newSegment(): usize {
  const segment = allocateBlock(SEGMENT_BYTES);
  if (segment == 0) return 0;
  memory.fill(segment, 0, SEGMENT_BYTES);
  store<u16>(countOf(<u32>segment), 0);
  segments++;
  return segment;
}

/** Puts a record, with its bit of use, into the first free slot from its home group on. The segment must have one. */
function place(segment: usize, bits: u32, hash: u64, record: usize, use: u32): void {
  let index = homeIndex(hash, bits);
  while (true) {
    const group = segment + (index << GROUP_SHIFT);
    const free = ~i8x16.bitmask(v128.load(group)) & SLOT_MASK;
    if (free != 0) {
      const i = ctz(free);
      store<u8>(group + i, <u8>(0x80 | (<u32>hash & 0x7f)));
      store<u32>(group + SLOTS + (i << 2), <u32>record);
      store<u16>(group, <u16>((<u32>load<u16>(group, USES) & ~(1 << i)) | (use << i)), USES);
      return;
    }
    const overflow = <u32>load<u8>(group, OVERFLOW);
    if (overflow != OVERFLOW_STUCK) store<u8>(group, <u8>(overflow + 1), OVERFLOW);
    index = (index + 1) & (GROUPS - 1);
  }
}

/** Bytes of memory that a split may need: for a slab of segments, and for a directory of twice the size. */
export function bytesToSplit(): u32 {
  return slabBytes(SEGMENT_BYTES) + ((<u32>8) << depth);
}

let touched: u32 = 0;

/** Splits the segment of `entry`, to which `hash` belongs, by one more bit of the hash. False when memory is short. */
function split(hash: u64, entry: u32): bool {
  const bits = entry & (SEGMENT_BYTES - 1);
  if (bits == DEPTH_MAX || (bits == depth && !doubleDirectory())) return false;
  const upper = newSegment();
  if (upper == 0) return false;
  const lower = <usize>(entry & ~(SEGMENT_BYTES - 1));
  memory.copy(splitting, lower, SEGMENT_BYTES);
  memory.fill(lower, 0, SEGMENT_BYTES);
  // Their keys have to be hashed anew: have all records on their way into the cache before the first is needed.
  let sum: u32 = 0;
  for (let group = splitting; group < splitting + SEGMENT_BYTES; group += 1 << GROUP_SHIFT) {
    let full = i8x16.bitmask(v128.load(group)) & SLOT_MASK;
    while (full != 0) {
      sum += load<u32>(<usize>load<u32>(group + SLOTS + (ctz(full) << 2)));
      full &= full - 1;
    }
  }
  touched = sum;
  let lowerKeys: u32 = 0;
  let upperKeys: u32 = 0;
  for (let group = splitting; group < splitting + SEGMENT_BYTES; group += 1 << GROUP_SHIFT) {
    let full = i8x16.bitmask(v128.load(group)) & SLOT_MASK;
    while (full != 0) {
      const record = <usize>load<u32>(group + SLOTS + (ctz(full) << 2));
      const use = (<u32>load<u16>(group, USES) >> ctz(full)) & 1;
      const recordHash = hashKey(keyOf(record), keyBytes(record));
      if ((recordHash << (<u64>bits)) >> 63) {
        place(upper, bits + 1, recordHash, record, use);
        upperKeys++;
      } else {
        place(lower, bits + 1, recordHash, record, use);
        lowerKeys++;
      }
      full &= full - 1;
    }
  }
  store<u16>(countOf(<u32>lower), <u16>lowerKeys);
  store<u16>(countOf(<u32>upper), <u16>upperKeys);
  // All entries that shared the segment lie side by side: the first half keeps it, the second gets the new one.
  const shared: u32 = 1 << (depth - bits);
  const first = <u32>((hash >> 1) >> (63 - <u64>depth)) & ~(shared - 1);
  for (let i: u32 = 0; i < shared; i++) {
    const segment = i < shared >> 1 ? lower : upper;
    store<u32>(directory + ((first + i) << 2), <u32>segment | (bits + 1));
  }
  return true;
}

function doubleDirectory(): bool {
  const pages = max(1, ((<u32>8) << depth) >> PAGE_SHIFT);
  const doubled = allocatePages(pages, KIND_DIRECTORY);
  if (doubled == 0) return false;
  for (let i: u32 = 0; i < (<u32>1) << depth; i++) {
    const entry = <u64>load<u32>(directory + (i << 2));
    store<u64>(doubled + (i << 3), entry | (entry << 32));
  }
  freePages(directory);
  directory = doubled;
  depth++;
  return true;
}
