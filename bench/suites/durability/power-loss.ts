/**
 * A file system that loses its power: an ext4 in a file, mounted through a loop device, which is shut down without writing
 * what it holds in memory. What was synced is there when it is mounted again, nothing else need be.
 *
 * Shutting down is ext4's `FS_IOC_SHUTDOWN` with the flag that leaves the journal unwritten, as xfstests does it.
 */
import { execFile } from 'node:child_process';
import { closeSync, mkdirSync, openSync, truncateSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import process from 'node:process';
import { promisify } from 'node:util';
import { createFfi } from '../../../runtime/ffi/choose.ts';

const run = promisify(execFile);

/** Sparse, so it takes what is written to it. Unit: bytes. */
const VOLUME_BYTES = 2 * 1024 ** 3;

/** From `linux/fs.h`, of ext4 and others. */
const FS_IOC_SHUTDOWN = 0x8004587d;
const FS_SHUTDOWN_FLAGS_NOLOGFLUSH = 2;

/** Why power can't be lost here; undefined when it can. */
export async function noPowerLoss(): Promise<string | undefined> {
  if (process.platform !== 'linux') return 'losing power needs Linux';
  if (process.getuid?.() !== 0) return 'losing power needs root, to mount a file system';
  for (const [program, debianPackage] of [
    ['mkfs.ext4', 'e2fsprogs'],
    ['mount', 'mount'],
    ['umount', 'mount'],
  ] as const) {
    const found = await run('sh', ['-c', `command -v ${program}`]).catch(() => undefined);
    if (found === undefined) return `losing power needs ${program}, of Debian's package ${debianPackage}`;
  }
  return undefined;
}

export class LossyVolume implements AsyncDisposable {
  /** Where it is mounted. */
  readonly path: string;
  readonly #image: string;
  #isMounted = false;

  private constructor(folder: string) {
    this.path = join(folder, 'volume');
    this.#image = join(folder, 'volume.img');
  }

  /** Makes one in an empty folder and mounts it. Rejects with what the system says. */
  static async make(folder: string): Promise<LossyVolume> {
    const volume = new LossyVolume(folder);
    mkdirSync(volume.path);
    writeFileSync(volume.#image, '');
    truncateSync(volume.#image, VOLUME_BYTES);
    await run('mkfs.ext4', ['-q', '-F', volume.#image]);
    await volume.mount();
    return volume;
  }

  async mount(): Promise<void> {
    await run('mount', ['-o', 'loop', this.#image, this.path]);
    this.#isMounted = true;
  }

  /** Loses all that was not synced. What is open on it gets errors from now on. */
  losePower(): void {
    const ffi = createFfi();
    const { ioctl } = ffi.open(['libc.so.6', 'libc.so'], {
      ioctl: { parameters: ['i32', 'i64', 'pointer'], returns: 'i32' },
    });
    const flags = new Uint8Array(Uint32Array.of(FS_SHUTDOWN_FLAGS_NOLOGFLUSH).buffer);
    const descriptor = openSync(this.path, 'r');
    try {
      const failed = ioctl(descriptor, FS_IOC_SHUTDOWN, ffi.addressOf(flags)) !== 0;
      if (failed) throw new Error(`${this.path} could not be shut down`);
    } finally {
      closeSync(descriptor);
    }
  }

  /** Nothing may be open on it. */
  async unmount(): Promise<void> {
    if (!this.#isMounted) return;
    await run('umount', [this.path]);
    this.#isMounted = false;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.unmount();
    await rm(this.#image, { force: true });
  }
}
