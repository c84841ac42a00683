/**
 * A request payload, executed in stages so that the cache misses of its operations overlap: the operations are parsed
 * and hashed; then, window by window, their groups of the table are touched, then the records that the groups point to,
 * then the operations are executed one after the other and find everything in the cache. What was touched is looked
 * up again, so an operation may change whatever it likes.
 *
 * Nothing runs before the whole payload has been read: one with more operations than are parsed at a time is walked beforehand.
 */
import {
  ERROR_FRAME_DEEP,
  ERROR_FRAME_LONG,
  ERROR_FRAME_NOT_ARRAY,
  ERROR_FRAME_TRAILING,
  ERROR_FRAME_TRUNCATED,
  ERROR_MEMORY,
  RESULT_BYTES_MAX,
  writeError,
} from './errors';
import { countRefusal, depthMax, LIMIT_DEPTH, LIMIT_OPERATIONS, operationsMax } from './limits';
import {
  FAULT_DEEP,
  fault,
  INTEGER_OK,
  integer,
  readInteger,
  skip,
  stringHeaderBytes,
  stringLength,
  truncated,
  uint16,
  uint32,
  writeArrayHeader,
} from './msgpack';
import {
  ARGUMENTS,
  CODE,
  CODE_NOT_ARRAY,
  CODE_UNKNOWN,
  GROUP,
  HASH,
  KEY,
  KEY_BYTES_MAX,
  KEY_LENGTH,
  KEY_NONE,
  NEXT_ARGUMENT,
  OPERATION_BYTES,
  START,
} from './operation';
import { executeOperation, replyEnd, startReply } from './operations';
import { beginFrame, endFrame, ensureOutput, outputEnd, restartFrame, setOutputEnd } from './output';
import { hashKey } from './siphash';
import { homeGroup, touchRecord } from './table';

/** Operations parsed together. Their descriptors take 128 KiB, which a second-level cache holds beside the rest. */
const PARSED: u32 = 4096;

/** Operations touched, then executed together: what they touch has to be in the cache still when its turn comes. */
const WINDOW: u32 = 256;

/** The codes whose first argument is a key. */
const KEYED_FIRST: u32 = 1;
const KEYED_LAST: u32 = 10;

/** One descriptor more than are parsed: its start is where the last operation ends. */
const parsed: usize = memory.data((PARSED + 1) * OPERATION_BYTES, 64);

let touched: u32 = 0;

/** Executes the payload at `[at, end)` and appends the reply. False when it could not be read. */
export function executePayload(at: usize, end: usize): bool {
  if (!ensureOutput(256)) return false;
  beginFrame();
  if (at >= end) return refuse(ERROR_FRAME_TRUNCATED);
  const tag = <u32>load<u8>(at);
  let count: u32;
  let first: usize;
  if ((tag & 0xf0) == 0x90) {
    count = tag & 0x0f;
    first = at + 1;
  } else if (tag == 0xdc) {
    count = uint16(at + 1);
    first = at + 3;
  } else if (tag == 0xdd) {
    count = uint32(at + 1);
    first = at + 5;
  } else return refuse(ERROR_FRAME_NOT_ARRAY);
  if (first > end) return refuse(ERROR_FRAME_TRUNCATED);
  if (count > operationsMax) {
    countRefusal(LIMIT_OPERATIONS);
    return refuse(ERROR_FRAME_LONG, operationsMax);
  }

  let next = first;
  if (count > PARSED) {
    next = walk(first, end, count);
    if (next == 0) return refuseFault();
    if (next != end) return refuse(ERROR_FRAME_TRAILING);
    next = first;
  }
  let left = count;
  let ready = min(left, PARSED);
  next = parseOperations(next, end, ready);
  if (next == 0) return refuseFault();
  if (count <= PARSED && next != end) return refuse(ERROR_FRAME_TRAILING);

  if (!ensureOutput(8 + count * RESULT_BYTES_MAX)) return refuse(ERROR_MEMORY);
  setOutputEnd(writeArrayHeader(outputEnd(), count));
  startReply(count, end);
  while (true) {
    for (let done: u32 = 0; done < ready; done += WINDOW) executeWindow(done, min(ready - done, WINDOW));
    left -= ready;
    if (left == 0) break;
    ready = min(left, PARSED);
    next = parseOperations(next, end, ready);
  }
  setOutputEnd(replyEnd());
  endFrame();
  return true;
}

/** Refuses a payload that was not looked at, since there is no memory for what it may need. */
export function refuseUnread(): bool {
  if (!ensureOutput(256)) return false;
  beginFrame();
  return refuse(ERROR_MEMORY);
}

function refuse(error: string, limit: u32 = 0): bool {
  restartFrame();
  setOutputEnd(writeError(outputEnd(), error, limit));
  endFrame();
  return false;
}

function refuseFault(): bool {
  if (fault != FAULT_DEEP) return refuse(ERROR_FRAME_TRUNCATED);
  countRefusal(LIMIT_DEPTH);
  return refuse(ERROR_FRAME_DEEP, depthMax);
}

/** Passes over `count` operations; 0 when one of them can't be read. */
function walk(at: usize, end: usize, count: u32): usize {
  let next = at;
  for (let i: u32 = 0; i < count; i++) {
    if (next >= end) return truncated();
    // An operation is an array around values that may nest as deep as a value may; what is no array gets no such layer.
    const tag = <u32>load<u8>(next);
    const isArray = (tag & 0xf0) == 0x90 || tag == 0xdc || tag == 0xdd;
    next = skip(next, end, isArray ? depthMax + 1 : depthMax);
    if (next == 0) return 0;
  }
  return next;
}

/** Executes `count` of the parsed operations, from the one with the number `from` on. */
function executeWindow(from: u32, count: u32): void {
  const first = parsed + from * OPERATION_BYTES;
  const last = first + count * OPERATION_BYTES;
  touchGroups(first, last);
  touchRecords(first, last);
  for (let operation = first; operation < last; operation += OPERATION_BYTES) executeOperation(operation);
}

/** Reads `count` operations into the descriptors and hashes their keys. 0 when one can't be read. */
function parseOperations(at: usize, end: usize, count: u32): usize {
  let next = at;
  let operation = parsed;
  for (let i: u32 = 0; i < count; i++, operation += OPERATION_BYTES) {
    store<u32>(operation, <u32>next, START);
    next = parse(operation, next, end);
    if (next == 0) return 0;
    const length = load<u32>(operation, KEY_LENGTH);
    if (length - 1 < KEY_BYTES_MAX) {
      store<u64>(operation, hashKey(load<u32>(operation, KEY), length), HASH);
    }
  }
  store<u32>(operation, <u32>next, START);
  return next;
}

// The two loops that touch do nothing else, so that as many of their loads as possible are under way at a time: a processor
// looks some hundred instructions ahead, and parsing and hashing one operation takes that many.

function touchGroups(first: usize, last: usize): void {
  let sum: u32 = 0;
  for (let operation = first; operation < last; operation += OPERATION_BYTES) {
    if (load<u32>(operation, KEY_LENGTH) - 1 < KEY_BYTES_MAX) {
      const group = homeGroup(load<u64>(operation, HASH));
      store<u32>(operation, <u32>group, GROUP);
      sum += load<u8>(group);
    }
  }
  touched = sum;
}

function touchRecords(first: usize, last: usize): void {
  let sum: u32 = 0;
  for (let operation = first; operation < last; operation += OPERATION_BYTES) {
    if (load<u32>(operation, KEY_LENGTH) - 1 < KEY_BYTES_MAX) {
      sum += touchRecord(load<u32>(operation, GROUP), load<u64>(operation, HASH));
    }
  }
  touched = sum;
}

/** Reads one operation into its descriptor; returns where it ends, 0 when it can't be read. */
function parse(operation: usize, at: usize, end: usize): usize {
  if (at >= end) return truncated();
  store<u32>(operation, KEY_NONE, KEY_LENGTH);
  const tag = <u32>load<u8>(at);
  let count: u32;
  let next: usize;
  if ((tag & 0xf0) == 0x90) {
    count = tag & 0x0f;
    next = at + 1;
  } else if (tag == 0xdc) {
    count = uint16(at + 1);
    next = at + 3;
  } else if (tag == 0xdd) {
    count = uint32(at + 1);
    next = at + 5;
  } else {
    store<u16>(operation, <u16>CODE_NOT_ARRAY, CODE);
    return skip(at, end, depthMax);
  }
  if (count == 0) {
    store<u16>(operation, <u16>CODE_UNKNOWN, CODE);
    return next > end ? truncated() : next;
  }
  if (next >= end) return truncated();

  let code = <u32>load<u8>(next);
  if (code <= 0x7f) next++;
  else {
    const codeAt = next;
    next = skip(next, end, depthMax);
    if (next == 0) return 0;
    const isSmall = readInteger(codeAt) == INTEGER_OK && integer >= 0 && integer <= 0x7f;
    code = isSmall ? <u32>integer : CODE_UNKNOWN;
  }
  store<u16>(operation, <u16>code, CODE);
  let left = count - 1;
  store<u16>(operation, <u16>min(left, 0xffff), ARGUMENTS);

  if (code - KEYED_FIRST <= KEYED_LAST - KEYED_FIRST && left != 0) {
    if (next >= end) return truncated();
    const header = stringHeaderBytes(load<u8>(next));
    if (header != 0) {
      const key = next + header;
      const length = stringLength(next, header);
      if (key > end || length > <u32>(end - key)) return truncated();
      store<u32>(operation, <u32>key, KEY);
      store<u32>(operation, length, KEY_LENGTH);
      next = key + length;
      left--;
    }
  }
  store<u32>(operation, <u32>next, NEXT_ARGUMENT);
  for (; left != 0; left--) {
    next = skip(next, end, depthMax);
    if (next == 0) return 0;
  }
  return next;
}
