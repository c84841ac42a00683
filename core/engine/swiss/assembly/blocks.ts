/**
 * Blocks: memory for records and segments, in size classes cut from slabs (runs of pages). A slab whose last block is freed
 * gives its pages back, so that memory which one size no longer needs serves another. Sizes above the largest class are
 * page runs of their own.
 *
 * Classes go in steps of 8 bytes up to 128, then eight to a doubling, so that rounding up wastes at most an eighth.
 */
import {
  allocatePages,
  freeAllData,
  freePages,
  headOf,
  KIND_LARGE,
  KIND_SLAB,
  PAGE_BYTES,
  PAGE_SHIFT,
  runBytes,
  runKind,
  setSlabCarved,
  setSlabClass,
  setSlabFreeBlock,
  setSlabNext,
  setSlabPrevious,
  setSlabUsed,
  slabCarved,
  slabClass,
  slabFreeBlock,
  slabNext,
  slabPrevious,
  slabUsed,
} from './pages';

const BLOCK_BYTES_MIN: u32 = 16;
const BLOCK_BYTES_MAX: u32 = 128 * 1024;
const FINE_BYTES_MAX: u32 = 128;
const FINE_CLASSES: u32 = (FINE_BYTES_MAX - BLOCK_BYTES_MIN) / 8 + 1;
export const CLASSES: u32 = FINE_CLASSES + 8 * 10;

/** A slab holds at least this many blocks, so that what is left over at its end stays small. */
const BLOCKS_PER_SLAB_MIN: u32 = 8;

/** Per class the first page of a slab that has room; 0: none. */
const withRoom: usize = memory.data(CLASSES * 4);

let usedBytes: u64 = 0;

/** Slabs without a block in use, which are kept all the same. */
let emptySlabs: u32 = 0;

/** Bytes of all blocks that are handed out. */
export function blockBytesInUse(): f64 {
  return <f64>usedBytes;
}

/** Bytes that a block for `size` bytes really takes. */
export function blockBytes(size: u32): u32 {
  return size > BLOCK_BYTES_MAX ? (size + PAGE_BYTES - 1) & ~(PAGE_BYTES - 1) : classBytes(classOf(size));
}

/** Bytes of the slab from which blocks for `size` bytes are cut. */
export function slabBytes(size: u32): u32 {
  return slabPages(classBytes(classOf(size))) << PAGE_SHIFT;
}

/** A block of at least `size` bytes, aligned to 8 (a segment's 4,096 to its size); 0 when there is no room. */
export function allocateBlock(size: u32): usize {
  if (size > BLOCK_BYTES_MAX) {
    const address = takePages((size + PAGE_BYTES - 1) >> PAGE_SHIFT, KIND_LARGE);
    if (address != 0) usedBytes += blockBytes(size);
    return address;
  }
  const sizeClass = classOf(size);
  const bytes = classBytes(sizeClass);
  let page = load<u32>(withRoom + (sizeClass << 2));
  if (page == 0) {
    page = newSlab(sizeClass);
    if (page == 0) return 0;
  }
  let address = slabFreeBlock(page);
  if (address != 0) setSlabFreeBlock(page, load<u32>(address));
  else {
    address = slabCarved(page);
    setSlabCarved(page, address + bytes);
  }
  const used = slabUsed(page) + 1;
  if (used == 1) emptySlabs--;
  setSlabUsed(page, used);
  if (used == blocksPerSlab(sizeClass)) unlink(page, sizeClass);
  usedBytes += bytes;
  return address;
}

/** Gives back a block that was asked for with `size`, or with a size of the same class. */
export function freeBlock(address: usize, size: u32): void {
  usedBytes -= blockBytes(size);
  if (size > BLOCK_BYTES_MAX) {
    freePages(address);
    return;
  }
  const page = headOf(address);
  const sizeClass = slabClass(page);
  const used = slabUsed(page) - 1;
  store<u32>(address, slabFreeBlock(page));
  setSlabFreeBlock(page, <u32>address);
  setSlabUsed(page, used);
  if (used == blocksPerSlab(sizeClass) - 1) link(page, sizeClass);
  // The only slab of a class that has room is kept when empty: a key set and deleted in turn must not fetch pages each time.
  if (used != 0) return;
  if (slabNext(page) != 0 || slabPrevious(page) != 0) {
    unlink(page, sizeClass);
    freePages((<usize>page) << PAGE_SHIFT);
  } else emptySlabs++;
}

/** Bytes of the block that starts at this address. */
export function blockCapacity(block: usize): u32 {
  const page = headOf(block);
  return runKind(page) == KIND_LARGE ? runBytes((<usize>page) << PAGE_SHIFT) : classBytes(slabClass(page));
}

/** Blocks that a slab may have: those of the smallest size. */
const BLOCKS_PER_SLAB_MAX: u32 = PAGE_BYTES / BLOCK_BYTES_MIN;

/** Where `collectBlocks` puts addresses. */
export const blocksOf: usize = memory.data(BLOCKS_PER_SLAB_MAX * 4, 4);
/** A byte for each block of a slab: whether it is free. */
const isFree: usize = memory.data(BLOCKS_PER_SLAB_MAX);

/** Collects the blocks in use of the run that starts with a page; returns how many there are. */
export function collectBlocks(page: u32): u32 {
  const first = (<usize>page) << PAGE_SHIFT;
  if (runKind(page) == KIND_LARGE) {
    store<u32>(blocksOf, <u32>first);
    return 1;
  }
  const bytes = classBytes(slabClass(page));
  memory.fill(isFree, 0, BLOCKS_PER_SLAB_MAX);
  for (let free: usize = slabFreeBlock(page); free != 0; free = load<u32>(free)) {
    store<u8>(isFree + (free - first) / bytes, 1);
  }
  const carved = slabCarved(page);
  let count: u32 = 0;
  for (let block = first; block < carved; block += bytes) {
    if (load<u8>(isFree + (block - first) / bytes) != 0) continue;
    store<u32>(blocksOf + (count << 2), <u32>block);
    count++;
  }
  return count;
}

/** For each count of blocks in use: how many slabs of a class have room and so many blocks in use. */
const slabsWithUsed: usize = memory.data(BLOCKS_PER_SLAB_MAX * 4, 4);

/** The first of the slabs that were found sparse and not taken yet; 0: none. */
let sparse: u32 = 0;

/** Finds those slabs of a class that have the fewest blocks in use: as many as the others have room for. */
export function findSparseSlabs(sizeClass: u32): void {
  const capacity = blocksPerSlab(sizeClass);
  memory.fill(slabsWithUsed, 0, capacity << 2);
  let free: u32 = 0;
  const first = load<u32>(withRoom + (sizeClass << 2));
  for (let page = first; page != 0; page = slabNext(page)) {
    free += capacity - slabUsed(page);
    const count = slabsWithUsed + (slabUsed(page) << 2);
    store<u32>(count, load<u32>(count) + 1);
  }
  // Emptying any so many slabs fills the others to less than a slab of room.
  let left = free / capacity;
  let used: u32 = 0;
  while (left != 0 && load<u32>(slabsWithUsed + (used << 2)) <= left) left -= load<u32>(slabsWithUsed + (used++ << 2));
  for (let page = first; page != 0; ) {
    const next = slabNext(page);
    if (slabUsed(page) < used || (slabUsed(page) == used && left != 0)) {
      if (slabUsed(page) == used) left--;
      unlink(page, sizeClass);
      setSlabNext(page, sparse);
      sparse = page;
    }
    page = next;
  }
}

/** The next of the slabs that were found, 0 when that was all. It gets no blocks until it is returned. */
export function nextSparseSlab(): u32 {
  const page = sparse;
  if (page == 0) return 0;
  sparse = slabNext(page);
  setSlabNext(page, 0);
  setSlabPrevious(page, 0);
  return page;
}

/** Takes back a slab that was found sparse. If none of its blocks is in use any more its pages are given back; returns whether. */
export function returnSlab(page: u32): bool {
  if (slabUsed(page) != 0) {
    link(page, slabClass(page));
    return false;
  }
  freePages((<usize>page) << PAGE_SHIFT);
  emptySlabs--;
  return true;
}

/** Gives back all blocks at once. */
export function freeAllBlocks(): void {
  freeAllData();
  memory.fill(withRoom, 0, CLASSES * 4);
  usedBytes = 0;
  emptySlabs = 0;
}

function classOf(size: u32): u32 {
  if (size <= FINE_BYTES_MAX) return size <= BLOCK_BYTES_MIN ? 0 : (size + 7 - BLOCK_BYTES_MIN) >> 3;
  const exponent = 31 - clz(size - 1);
  return FINE_CLASSES + ((exponent - 7) << 3) + (((size - 1) >> (exponent - 3)) & 7);
}

function classBytes(sizeClass: u32): u32 {
  if (sizeClass < FINE_CLASSES) return BLOCK_BYTES_MIN + (sizeClass << 3);
  const coarse = sizeClass - FINE_CLASSES;
  return (9 + (coarse & 7)) << ((coarse >> 3) + 4);
}

function slabPages(bytes: u32): u32 {
  return max(1, (bytes * BLOCKS_PER_SLAB_MIN + PAGE_BYTES - 1) >> PAGE_SHIFT);
}

/** A division for each block would be dear, so the counts are worked out once. */
const slabCapacity: usize = memory.data(CLASSES * 2, 2);

export function initBlocks(): void {
  for (let i: u32 = 0; i < CLASSES; i++) {
    const bytes = classBytes(i);
    store<u16>(slabCapacity + (i << 1), <u16>((slabPages(bytes) << PAGE_SHIFT) / bytes));
  }
}

function blocksPerSlab(sizeClass: u32): u32 {
  return load<u16>(slabCapacity + (sizeClass << 1));
}

/** Pages, for which the empty slabs that classes had kept are given up when it can't be done otherwise. */
function takePages(count: u32, kind: u8): usize {
  const address = allocatePages(count, kind);
  return address == 0 && freeEmptySlabs() ? allocatePages(count, kind) : address;
}

/** Gives back the pages of all slabs without a block in use; returns whether there were any. */
function freeEmptySlabs(): bool {
  if (emptySlabs == 0) return false;
  let any = false;
  for (let sizeClass: u32 = 0; sizeClass < CLASSES; sizeClass++) {
    let page = load<u32>(withRoom + (sizeClass << 2));
    while (page != 0) {
      const next = slabNext(page);
      if (slabUsed(page) == 0) {
        unlink(page, sizeClass);
        freePages((<usize>page) << PAGE_SHIFT);
        emptySlabs--;
        any = true;
      }
      page = next;
    }
  }
  return any;
}

function newSlab(sizeClass: u32): u32 {
  const address = takePages(slabPages(classBytes(sizeClass)), KIND_SLAB);
  if (address == 0) return 0;
  const page = <u32>(address >> PAGE_SHIFT);
  setSlabClass(page, sizeClass);
  setSlabUsed(page, 0);
  setSlabFreeBlock(page, 0);
  setSlabCarved(page, <u32>address);
  link(page, sizeClass);
  emptySlabs++;
  return page;
}

function link(page: u32, sizeClass: u32): void {
  const head = withRoom + (sizeClass << 2);
  const next = load<u32>(head);
  setSlabNext(page, next);
  setSlabPrevious(page, 0);
  if (next != 0) setSlabPrevious(next, page);
  store<u32>(head, page);
}

function unlink(page: u32, sizeClass: u32): void {
  const next = slabNext(page);
  const previous = slabPrevious(page);
  if (previous != 0) setSlabNext(previous, next);
  else store<u32>(withRoom + (sizeClass << 2), next);
  if (next != 0) setSlabPrevious(next, previous);
}
