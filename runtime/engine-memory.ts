/**
 * The engine of a shard, and what the machine has to do with its memory: whether it stays in its place when it grows, and
 * huge pages.
 */
import { platform } from 'node:process';
import type { EngineOptions } from '../core/engine/engine.ts';
import { createEngine, type Engine, type EngineName } from './engine.ts';
import { FfiError } from './ffi/ffi.ts';
import { Libc } from './ffi/libc.ts';

const MADV_HUGEPAGE = 14;

/** The advice covers what the memory will have grown into, the 4 GiB of address space that are reserved for it. */
const ADDRESS_SPACE_BYTES = 4 * 1024 ** 3;

const PAGE_BYTES = 4096;

/** More than a fresh engine has, so that its memory must grow. Unit: bytes. */
const GROWTH_BYTES = 16 * 1024 * 1024;

/** The engine of a shard: as `createEngine` makes it, its memory examined. */
export async function createServingEngine(name: EngineName, options: EngineOptions = {}): Promise<Engine> {
  const engine = await createEngine(name, options);
  examineMemory(engine);
  return engine;
}

/**
 * Looks at a fresh engine's memory, where foreign functions can be called:
 * - A WebAssembly memory grows in its place if the runtime has reserved address space for it. Bun does that for 8 memories of
 *   a process; one that moves can't be lent, and the engine loses its `room`.
 * - One that stays is asked for in huge pages. A lookup reads a few lines anywhere in it, and with pages of 2 MiB the
 *   processor finds these without walking its page tables. Measured: 5 to 7 % more operations a second with a million keys, a
 *   tenth more with ten million. It is advice: where the kernel does not take it, all is as it would have been.
 */
function examineMemory(engine: Engine): void {
  if (platform !== 'linux' || engine.room === undefined) return;
  try {
    const libc = new Libc();
    const { ffi } = libc;
    const before = ffi.addressOf(engine.memory);
    const offset = engine.room.allocate(GROWTH_BYTES);
    if (offset > 0) engine.room.free(offset);
    if (offset === 0 || ffi.addressOf(engine.memory) !== before) {
      engine.room = undefined;
      return;
    }
    const address = Math.ceil(before / PAGE_BYTES) * PAGE_BYTES;
    libc.madvise(address, ADDRESS_SPACE_BYTES - PAGE_BYTES, MADV_HUGEPAGE);
  } catch (error) {
    // Without foreign functions no transport has the kernel read what is lent, or write it, where it lies.
    if (!(error instanceof FfiError)) throw error;
  }
}
