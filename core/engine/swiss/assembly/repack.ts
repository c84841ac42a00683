/**
 * Moving records together. What lies scattered over the slabs of its size, each of them half empty, keeps their pages from
 * every other size; together in as few slabs as hold it, it gives the rest of them back.
 *
 * It takes time that grows with what lies there, so no request waits for it. It is for replays: a snapshot sets keys in the
 * order of their hashes, old ones beside new, and where the deletion of the oldest once emptied whole slabs it only makes
 * holes now. So what had fitted could need more memory than there is.
 */
import {
  allocateBlock,
  blockCapacity,
  blocksOf,
  CLASSES,
  collectBlocks,
  findSparseSlabs,
  freeBlock,
  nextSparseSlab,
  returnSlab,
} from './blocks';
import { hasExpiry } from './record';
import { slotOfBlock } from './table';
import { reschedule } from './wheel';

export let repacks = false;

export function setRepacks(does: bool): void {
  repacks = does;
}

/** Moves all that can be moved but the record `kept`. Returns whether that gave pages back. */
export function repack(kept: usize): bool {
  let any = false;
  for (let sizeClass: u32 = 0; sizeClass < CLASSES; sizeClass++) {
    findSparseSlabs(sizeClass);
    for (let page = nextSparseSlab(); page != 0; page = nextSparseSlab()) {
      const count = collectBlocks(page);
      for (let i: u32 = 0; i < count; i++) move(load<u32>(blocksOf + (i << 2)), kept);
      if (returnSlab(page)) any = true;
    }
  }
  return any;
}

/** Moves the record of a block to another block, unless it is the one kept. */
function move(block: usize, kept: usize): void {
  const slot = slotOfBlock(block);
  if (slot == 0 || load<u32>(slot) == <u32>kept) return;
  const bytes = blockCapacity(block);
  const target = allocateBlock(bytes);
  if (target == 0) return;
  memory.copy(target, block, bytes);
  const record = load<u32>(slot) - block + target;
  store<u32>(slot, <u32>record);
  if (hasExpiry(record)) reschedule(record);
  freeBlock(block, bytes);
}
