/**
 * Which keys expire when: a hierarchical timing wheel (Varghese and Lauck, "Hashed and hierarchical timing wheels", 1987).
 * Eight levels of 64 slots; a slot of level n spans 64^n ms, so level 0 tells milliseconds apart and the highest reaches
 * beyond the longest time to live. Records are chained in their slots, so a time to live is set and taken away in constant
 * time, and a sweep touches only what is due or comes nearer to it.
 *
 * That a key is gone at its very millisecond is not the wheel's matter: every operation looks at the record's own expiry.
 */
import { expiryOf, freeRecord, keyBytes, keyOf, linkOf, nextWord, setLink } from './record';
import { hashKey } from './siphash';
import { removeSlot, slotOf } from './table';

const LEVELS: u32 = 8;
const SLOT_BITS: u32 = 6;
const SLOTS: u64 = 1 << SLOT_BITS;

/** First record of each slot, level after level; 0: none. */
const wheel: usize = memory.data(LEVELS * 64 * 4, 16);

/** The millisecond before which nothing is left that has expired. */
let position: i64 = 0;
let scheduled: u32 = 0;
let expired: u64 = 0;

export function scheduledCount(): u32 {
  return scheduled;
}

export function expiredCount(): f64 {
  return <f64>expired;
}

/** Adds a record whose expiry is set. */
export function schedule(record: usize, now: i64): void {
  if (scheduled == 0) position = max(position, now);
  chain(record);
  scheduled++;
}

/** Takes a record out. */
export function unschedule(record: usize): void {
  unchain(record);
  scheduled--;
}

/** A record that was scheduled lies here now, with all that it held where it lay. */
export function reschedule(record: usize): void {
  store<u32>(linkOf(record), <u32>record);
  const next = <usize>load<u32>(nextWord(record));
  if (next != 0) setLink(next, nextWord(record));
}

export function clearWheel(): void {
  memory.fill(wheel, 0, LEVELS * 64 * 4);
  scheduled = 0;
}

/** Removes a record that has expired from wheel, table and memory. */
export function expire(record: usize, hash: u64, slot: usize): void {
  removeSlot(hash, slot);
  unschedule(record);
  freeRecord(record);
  expired++;
}

/**
 * Removes what is due at `now`, doing at most `budget` units of work (a key removed or moved to a lower level is one, and so
 * is going on by 64 slots). Returns the units used; less than `budget` means that nothing due is left.
 */
export function sweepWheel(now: i64, budget: u32): u32 {
  if (scheduled == 0) {
    position = max(position, now);
    return 0;
  }
  let used: u32 = 0;
  while (true) {
    if ((position & 63) == 0) {
      used = moveDown(used, budget);
      if (used >= budget) return used;
      const next = nextOccupied(now);
      if (next > position) {
        position = next;
        used++;
        continue;
      }
    }
    const slot = slotOfLevel(0, <u64>position);
    while (load<u32>(slot) != 0) {
      if (used >= budget) return used;
      remove(<usize>load<u32>(slot));
      used++;
    }
    if (position >= now) return used;
    if ((position & 63) == 63) {
      if (used >= budget) return used;
      used++;
    }
    position++;
  }
}

/** At the begin of a slot of a higher level its records move down, to where they are told apart more finely. */
function moveDown(used: u32, budget: u32): u32 {
  for (let level = LEVELS - 1; level > 0; level--) {
    if ((position & (((<i64>1) << (SLOT_BITS * level)) - 1)) != 0) continue;
    const head = slotOfLevel(level, <u64>position);
    while (load<u32>(head) != 0) {
      if (used >= budget) return used;
      const record = <usize>load<u32>(head);
      unchain(record);
      chain(record);
      used++;
    }
  }
  return used;
}

/**
 * How far the wheel may be turned at once, because the levels below are empty: to the begin of a slot, not beyond `now`. So
 * a long rest is passed over in few steps.
 */
function nextOccupied(now: i64): i64 {
  let next = position;
  for (let level: u32 = 0; level < LEVELS; level++) {
    const begin = wheel + (level << 8);
    let all = v128.load(begin);
    for (let at = begin + 16; at < begin + 256; at += 16) all = v128.or(all, v128.load(at));
    if (v128.any_true(all)) break;
    const end = (position | (((<i64>1) << (SLOT_BITS * (level + 1))) - 1)) + 1;
    if (end > now) break;
    next = end;
  }
  return next;
}

function remove(record: usize): void {
  const hash = hashKey(keyOf(record), keyBytes(record));
  expire(record, hash, slotOf(hash, record));
}

function slotOfLevel(level: u32, time: u64): usize {
  return wheel + ((<usize>(level << SLOT_BITS) + <usize>((time >> (SLOT_BITS * level)) & (SLOTS - 1))) << 2);
}

function chain(record: usize): void {
  const due = max(expiryOf(record), position);
  const distance = <u64>(due - position);
  const level = distance == 0 ? 0 : min((63 - <u32>clz(distance)) / SLOT_BITS, LEVELS - 1);
  const head = slotOfLevel(level, <u64>due);
  const next = <usize>load<u32>(head);
  store<u32>(nextWord(record), <u32>next);
  if (next != 0) setLink(next, nextWord(record));
  store<u32>(head, <u32>record);
  setLink(record, head);
}

function unchain(record: usize): void {
  const next = <usize>load<u32>(nextWord(record));
  store<u32>(linkOf(record), <u32>next);
  if (next != 0) setLink(next, linkOf(record));
}
