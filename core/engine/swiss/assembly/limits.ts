/**
 * What a client may ask for: limits that the server was given, none of them above the protocol's own, and how often each was
 * passed. Nothing here binds what is replayed.
 */

const KEY_BYTES_MAX: u32 = 65_535;
const VALUE_BYTES_MAX: u32 = 0x7fff_ffff;
const DEPTH_MAX: u32 = 32;
const OPERATIONS_MAX: u32 = 1_048_576;
const SCAN_COUNT_MAX: u32 = 10_000;

export let keyBytesMax: u32 = KEY_BYTES_MAX;
export let valueBytesMax: u32 = VALUE_BYTES_MAX;
export let depthMax: u32 = DEPTH_MAX;
export let operationsMax: u32 = OPERATIONS_MAX;
export let scanCountMax: u32 = SCAN_COUNT_MAX;

export function setLimits(keyBytes: u32, valueBytes: u32, depth: u32, operations: u32, scanCount: u32): void {
  keyBytesMax = keyBytes;
  valueBytesMax = valueBytes;
  depthMax = depth;
  operationsMax = operations;
  scanCountMax = scanCount;
}

// Which limit was passed.
export const LIMIT_KEY: u32 = 0;
export const LIMIT_VALUE: u32 = 1;
export const LIMIT_DEPTH: u32 = 2;
export const LIMIT_OPERATIONS: u32 = 3;
const LIMITS: u32 = 4;

const refused: usize = memory.data(LIMITS * 8, 8);

export function countRefusal(limit: u32): void {
  store<u64>(refused + (limit << 3), load<u64>(refused + (limit << 3)) + 1);
}

/** How often a limit was passed. */
export function refusedCount(limit: u32): f64 {
  return <f64>load<u64>(refused + (limit << 3));
}

// What whoever asks may do.
export const ACCESS_FULL: u32 = 0;
export const ACCESS_READ: u32 = 1;
export const ACCESS_NONE: u32 = 2;

export let access: u32 = ACCESS_FULL;

/** Whether everything is permitted: then no operation needs to be looked at. */
export let permitsAll = true;

/** It holds from the next operation on. */
export function setAccess(granted: u32, isWritable: bool): void {
  access = granted;
  permitsAll = granted == ACCESS_FULL && isWritable;
}
