/**
 * The three buffers beside the data: requests come into the input, replies are appended to the output, and what a request
 * changed is collected in the redo buffer. Each is one run of pages that grows when it must.
 */

import { writeBinaryHeader } from './msgpack';
import { allocatePages, freePages, KIND_BUFFER, PAGE_BYTES, PAGE_SHIFT, runBytes, trimPages } from './pages';
import { copyBytes } from './record';

/** Bytes behind a buffer's content that may be read: keys are read in words of 8, headers before their end is checked. */
const OVERRUN_BYTES: u32 = 32;

/** The output is given back when it has grown beyond this. */
const OUTPUT_KEPT_BYTES: u32 = 8 * 1024 * 1024;

/** Outputs that are kept though nothing lies in them. */
const SPARES_MAX: u32 = 16;

/** An output that has grown beyond this is not kept as a spare. */
const SPARE_BYTES_MAX: u32 = 1024 * 1024;

/** A frame on a byte stream starts with this tag and a big-endian uint32. */
const FRAME_TAG: u8 = 0xce;
const FRAME_HEADER_BYTES: u32 = 5;

let input: usize = 0;
let inputCapacity: u32 = 0;

let output: usize = 0;
let outputCapacity: u32 = 0;
let outputLength: u32 = 0;
/** Outputs that were taken away and given back, the next ones to use: addresses, the last given back on top. */
const spares: usize = memory.data(SPARES_MAX * sizeof<usize>());
let spareCount: u32 = 0;
/** Where the header of the reply under way is, relative to the output. */
let frameStart: u32 = 0;

let redo: usize = 0;
let redoCapacity: u32 = 0;
let redoLength: u32 = 0;
let redoCount: u32 = 0;

export function initBuffers(): bool {
  return reserveInput(64 * 1024) != 0 && ensureOutput(64 * 1024) && ensureRedo(0);
}

/** Room for `length` bytes of requests; 0 when memory is short. */
export function reserveInput(length: u32): usize {
  if (length + OVERRUN_BYTES <= inputCapacity) return input;
  const grown = allocateBuffer(max(length, inputCapacity));
  if (grown == 0) return 0;
  if (input != 0) {
    memory.copy(grown, input, inputCapacity);
    freePages(input);
  }
  input = grown;
  inputCapacity = capacity;
  return input;
}

export function outputAddress(): usize {
  return output;
}

export function outputBytes(): u32 {
  return outputLength;
}

/** How much memory the output takes once it is taken away. */
export function outputRoom(): u32 {
  return outputCapacity <= SPARE_BYTES_MAX ? outputCapacity : pagesFor(outputLength) << PAGE_SHIFT;
}

export function clearOutput(): void {
  outputLength = 0;
  if (outputCapacity <= OUTPUT_KEPT_BYTES) return;
  freePages(output);
  output = 0;
  outputCapacity = 0;
  // What was just given back is more than what is asked for, so this finds room.
  ensureOutput(64 * 1024);
}

/** Takes the output away from here and begins another of its size, so that one turn like the last needs no more room. */
export function detachOutput(): usize {
  const detached = output;
  // It grew by doubling, and there may be many that are taken away.
  if (outputCapacity > SPARE_BYTES_MAX) trimPages(detached, pagesFor(outputLength));
  outputLength = 0;
  if (spareCount != 0) {
    output = load<usize>(spares + --spareCount * sizeof<usize>());
    outputCapacity = runBytes(output);
  } else {
    output = allocateBuffer(min(outputCapacity, SPARE_BYTES_MAX) - OVERRUN_BYTES);
    outputCapacity = output == 0 ? 0 : capacity;
  }
  return detached;
}

/** Takes back an output that was taken away, whose content nobody needs any more. */
export function recycleOutput(detached: usize): void {
  // There was no memory for another one when this was taken away.
  if (output == 0) {
    output = detached;
    outputCapacity = runBytes(detached);
    return;
  }
  if (spareCount < SPARES_MAX && runBytes(detached) <= SPARE_BYTES_MAX) {
    store<usize>(spares + spareCount++ * sizeof<usize>(), detached);
  } else freePages(detached);
}

/** Room for `length` bytes that is neither input nor output; 0 when memory is short. To be given back with `freePages`. */
export function allocateRoom(length: u32): usize {
  return allocateBuffer(length);
}

/** Makes room for `more` bytes behind what was written. False when memory is short. */
export function ensureOutput(more: u32): bool {
  const needed = <u64>outputLength + more + OVERRUN_BYTES;
  if (needed <= outputCapacity) return true;
  if (needed > 0x4000_0000) return false;
  const grown = allocateGrown(<u32>needed, outputCapacity);
  if (grown == 0) return false;
  if (output != 0) {
    memory.copy(grown, output, outputLength);
    freePages(output);
  }
  output = grown;
  outputCapacity = capacity;
  return true;
}

/** Where the next byte of output goes. Good until the next `ensureOutput`. */
export function outputEnd(): usize {
  return output + outputLength;
}

/** How far the output may be written without asking for more room. Good until the next `ensureOutput`. */
export function outputLimit(): usize {
  return output + outputCapacity - OVERRUN_BYTES;
}

/** Says how far the output has been written. */
export function setOutputEnd(end: usize): void {
  outputLength = <u32>(end - output);
}

export function beginFrame(): void {
  frameStart = outputLength;
  outputLength += FRAME_HEADER_BYTES;
}

/** Drops what was written of the frame since `beginFrame`. */
export function restartFrame(): void {
  outputLength = frameStart + FRAME_HEADER_BYTES;
}

export function endFrame(): void {
  const at = output + frameStart;
  store<u8>(at, FRAME_TAG);
  store<u32>(at, bswap(outputLength - frameStart - FRAME_HEADER_BYTES), 1);
}

const REDO_HEADER_BYTES: u32 = 5;

/** Bytes of the request under way, for which there is room whatever else is appended. */
let requestBytes: u32 = 0;

export let redoIsCollected = false;

export function setCollectsRedo(collects: bool): void {
  redoIsCollected = collects;
}

/** Empties the redo buffer and makes sure that a request of `length` bytes fits. */
export function ensureRedo(length: u32): bool {
  redoLength = REDO_HEADER_BYTES;
  redoCount = 0;
  requestBytes = length;
  const needed = length + REDO_HEADER_BYTES + OVERRUN_BYTES;
  if (needed <= redoCapacity) return true;
  // What lies there is of no use any more, but its place may be.
  if (redo != 0) freePages(redo);
  redo = allocateGrown(needed, redoCapacity);
  redoCapacity = redo == 0 ? 0 : capacity;
  return redo != 0;
}

/** Appends an operation that changed something. */
export function appendRedo(operation: usize, length: u32): void {
  copyBytes(redo + redoLength, operation, length);
  redoLength += length;
  redoCount++;
}

const DEL: u8 = 3;
/** Array of two, the code, and the longest header of a key. */
const DEL_BYTES: u32 = 2 + 5;

/** Appends the DEL of a key that made room. False when there is no memory for it. */
export function appendEviction(key: usize, length: u32): bool {
  const needed = redoLength + DEL_BYTES + length + requestBytes + OVERRUN_BYTES;
  if (needed > redoCapacity) {
    const grown = allocateGrown(needed, redoCapacity);
    if (grown == 0) return false;
    memory.copy(grown, redo, redoLength);
    freePages(redo);
    redo = grown;
    redoCapacity = capacity;
  }
  const at = redo + redoLength;
  store<u8>(at, 0x92);
  store<u8>(at, DEL, 1);
  const keyAt = writeBinaryHeader(at + 2, length);
  copyBytes(keyAt, key, length);
  redoLength = <u32>(keyAt + length - redo);
  redoCount++;
  return true;
}

/** Where the redo bytes are: an array of operations. */
export function redoAddress(): usize {
  store<u8>(redo, 0xdd);
  store<u32>(redo, bswap(redoCount), 1);
  return redo;
}

/** Bytes of redo, 0 when nothing changed. */
export function redoBytes(): u32 {
  return redoCount == 0 ? 0 : redoLength;
}

/** Usable bytes of what `allocateBuffer` returned last. */
let capacity: u32 = 0;

function allocateBuffer(length: u32): usize {
  const pages = pagesFor(length);
  capacity = pages << PAGE_SHIFT;
  return allocatePages(pages, KIND_BUFFER);
}

/** A buffer in the place of one that has become too small: twice as large, or as large as needed if there is no room for that. */
function allocateGrown(needed: u32, before: u32): usize {
  const grown = allocateBuffer(max(needed, before << 1));
  return grown != 0 ? grown : allocateBuffer(needed);
}

/** Pages that hold `length` bytes, and what may be read behind them. */
function pagesFor(length: u32): u32 {
  return (length + OVERRUN_BYTES + PAGE_BYTES - 1) >> PAGE_SHIFT;
}
