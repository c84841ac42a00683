/**
 * A disk whose writes fail from a moment on, below the file system, so that also a ring's own syncs meet it: an ext4 on a loop device
 * that is made shorter than the file system is. What was synced before is on a copy.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';

const IMAGE_BYTES = 32 * 1024 * 1024;

/** Nothing of a file lies so far in front. */
const FAILED_BYTES = 64 * 1024;

/** Why there can be none here; undefined when there can. */
export function noFailingDisk(): string | undefined {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return 'needs root on Linux, to mount a file system';
  for (const program of ['losetup', 'mkfs.ext4', 'mount', 'umount']) {
    if (spawnSync('sh', ['-c', `command -v ${program}`]).status !== 0) return `needs ${program}`;
  }
  const { status, stderr } = spawnSync('losetup', ['--find'], { encoding: 'utf8' });
  return status === 0 ? undefined : `needs a loop device: ${stderr.trim()}`;
}

export class FailingDisk implements Disposable {
  /** Where it is mounted. */
  readonly path: string;
  readonly #image: string;
  readonly #copy: string;
  #device = '';

  /** Makes one in an empty folder. */
  constructor(folder: string) {
    this.path = join(folder, 'mounted');
    this.#image = join(folder, 'image');
    this.#copy = join(folder, 'copy');
    mkdirSync(this.path);
    writeFileSync(this.#image, '');
    truncateSync(this.#image, IMAGE_BYTES);
    execFileSync('mkfs.ext4', ['-q', '-F', this.#image]);
    this.#mount(this.#image);
  }

  /** From now on nothing reaches the disk. */
  fail(): void {
    copyFileSync(this.#image, this.#copy);
    // What is written in between, be it by the file system itself, makes the file longer again.
    do {
      truncateSync(this.#image, FAILED_BYTES);
      execFileSync('losetup', ['--set-capacity', this.#device]);
    } while (this.#bytes > FAILED_BYTES);
  }

  get #bytes(): number {
    const sectors = readFileSync(join('/sys/class/block', basename(this.#device), 'size'), 'utf8');
    return Number(sectors) * 512;
  }

  /** The disk as it was when it failed. Nothing MUST be open on it. */
  replace(): void {
    this.#unmount();
    this.#mount(this.#copy);
  }

  [Symbol.dispose](): void {
    this.#unmount();
  }

  #mount(image: string): void {
    this.#device = execFileSync('losetup', ['--find', '--show', image], { encoding: 'utf8' }).trim();
    execFileSync('mount', [this.#device, this.path]);
  }

  #unmount(): void {
    // Lazily, since a test that fails may have left something open.
    spawnSync('umount', ['--lazy', this.path]);
    spawnSync('losetup', ['--detach', this.#device]);
  }
}
