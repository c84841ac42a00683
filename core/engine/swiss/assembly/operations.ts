/**
 * What each operation does. An operation reads its arguments from the payload, which is known to be well-formed, and writes
 * one result behind the one before. Whatever it changed goes to the redo buffer as the bytes of the operation itself.
 */
import {
  ERROR_ARGUMENTS,
  ERROR_AUTH,
  ERROR_COUNT,
  ERROR_CURSOR,
  ERROR_FLAGS,
  ERROR_INTEGER_RANGE,
  ERROR_INTEGER_TYPE,
  ERROR_KEY_LENGTH,
  ERROR_KEY_TYPE,
  ERROR_MEMORY,
  ERROR_NIL,
  ERROR_NO_INTEGER,
  ERROR_NOT_ARRAY,
  ERROR_OPERATION,
  ERROR_OVERFLOW,
  ERROR_READ_ONLY,
  ERROR_REPLY,
  ERROR_TTL,
  ERROR_UNWRITABLE,
  ERROR_VALUE_LENGTH,
  RESULT_BYTES_MAX,
  writeError,
} from './errors';
import { beginEviction, evictNear, evictSome, evicts } from './evict';
import {
  ACCESS_FULL,
  ACCESS_NONE,
  access,
  countRefusal,
  keyBytesMax,
  LIMIT_KEY,
  LIMIT_VALUE,
  permitsAll,
  scanCountMax,
  valueBytesMax,
} from './limits';
import {
  INTEGER_NONE,
  INTEGER_OK,
  integer,
  readInteger,
  skip,
  stringHeaderBytes,
  stringLength,
  writeArrayHeader,
  writeBinaryHeader,
  writeInteger,
} from './msgpack';
import {
  ARGUMENTS,
  CODE,
  CODE_NOT_ARRAY,
  HASH,
  KEY,
  KEY_LENGTH,
  KEY_NONE,
  NEXT_ARGUMENT,
  OPERATION_BYTES,
  START,
} from './operation';
import { appendRedo, ensureOutput, outputEnd, outputLimit, redoIsCollected, setOutputEnd } from './output';
import {
  copyBytes,
  createRecord,
  expiryOf,
  freeRecord,
  hasExpiry,
  keyBytes,
  keyOf,
  recordBytes,
  sameBytes,
  setExpiry,
  setValueBytes,
  valueBytes,
  valueOf,
} from './record';
import { repack, repacks } from './repack';
import { ownsKey, slotOf } from './slots';
import {
  bytesToSplit,
  clearTable,
  collected,
  collectGroup,
  findSlot,
  insert,
  keyCount,
  nextPosition,
  noteUse,
  removeSlot,
} from './table';
import { clearWheel, expire, schedule, sweepWheel, unschedule } from './wheel';

// Codes of the protocol.
const PING = 0;
const GET = 1;
const SET = 2;
const DEL = 3;
const HAS = 4;
const ADD = 5;
const CAS = 6;
const EXPIRE = 7;
const TTL = 8;
const PERSIST = 9;
const TAKE = 10;
const SCAN = 16;
const COUNT = 17;
const CLEAR = 18;
const HELLO = 32;
const AUTH = 33;
const INFO = 34;

const ONLY_IF_MISSING: i64 = 1;
const ONLY_IF_PRESENT: i64 = 2;
const KEEP_TTL: i64 = 4;

const TTL_MAX: i64 = 1 << 47;
const REPLY_BYTES_MAX: u32 = 64 * 1024 * 1024;
/** SCAN answers once it has looked at so many bytes of keys. */
const SCAN_BYTES: u32 = 1024 * 1024;

const NIL: u8 = 0xc0;
const FALSE: u8 = 0xc2;
const TRUE: u8 = 0xc3;

/** What the server returns instead of a length. */
const NO_SERVER: i32 = -1;
const NO_ROOM: i32 = -2;

/**
 * Asks the server for the result of HELLO, AUTH or INFO, which it writes where `hostRoom` tells it. Returns the bytes
 * written, or one of the above.
 */
declare function serverOperation(code: u32, operation: usize, length: u32): i32;

/** Asks the server, in the same way, for the error that a key of another shard, in this slot, is answered with. */
declare function moved(slot: u32): i32;

/** The time of the request. Unit: milliseconds since 1970. */
let now: i64 = 0;

// The reply under way.
let out: usize = 0;
/** Results larger than `RESULT_BYTES_MAX` must ask for room beyond this. */
let outLimit: usize = 0;
let fixedBytes: u32 = 0;
let replyBytesLeft: u32 = 0;
let payloadEnd: usize = 0;

// The record that `lookup` found.
let slot: usize = 0;
let record: usize = 0;

/** The next argument to read. */
let argument: usize = 0;

/** Time never goes backwards. */
export function setNow(nowMs: i64): void {
  now = max(now, nowMs);
}

export function timeNow(): i64 {
  return now;
}

/** A reply of `count` results starts at the end of the output, which has `RESULT_BYTES_MAX` of room for each. */
export function startReply(count: u32, end: usize): void {
  payloadEnd = end;
  fixedBytes = count * RESULT_BYTES_MAX;
  replyBytesLeft = REPLY_BYTES_MAX;
  out = outputEnd();
  outLimit = outputLimit() - fixedBytes;
}

export function replyEnd(): usize {
  return out;
}

export function executeOperation(operation: usize): void {
  const code = <u32>load<u16>(operation, CODE);
  const count = <u32>load<u16>(operation, ARGUMENTS);
  argument = load<u32>(operation, NEXT_ARGUMENT);
  if (!permitsAll && !isPermitted(code)) return;
  switch (code) {
    case GET:
      if (hasArguments(count, 1, 1) && hasKey(operation)) get(operation);
      return;
    case SET:
      if (hasArguments(count, 2, 4) && hasKey(operation)) set(operation, count);
      return;
    case PING:
      if (hasArguments(count, 0, 1)) ping(count);
      return;
    case DEL:
      if (hasArguments(count, 1, 1) && hasKey(operation)) del(operation);
      return;
    case HAS:
      if (hasArguments(count, 1, 1) && hasKey(operation)) answer(lookup(operation));
      return;
    case ADD:
      if (hasArguments(count, 2, 2) && hasKey(operation)) add(operation);
      return;
    case CAS:
      if (hasArguments(count, 3, 3) && hasKey(operation)) compareAndSet(operation);
      return;
    case EXPIRE:
      if (hasArguments(count, 2, 2) && hasKey(operation)) expireIn(operation);
      return;
    case TTL:
      if (hasArguments(count, 1, 1) && hasKey(operation)) timeToLive(operation);
      return;
    case PERSIST:
      if (hasArguments(count, 1, 1) && hasKey(operation)) persist(operation);
      return;
    case TAKE:
      if (hasArguments(count, 1, 1) && hasKey(operation)) take(operation);
      return;
    case SCAN:
      if (hasArguments(count, 2, 3)) scan(count);
      return;
    case COUNT:
      if (hasArguments(count, 0, 0)) {
        sweepWheel(now, u32.MAX_VALUE);
        out = writeInteger(out, keyCount());
      }
      return;
    case CLEAR:
      if (hasArguments(count, 0, 0)) {
        clearTable();
        clearWheel();
        changed(operation);
        answer(true);
      }
      return;
    case HELLO:
    case AUTH:
    case INFO:
      askServer(operation, code);
      return;
    case CODE_NOT_ARRAY:
      error(ERROR_NOT_ARRAY);
      return;
    default:
      error(ERROR_OPERATION);
  }
}

/** Whether who asks may do this, when it is not everything; answers with an error if not. */
function isPermitted(code: u32): bool {
  if (code == HELLO || code == AUTH) return true;
  if (access == ACCESS_NONE) {
    error(ERROR_AUTH);
    return false;
  }
  if (!isWrite(code)) return true;
  error(access == ACCESS_FULL ? ERROR_UNWRITABLE : ERROR_READ_ONLY);
  return false;
}

function isWrite(code: u32): bool {
  switch (code) {
    case SET:
    case DEL:
    case ADD:
    case CAS:
    case EXPIRE:
    case PERSIST:
    case TAKE:
    case CLEAR:
      return true;
    default:
      return false;
  }
}

function get(operation: usize): void {
  if (!lookup(operation)) {
    store<u8>(out++, NIL);
    return;
  }
  const length = valueBytes(record);
  if (hasRoom(length)) out = copyResult(out, valueOf(record), length);
}

function set(operation: usize, count: u32): void {
  const value = argument;
  if (!isValue(value)) return;
  const valueLength = <u32>((count > 2 ? skipArgument() : endOf(operation)) - value);
  if (!isShort(valueLength)) return;
  let ttl: i64 = 0;
  let flags: i64 = 0;
  if (count > 2) {
    if (load<u8>(argument) == NIL) skipArgument();
    else {
      if (!readArgument()) return;
      ttl = integer;
      if (ttl < 1 || ttl > TTL_MAX) return error(ERROR_TTL);
    }
    if (count > 3) {
      if (!readArgument()) return;
      flags = integer;
      const both = ONLY_IF_MISSING | ONLY_IF_PRESENT;
      if (flags < 0 || flags > 7 || (flags & both) == both || (flags & KEEP_TTL && ttl != 0)) return error(ERROR_FLAGS);
    }
  }
  const isThere = lookup(operation);
  if ((flags & ONLY_IF_MISSING && isThere) || (flags & ONLY_IF_PRESENT && !isThere)) return answer(false);
  let expiry: i64 = 0;
  if (ttl != 0) expiry = now + ttl;
  else if (flags & KEEP_TTL) expiry = expiryNow();
  if (put(operation, value, valueLength, expiry)) {
    changed(operation);
    answer(true);
  }
}

function ping(count: u32): void {
  if (count == 0) {
    store<u8>(out, 0xa4);
    store<u32>(out, 0x474e4f50, 1); // "PONG"
    out += 5;
    return;
  }
  const length = <u32>(skip(argument, payloadEnd, u32.MAX_VALUE) - argument);
  if (hasRoom(length)) out = copyResult(out, argument, length);
}

function del(operation: usize): void {
  const isThere = lookup(operation);
  if (isThere) {
    remove(operation);
    changed(operation);
  }
  answer(isThere);
}

function add(operation: usize): void {
  if (!readArgument()) return;
  const delta = integer;
  let sum = delta;
  if (lookup(operation)) {
    if (readInteger(valueOf(record)) != INTEGER_OK) return error(ERROR_NO_INTEGER);
    const value = integer;
    sum = value + delta;
    // The sum overflowed when its sign differs from that of both its parts.
    if (((value ^ sum) & (delta ^ sum)) < 0) return error(ERROR_OVERFLOW);
  }
  const length = <u32>(writeInteger(sumBytes, sum) - sumBytes);
  if (put(operation, sumBytes, length, expiryNow())) {
    changed(operation);
    out = writeInteger(out, sum);
  }
}

/** Where ADD encodes what it stores. */
const sumBytes: usize = memory.data(16);

function compareAndSet(operation: usize): void {
  const expected = argument;
  const expectedEnd = skipArgument();
  const value = argument;
  if (!isValue(value)) return;
  const valueLength = <u32>(endOf(operation) - value);
  if (!isShort(valueLength)) return;
  const isThere = lookup(operation);
  const expectedLength = <u32>(expectedEnd - expected);
  const isExpected = isThere
    ? expectedLength == valueBytes(record) && sameBytes(valueOf(record), expected, expectedLength)
    : load<u8>(expected) == NIL;
  if (!isExpected) return answer(false);
  if (put(operation, value, valueLength, expiryNow())) {
    changed(operation);
    answer(true);
  }
}

function expireIn(operation: usize): void {
  if (!readArgument()) return;
  const ttl = integer;
  if (ttl > TTL_MAX) return error(ERROR_TTL);
  if (!lookup(operation)) return answer(false);
  if (ttl <= 0) remove(operation);
  else if (!put(operation, valueOf(record), valueBytes(record), now + ttl)) return;
  changed(operation);
  answer(true);
}

function timeToLive(operation: usize): void {
  if (!lookup(operation)) store<u8>(out++, NIL);
  else out = writeInteger(out, hasExpiry(record) ? expiryOf(record) - now : -1);
}

function persist(operation: usize): void {
  if (!lookup(operation) || !hasExpiry(record)) return answer(false);
  if (put(operation, valueOf(record), valueBytes(record), 0)) {
    changed(operation);
    answer(true);
  }
}

function take(operation: usize): void {
  if (!lookup(operation)) {
    store<u8>(out++, NIL);
    return;
  }
  const length = valueBytes(record);
  if (!hasRoom(length)) return;
  out = copyResult(out, valueOf(record), length);
  remove(operation);
  changed(operation);
}

function scan(count: u32): void {
  if (!readArgument()) return;
  const cursor = integer;
  if (cursor < 0 || cursor > 0xffff_ffff) return error(ERROR_CURSOR);
  if (!readArgument()) return;
  if (integer < 1) return error(ERROR_COUNT);
  const wanted = <u32>min(integer, <i64>scanCountMax);
  let prefix: usize = 0;
  let prefixLength: u32 = 0;
  if (count == 3) {
    const header = stringHeaderBytes(load<u8>(argument));
    if (header == 0) return error(ERROR_KEY_TYPE);
    prefix = argument + header;
    prefixLength = stringLength(argument, header);
  }
  // The headers can be written only when the keys are known; these start behind their room. `out` stays where the result
  // begins, so that an error can take its place.
  let position = <u32>cursor;
  let seen: u32 = 0;
  let found: u32 = 0;
  let bytes: u32 = 0;
  let bytesSeen: u32 = 0;
  let groups: u32 = 0;
  do {
    const inGroup = collectGroup(position);
    let groupBytes: u32 = 0;
    for (let i: u32 = 0; i < inGroup; i++) groupBytes += keyBytes(load<u32>(collected + (i << 2))) + 5;
    if (!hasRoom(bytes + groupBytes, bytes == 0 ? 0 : SCAN_HEADER_BYTES + bytes)) return;
    for (let i: u32 = 0; i < inGroup; i++) {
      const candidate = <usize>load<u32>(collected + (i << 2));
      const length = keyBytes(candidate);
      if (hasExpiry(candidate) && expiryOf(candidate) <= now) continue;
      if (length < prefixLength || !sameBytes(keyOf(candidate), prefix, prefixLength)) continue;
      const at = out + SCAN_HEADER_BYTES + bytes;
      const end = writeBinaryHeader(at, length);
      copyBytes(end, keyOf(candidate), length);
      bytes += <u32>(end - at) + length;
      found++;
    }
    seen += inGroup;
    bytesSeen += groupBytes;
    groups++;
    position = nextPosition(position);
  } while (position != 0 && seen < wanted && groups < wanted + SCAN_GROUPS && bytesSeen < SCAN_BYTES);
  replyBytesLeft -= bytes;
  const keysAt = out + SCAN_HEADER_BYTES;
  store<u8>(out, 0x92);
  out = writeArrayHeader(writeInteger(out + 1, position), found);
  memory.copy(out, keysAt, bytes);
  out += bytes;
}

/** Array of two, the cursor of at most 5 bytes, and the keys' array header of at most 5. */
const SCAN_HEADER_BYTES: u32 = 11;

/** Groups that SCAN may find empty, beyond one for each key it was asked for, before it answers all the same. */
const SCAN_GROUPS: u32 = 64;

function askServer(operation: usize, code: u32): void {
  const start = load<u32>(operation, START);
  answered(serverOperation(code, start, <u32>(endOf(operation) - start)));
}

/** What the server was asked for has this length and is written, or says why not. */
function answered(length: i32): void {
  if (length == NO_SERVER) error(ERROR_OPERATION);
  else if (length == NO_ROOM) error(ERROR_REPLY);
  else {
    replyBytesLeft -= length;
    out += length;
  }
}

/** Room for a result of `length` bytes that the server writes; 0 when there is none. */
export function hostRoom(length: u32): usize {
  return ensureRoom(length, 0) ? out : 0;
}

/** Finds the record of the operation's key into `slot` and `record`, unless it has expired. */
function lookup(operation: usize): bool {
  const hash = load<u64>(operation, HASH);
  slot = findSlot(hash, load<u32>(operation, KEY), load<u32>(operation, KEY_LENGTH));
  if (slot == 0) return false;
  record = load<u32>(slot);
  if (!hasExpiry(record) || expiryOf(record) > now) {
    if (evicts) noteUse(slot);
    return true;
  }
  expire(record, hash, slot);
  slot = 0;
  return false;
}

/** When the record that was looked up expires; 0 when it does not, or is not there. */
function expiryNow(): i64 {
  return slot != 0 && hasExpiry(record) ? expiryOf(record) : 0;
}

/**
 * Stores a value for the key that was looked up, with an expiry or 0 for none. Answers with an error and returns false, and
 * has changed nothing but what gave way, when memory is short.
 */
function put(operation: usize, value: usize, length: u32, expiry: i64): bool {
  const withExpiry = expiry != 0;
  if (slot != 0 && fitsInPlace(load<u32>(operation, KEY_LENGTH), length, withExpiry)) {
    overwrite(value, length, expiry);
    return true;
  }
  const fresh = createMakingRoom(operation, length, withExpiry);
  if (fresh == 0) {
    error(ERROR_MEMORY);
    return false;
  }
  copyBytes(valueOf(fresh), value, length);
  if (slot != 0) replaceBy(fresh);
  else if (!insertMakingRoom(load<u64>(operation, HASH), fresh)) {
    freeRecord(fresh);
    error(ERROR_MEMORY);
    return false;
  }
  if (withExpiry) {
    setExpiry(fresh, expiry);
    schedule(fresh, now);
  }
  return true;
}

/** Whether the record that was looked up has the block that it would have with a value of `length` bytes. */
function fitsInPlace(keyLength: u32, length: u32, withExpiry: bool): bool {
  if (hasExpiry(record) != withExpiry) return false;
  return recordBytes(keyLength, length, withExpiry) == recordBytes(keyLength, valueBytes(record), withExpiry);
}

function overwrite(value: usize, length: u32, expiry: i64): void {
  setValueBytes(record, length);
  copyBytes(valueOf(record), value, length);
  if (expiry == 0 || expiryOf(record) == expiry) return;
  unschedule(record);
  setExpiry(record, expiry);
  schedule(record, now);
}

function replaceBy(fresh: usize): void {
  store<u32>(slot, <u32>fresh);
  if (hasExpiry(record)) unschedule(record);
  freeRecord(record);
}

/** A record for the key of the operation, for which others make room if need be; 0 when memory is short. */
function createMakingRoom(operation: usize, length: u32, withExpiry: bool): usize {
  const key = load<u32>(operation, KEY);
  const keyLength = load<u32>(operation, KEY_LENGTH);
  let fresh = createRecord(key, keyLength, length, withExpiry);
  if (fresh != 0) return fresh;
  const kept = slot != 0 ? record : 0;
  beginEviction(recordBytes(keyLength, length, withExpiry), kept);
  while (fresh == 0 && makeRoom(kept)) fresh = createRecord(key, keyLength, length, withExpiry);
  return fresh;
}

/**
 * Inserts. If need be, others make room for a larger index. At worst the segment is filled up, and then another of its records
 * gives way.
 */
function insertMakingRoom(hash: u64, fresh: usize): bool {
  if (insert(hash, fresh, !evicts)) return true;
  beginEviction(bytesToSplit(), 0);
  while (makeRoom(0)) if (insert(hash, fresh, false)) return true;
  while (!insert(hash, fresh, true)) if (!evictNear(hash, now)) return false;
  return true;
}

/** Has other records leave, or lie closer together, but for `kept`. False when that was all that can be done. */
function makeRoom(kept: usize): bool {
  return evicts ? evictSome(kept, now) : repacks && repack(kept);
}

/** Removes the record that was looked up. */
function remove(operation: usize): void {
  removeSlot(load<u64>(operation, HASH), slot);
  if (hasExpiry(record)) unschedule(record);
  freeRecord(record);
}

function changed(operation: usize): void {
  if (!redoIsCollected) return;
  const start = load<u32>(operation, START);
  appendRedo(start, <u32>(endOf(operation) - start));
}

function endOf(operation: usize): usize {
  return load<u32>(operation + OPERATION_BYTES, START);
}

// Arguments: each of these answers with an error and returns false when the argument is not what it has to be.

function hasArguments(count: u32, least: u32, most: u32): bool {
  if (count >= least && count <= most) return true;
  error(ERROR_ARGUMENTS);
  return false;
}

function hasKey(operation: usize): bool {
  const length = load<u32>(operation, KEY_LENGTH);
  if (length - 1 < keyBytesMax) {
    const key = load<u32>(operation, KEY);
    if (ownsKey(key, length)) return true;
    answered(moved(slotOf(key, length)));
    return false;
  }
  if (length == KEY_NONE) error(ERROR_KEY_TYPE);
  else {
    if (length != 0) countRefusal(LIMIT_KEY);
    error(ERROR_KEY_LENGTH, keyBytesMax);
  }
  return false;
}

function isValue(at: usize): bool {
  if (load<u8>(at) != NIL) return true;
  error(ERROR_NIL);
  return false;
}

/** Whether a value of so many bytes may be stored. */
function isShort(length: u32): bool {
  if (length <= valueBytesMax) return true;
  countRefusal(LIMIT_VALUE);
  error(ERROR_VALUE_LENGTH, valueBytesMax);
  return false;
}

/** Reads the next argument into `integer`. */
function readArgument(): bool {
  const result = readInteger(argument);
  if (result == INTEGER_OK) {
    skipArgument();
    return true;
  }
  error(result == INTEGER_NONE ? ERROR_INTEGER_TYPE : ERROR_INTEGER_RANGE);
  return false;
}

/** Passes over the next argument and returns where it ends. */
function skipArgument(): usize {
  argument = skip(argument, payloadEnd, u32.MAX_VALUE);
  return argument;
}

// Results.

function answer(yes: bool): void {
  store<u8>(out++, yes ? TRUE : FALSE);
}

function error(text: string, limit: u32 = 0): void {
  out = writeError(out, text, limit);
}

/**
 * Makes room for a result of `length` bytes of keys or values, of which `written` bytes stand behind `out` already; answers
 * with an error and returns false when it can't.
 */
function hasRoom(length: u32, written: u32 = 0): bool {
  if (ensureRoom(length, written)) return true;
  error(length > replyBytesLeft ? ERROR_REPLY : ERROR_MEMORY);
  return false;
}

function ensureRoom(length: u32, written: u32): bool {
  if (length > replyBytesLeft) return false;
  // The output may lie at the very end of the memory's 4 GiB.
  if (<u64>out + length <= outLimit) return true;
  setOutputEnd(out + written);
  const isThere = ensureOutput(length + fixedBytes + RESULT_BYTES_MAX);
  out = outputEnd() - written;
  outLimit = outputLimit() - fixedBytes;
  return isThere;
}

/** Copies a result's `length` bytes to `target`; returns where they end. */
function copyResult(target: usize, source: usize, length: u32): usize {
  replyBytesLeft -= length;
  if (length < 16 || length > 512) copyBytes(target, source, length);
  else {
    // The last word overlaps the one before: reading on behind the value would fetch a cache line nobody asked for.
    const last = length - 16;
    for (let i: u32 = 0; i < last; i += 16) v128.store(target + i, v128.load(source + i));
    v128.store(target + last, v128.load(source + last));
  }
  return target + length;
}
