/**
 * Huge pages for an engine's memory: a lookup reads a few lines anywhere in it, and with pages of 2 MiB instead of 4 KiB the
 * processor finds these without walking its page tables. Measured: 5 to 7 % more operations a second with a million keys,
 * a tenth more with ten million.
 */
import { platform } from 'node:process';
import { FfiError } from './ffi/ffi.ts';
import { Libc } from './ffi/libc.ts';

const MADV_HUGEPAGE = 14;

/** The advice covers what the memory will have grown into: runtimes reserve its address space from the start. */
const ADDRESS_SPACE_BYTES = 4 * 1024 ** 3;

const PAGE_BYTES = 4096;

/**
 * Asks the kernel to use huge pages for a WebAssembly memory, grown or not. It is advice: where it can't be given, or is not
 * taken (`/sys/kernel/mm/transparent_hugepage/enabled` says `never`), all is as it would have been.
 */
export function adviseHugePages(memory: Uint8Array): void {
  if (platform !== 'linux') return;
  try {
    const libc = new Libc();
    const address = Math.ceil(libc.ffi.addressOf(memory) / PAGE_BYTES) * PAGE_BYTES;
    libc.madvise(address, ADDRESS_SPACE_BYTES - PAGE_BYTES, MADV_HUGEPAGE);
  } catch (error) {
    if (!(error instanceof FfiError)) throw error;
  }
}
