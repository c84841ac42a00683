/**
 * Making room when the memory is full: CLOCK (Corbató, 1968), an approximation of LRU. The table keeps a bit for each slot that
 * says whether its record was asked for since the hand last passed. The hand goes round the groups in the order of hashes;
 * what was not asked for meanwhile is removed, and the bits of the others are cleared.
 *
 * What is removed is told in the redo bytes, as DEL, before the operation that needed the room: a replay evicts nothing by
 * itself.
 *
 * Room of one size is of no use for another as long as no slab has become empty. So when the clock has given enough and it
 * is still not the right room, whole slabs are emptied, one after the other, with all that lies in them.
 */
import { blocksOf, collectBlocks } from './blocks';
import { appendEviction, redoIsCollected } from './output';
import { dataBytesMax, nextDataRun, PAGE_SHIFT } from './pages';
import { bytesOf, expiryOf, freeRecord, hasExpiry, keyBytes, keyOf } from './record';
import { hashKey } from './siphash';
import {
  clearUses,
  groupAt,
  indexBytes,
  nextPosition,
  removeSlot,
  slotAt,
  slotOfBlock,
  unusedSlots,
  usedSlots,
} from './table';
import { expire, unschedule } from './wheel';

/** Groups that the hand passes for one record, at most; then it takes what is there. It bounds the work of an operation. */
const GROUPS_PER_RECORD: u32 = 1024;

/** Records that the clock gives for one allocation, before slabs are emptied. */
const RECORDS_PER_ALLOCATION: u32 = 64;

/** Runs of pages that are looked at for one allocation, beyond one for each 16 KiB that it needs. */
const RUNS_PER_ALLOCATION: u32 = 64;

export let evicts = false;
let evicted: u64 = 0;

/** Where the hand stands: the top 32 bits of a hash. */
let hand: u32 = 0;
/** The page from which on runs are emptied next. */
let runHand: u32 = 0;

// What the allocation under way may still cost.
let recordsLeft: u32 = 0;
let runsLeft: u32 = 0;

export function setEvicts(does: bool): void {
  evicts = does;
}

export function evictedCount(): f64 {
  return <f64>evicted;
}

/** Room for `bytes` will be asked for, while the record `kept` stays where it is. */
export function beginEviction(bytes: u32, kept: usize): void {
  recordsLeft = RECORDS_PER_ALLOCATION;
  runsLeft = RUNS_PER_ALLOCATION + ((bytes >> PAGE_SHIFT) << 1);
  const limit = dataBytesMax();
  // What would take more than half of the memory is not worth the rest of it, and what the rest would not be enough for even less.
  const stays = indexBytes() + (kept != 0 ? <f64>bytesOf(kept) : 0);
  if (<f64>bytes > limit / 2 || <f64>bytes + stays > limit) recordsLeft = runsLeft = 0;
}

/** Removes something, but not the record `kept`. False when the allocation has cost enough, or nothing is left. */
export function evictSome(kept: usize, now: i64): bool {
  if (recordsLeft != 0) {
    recordsLeft--;
    // It finds nothing where there are few records in a table that was made for many.
    if (evictByClock(kept, now)) return true;
  }
  while (runsLeft != 0) {
    runsLeft--;
    if (evictRun(kept, now)) return true;
  }
  return false;
}

/** Removes a record near the home of a hash, whose segment has no slot left. */
export function evictNear(hash: u64, now: i64): bool {
  if (!evicts) return false;
  const group = groupAt(<u32>(hash >> 32));
  if (evictFrom(group, unusedSlots(group), 0, now)) return true;
  clearUses(group);
  return evictFrom(group, usedSlots(group), 0, now);
}

function evictByClock(kept: usize, now: i64): bool {
  for (let passed: u32 = 0; passed < GROUPS_PER_RECORD; passed++) {
    const group = groupAt(hand);
    if (evictFrom(group, unusedSlots(group), kept, now)) return true;
    clearUses(group);
    hand = nextPosition(hand);
  }
  const group = groupAt(hand);
  return evictFrom(group, usedSlots(group), kept, now);
}

/** Removes the first of these records of a group that is not the one kept. */
function evictFrom(group: usize, slots: i32, kept: usize, now: i64): bool {
  let left = slots;
  while (left != 0) {
    const slot = slotAt(group, ctz(left));
    const record = <usize>load<u32>(slot);
    if (record != kept) return evict(record, hashKey(keyOf(record), keyBytes(record)), slot, now);
    left &= left - 1;
  }
  return false;
}

/** Removes all records of the next run of pages, whatever it holds. False when there was none. */
function evictRun(kept: usize, now: i64): bool {
  const page = nextDataRun(runHand);
  runHand = page + 1;
  if (page == 0) return false;
  const count = collectBlocks(page);
  let any = false;
  for (let i: u32 = 0; i < count; i++) {
    const slot = slotOfBlock(load<u32>(blocksOf + (i << 2)));
    if (slot == 0) continue;
    const record = <usize>load<u32>(slot);
    if (record == kept) continue;
    if (!evict(record, hashKey(keyOf(record), keyBytes(record)), slot, now)) return any;
    any = true;
  }
  return any;
}

/** Removes a record, and tells so. False, and it stays, when there is no memory to tell it. */
function evict(record: usize, hash: u64, slot: usize, now: i64): bool {
  const withExpiry = hasExpiry(record);
  if (withExpiry && expiryOf(record) <= now) {
    expire(record, hash, slot);
    return true;
  }
  if (redoIsCollected && !appendEviction(keyOf(record), keyBytes(record))) return false;
  removeSlot(hash, slot);
  if (withExpiry) unschedule(record);
  freeRecord(record);
  evicted++;
  return true;
}
