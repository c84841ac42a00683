/** The engine `swiss`: what the JavaScript side (`../swiss.ts`) calls. Addresses are offsets in the memory. */
import { executePayload, refuseUnread } from './batch';
import { initBlocks } from './blocks';
import { evictedCount, setEvicts } from './evict';
import { refusedCount, setAccess, setLimits } from './limits';
import { hostRoom, setNow, timeNow } from './operations';
import {
  allocateRoom,
  clearOutput,
  detachOutput,
  ensureRedo,
  initBuffers,
  outputAddress,
  outputBytes,
  outputRoom,
  recycleOutput,
  redoAddress,
  redoBytes,
  redoIsCollected,
  reserveInput,
  setCollectsRedo,
} from './output';
import { dataBytesMax, freePages, initPages, PAGE_SHIFT, setDataPagesMax, takesMoreThanItMay } from './pages';
import { repack, setRepacks } from './repack';
import { seed } from './siphash';
import { setSlots } from './slots';
import { indexBytes, initTable, keyCount, usedBytes } from './table';
import { expiredCount, scheduledCount, sweepWheel } from './wheel';

export {
  allocateRoom,
  clearOutput,
  dataBytesMax,
  detachOutput,
  evictedCount,
  expiredCount,
  freePages as freeRoom,
  hostRoom,
  indexBytes,
  keyCount,
  outputAddress,
  outputBytes,
  outputRoom,
  recycleOutput,
  redoAddress,
  redoBytes,
  refusedCount,
  reserveInput,
  scheduledCount,
  setAccess,
  setLimits,
  usedBytes,
};

/** Where the 16 bytes of the hash's seed go, before `init`. */
export function seedAddress(): usize {
  return seed;
}

/** Makes an empty engine that may use `limitBytes` for data, of the keys in these slots. False when that is too little. */
export function init(limitBytes: f64, redo: bool, firstSlot: u32, lastSlot: u32): bool {
  setCollectsRedo(redo);
  setSlots(firstSlot, lastSlot);
  initPages(__heap_base, <u32>(<u64>limitBytes >> PAGE_SHIFT));
  initBlocks();
  return initBuffers() && initTable();
}

/**
 * How much the data may take from now on, and whether keys are evicted when that is full. Or whether what is executed from now on
 * are replays: then they are moved together.
 */
export function setMemory(limitBytes: f64, evicts: bool, replays: bool): void {
  setDataPagesMax(<u32>(<u64>limitBytes >> PAGE_SHIFT), replays);
  setEvicts(evicts);
  setRepacks(replays);
}

/** Moves keys together if they take more than they may. */
export function repackExcess(): void {
  if (takesMoreThanItMay()) repack(0);
}

/** Executes the request payload of `length` bytes at `address`. False when it could not be read. */
export function execute(address: usize, length: u32, nowMs: f64): bool {
  setNow(<i64>nowMs);
  if (redoIsCollected && !ensureRedo(length)) return refuseUnread();
  return executePayload(address, address + length);
}

export function redoTime(): f64 {
  return <f64>timeNow();
}

export function sweep(nowMs: f64, budget: u32): u32 {
  setNow(<i64>nowMs);
  return sweepWheel(timeNow(), budget);
}
