/**
 * Pages: the linear memory in units of 16 KiB, handed out in runs. Below everything else; the blocks of `blocks.ts`, large
 * values, the table's directory and the buffers for requests and replies are all made of page runs.
 *
 * A bitmap has one bit a page (1: free, below the high-water mark); a run is found first-fit from a hint, and when none is
 * free the high-water mark rises and the WebAssembly memory grows with it. The table of pages has a descriptor a page,
 * whose fields mean something only for the first page of a run, but for `kind` and `head`.
 */

export const PAGE_SHIFT: u32 = 14;
export const PAGE_BYTES: u32 = 1 << PAGE_SHIFT;

/** Pages in the 4 GiB that a WebAssembly memory can have. */
const PAGES_MAX: u32 = 1 << 18;

/** Pages that data never uses, so that requests and replies find room when data has taken all it may: 256 MiB. */
const PAGES_FOR_BUFFERS: u32 = 1 << 14;

/**
 * How many of these data may use all the same in a replay: it may lie less densely there than where it had fitted, and there are
 * no clients yet who need buffers. 128 MiB.
 */
const PAGES_FOR_REPLAYS: u32 = PAGES_FOR_BUFFERS / 2;

/** Bytes kept free behind the last page in use, since words are read (never written) a little beyond what they hold. */
const SLACK_BYTES: u32 = 64;

/** The memory grows by an eighth of itself, and by 1 MiB at least. Unit: WebAssembly pages of 64 KiB. */
const GROW_PAGES_MIN: i32 = 16;

// A descriptor, 32 bytes: offsets of its fields.
const DESCRIPTOR_SHIFT: u32 = 5;
const KIND: usize = 0; // u8
const CLASS: usize = 1; // u8: size class of the blocks of a slab
const USED: usize = 2; // u16: blocks in use of a slab
const COUNT: usize = 4; // u32: pages of the run
const NEXT: usize = 8; // u32: next slab of the class that has room, as page number; 0: none
const PREVIOUS: usize = 12; // u32: likewise
const FREE_BLOCK: usize = 16; // u32: address of the first free block of a slab; 0: none
const CARVED: usize = 20; // u32: address behind the last block ever handed out
const HEAD: usize = 24; // u32: first page of the run this page belongs to

/** What a run of pages is used for. */
export const KIND_FREE: u8 = 0;
export const KIND_SLAB: u8 = 1;
export const KIND_LARGE: u8 = 2;
export const KIND_BUFFER: u8 = 3;
/** The table's directory: data, which may lie among the buffers since where much data lies there may be no run of its length. */
export const KIND_DIRECTORY: u8 = 4;

let descriptors: usize = 0;
let bitmap: usize = 0;
/** First page that can be handed out: what lies below are the fixed tables. */
let firstPage: u32 = 0;
/** High-water mark: pages from here on were never handed out. */
let endPage: u32 = 0;
/** No page below this one is free. */
let hint: u32 = 0;
let freeBelowEnd: u32 = 0;
/** Pages in use for data, and how many may be. */
let dataPages: u32 = 0;
let dataPagesMax: u32 = 0;
/** Records and segments lie below this page. */
let dataEnd: u32 = 0;

/** Lays the tables at `base` and allows data `limitPages` pages. To be called once, before everything else. */
export function initPages(base: usize, limitPages: u32): void {
  descriptors = (base + 63) & ~63;
  bitmap = descriptors + (PAGES_MAX << DESCRIPTOR_SHIFT);
  const end = bitmap + (PAGES_MAX >> 3);
  firstPage = <u32>((end + PAGE_BYTES - 1) >> PAGE_SHIFT);
  endPage = firstPage;
  hint = firstPage;
  setDataPagesMax(limitPages, false);
  ensureMemory(endPage);
}

/** Allows data so many pages. If there are more, nothing is taken until there are fewer. */
export function setDataPagesMax(pages: u32, replays: bool): void {
  dataEnd = PAGES_MAX - PAGES_FOR_BUFFERS + (replays ? PAGES_FOR_REPLAYS : 0);
  dataPagesMax = min(pages, dataEnd - firstPage);
}

export function dataBytesMax(): f64 {
  return <f64>dataPagesMax * <f64>PAGE_BYTES;
}

export function takesMoreThanItMay(): bool {
  return dataPages > dataPagesMax;
}

/** A run of `count` pages for `kind`; returns its address, or 0 when there is no room. Its content is anything. */
export function allocatePages(count: u32, kind: u8): usize {
  const isData = kind != KIND_BUFFER;
  if (isData && dataPages + count > dataPagesMax) return 0;
  const end = kind == KIND_SLAB || kind == KIND_LARGE ? dataEnd : PAGES_MAX - 1;
  if (count > end) return 0;
  let page = freeBelowEnd >= count ? findRun(count) : 0;
  if (page != 0) {
    if (page > end - count) return 0;
    freeBelowEnd -= count;
    markUsed(page, count);
  } else {
    page = endPage;
    if (page > end - count || !ensureMemory(page + count)) return 0;
    endPage = page + count;
  }
  if (isData) dataPages += count;
  const first = descriptor(page);
  store<u32>(first, count, COUNT);
  for (let i = page; i < page + count; i++) {
    store<u8>(descriptor(i), kind, KIND);
    store<u32>(descriptor(i), page, HEAD);
  }
  return (<usize>page) << PAGE_SHIFT;
}

/** Gives back the whole run whose first page starts at `address`. */
export function freePages(address: usize): void {
  const page = <u32>(address >> PAGE_SHIFT);
  release(page, load<u32>(descriptor(page), COUNT));
}

/** Gives back what a run has beyond its first `count` pages, if it has more. */
export function trimPages(address: usize, count: u32): void {
  const page = <u32>(address >> PAGE_SHIFT);
  const before = load<u32>(descriptor(page), COUNT);
  if (before <= count) return;
  store<u32>(descriptor(page), count, COUNT);
  release(page + count, before - count);
}

function release(page: u32, count: u32): void {
  if (load<u8>(descriptor(page), KIND) != KIND_BUFFER) dataPages -= count;
  for (let i = page; i < page + count; i++) {
    store<u8>(descriptor(i), KIND_FREE, KIND);
    const word = bitmap + ((i >> 6) << 3);
    store<u64>(word, load<u64>(word) | ((<u64>1) << (i & 63)));
  }
  freeBelowEnd += count;
  if (page < hint) hint = page;
}

/** Bytes of the run that starts at `address`. */
export function runBytes(address: usize): u32 {
  return load<u32>(descriptor(<u32>(address >> PAGE_SHIFT)), COUNT) << PAGE_SHIFT;
}

/** What the run that starts with this page is used for. */
export function runKind(page: u32): u8 {
  return load<u8>(descriptor(page), KIND);
}

/** The first page of the first run of data from a page on, and from the begin if there is none; 0 when there is none at all. */
export function nextDataRun(from: u32): u32 {
  let page = from <= firstPage || from >= endPage ? firstPage : from;
  for (let looked = firstPage; looked < endPage; looked++) {
    const kind = runKind(page);
    if ((kind == KIND_SLAB || kind == KIND_LARGE) && load<u32>(descriptor(page), HEAD) == page) return page;
    page = page + 1 == endPage ? firstPage : page + 1;
  }
  return 0;
}

/** Gives back every run that is not a buffer. */
export function freeAllData(): void {
  let page = firstPage;
  while (page < endPage) {
    const kind = load<u8>(descriptor(page), KIND);
    const count = kind == KIND_FREE ? 1 : load<u32>(descriptor(page), COUNT);
    if (kind != KIND_FREE && kind != KIND_BUFFER) freePages((<usize>page) << PAGE_SHIFT);
    page += count;
  }
}

function findRun(count: u32): u32 {
  let page = hint;
  let isFirst = true;
  while (true) {
    page = nextFree(page);
    if (page >= endPage) return 0;
    if (isFirst) {
      hint = page;
      isFirst = false;
    }
    let length: u32 = 1;
    while (length < count && page + length < endPage && isFree(page + length)) length++;
    if (length == count) return page;
    page += length;
  }
}

/** The first free page from `page` on, or one at or behind the high-water mark. */
function nextFree(page: u32): u32 {
  let word = bitmap + ((page >> 6) << 3);
  let bits = load<u64>(word) & ((<u64>-1) << (page & 63));
  let base = page & ~63;
  while (bits == 0) {
    base += 64;
    if (base >= endPage) return endPage;
    word += 8;
    bits = load<u64>(word);
  }
  return base + <u32>ctz(bits);
}

function isFree(page: u32): bool {
  return (load<u64>(bitmap + ((page >> 6) << 3)) & ((<u64>1) << (page & 63))) != 0;
}

function markUsed(page: u32, count: u32): void {
  for (let i = page; i < page + count; i++) {
    const word = bitmap + ((i >> 6) << 3);
    store<u64>(word, load<u64>(word) & ~((<u64>1) << (i & 63)));
  }
}

/** Grows the WebAssembly memory so that the pages below `end` are there. */
function ensureMemory(end: u32): bool {
  const bytes = ((<u64>end) << PAGE_SHIFT) + SLACK_BYTES;
  const needed = <i32>((bytes + 0xffff) >> 16) - memory.size();
  if (needed <= 0) return true;
  const wanted = min(max(needed, max(memory.size() >> 3, GROW_PAGES_MIN)), 65536 - memory.size());
  return memory.grow(wanted) != -1 || memory.grow(needed) != -1;
}

function descriptor(page: u32): usize {
  return descriptors + ((<usize>page) << DESCRIPTOR_SHIFT);
}

// Slabs keep their bookkeeping in the descriptor of their first page, so that blocks hold nothing but data.

/** The first page of the run in which `address` lies. */
export function headOf(address: usize): u32 {
  return load<u32>(descriptor(<u32>(address >> PAGE_SHIFT)), HEAD);
}

export function slabClass(page: u32): u32 {
  return load<u8>(descriptor(page), CLASS);
}

export function slabUsed(page: u32): u32 {
  return load<u16>(descriptor(page), USED);
}

export function slabNext(page: u32): u32 {
  return load<u32>(descriptor(page), NEXT);
}

export function slabPrevious(page: u32): u32 {
  return load<u32>(descriptor(page), PREVIOUS);
}

export function slabFreeBlock(page: u32): u32 {
  return load<u32>(descriptor(page), FREE_BLOCK);
}

export function slabCarved(page: u32): u32 {
  return load<u32>(descriptor(page), CARVED);
}

export function setSlabClass(page: u32, sizeClass: u32): void {
  store<u8>(descriptor(page), <u8>sizeClass, CLASS);
}

export function setSlabUsed(page: u32, used: u32): void {
  store<u16>(descriptor(page), <u16>used, USED);
}

export function setSlabNext(page: u32, next: u32): void {
  store<u32>(descriptor(page), next, NEXT);
}

export function setSlabPrevious(page: u32, previous: u32): void {
  store<u32>(descriptor(page), previous, PREVIOUS);
}

export function setSlabFreeBlock(page: u32, address: u32): void {
  store<u32>(descriptor(page), address, FREE_BLOCK);
}

export function setSlabCarved(page: u32, address: u32): void {
  store<u32>(descriptor(page), address, CARVED);
}
