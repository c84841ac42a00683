/**
 * The disk of the log on real files: a directory, through the `node:fs` that Node, Bun and Deno all have. Each write says its
 * offset and goes on after a short count, which Bun gives now and then, and Node on a full disk.
 */
import fs from 'node:fs';
import { readdir, rename, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { crc32 } from 'node:zlib';
import type { CommitFile, Disk, DiskFile } from '../../core/log/disk.ts';

/** Most of one call: the runtimes take less than 2 GiB, and a segment that could not be ended may be longer. Unit: bytes. */
const CALL_BYTES_MAX = 2 ** 30;

const open = promisify(fs.open);
const close = promisify(fs.close);
const fsync = promisify(fs.fsync);
const fstat = promisify(fs.fstat);
const ftruncate = promisify(fs.ftruncate);

/** The directory has to exist. Its methods reject with the errors of the system, whose `code` is like `ENOSPC`. */
export class DirectoryDisk implements Disk {
  readonly path: string;
  readonly crc32 = crc32;

  constructor(path: string) {
    this.path = path;
  }

  async list(): Promise<string[]> {
    const entries = await readdir(this.path, { withFileTypes: true });
    // Somebody may have put a link in the place of a file, to have it on another disk.
    return entries.filter((entry) => entry.isFile() || entry.isSymbolicLink()).map(({ name }) => name);
  }

  async open(name: string, { create = false } = {}): Promise<DiskFile> {
    const path = join(this.path, name);
    return new DescriptorFile(name, path, await open(path, create ? 'wx+' : 'r+'));
  }

  async rename(from: string, to: string): Promise<void> {
    await rename(join(this.path, from), join(this.path, to));
  }

  async remove(name: string): Promise<void> {
    await unlink(join(this.path, name));
  }

  syncDirectory(): Promise<void> {
    return syncDirectory(this.path);
  }

  /** Opens a segment to be committed to. */
  openForCommits(name: string): DescriptorCommitFile {
    return new DescriptorCommitFile(fs.openSync(join(this.path, name), 'r+'));
  }
}

/** Makes durable which names a directory has. */
export async function syncDirectory(path: string): Promise<void> {
  const descriptor = await open(path, 'r');
  try {
    await fsync(descriptor);
  } finally {
    await close(descriptor);
  }
}

class DescriptorFile implements DiskFile {
  readonly name: string;
  readonly descriptor: number;
  readonly #path: string;

  constructor(name: string, path: string, descriptor: number) {
    this.name = name;
    this.#path = path;
    this.descriptor = descriptor;
  }

  async size(): Promise<number> {
    return (await fstat(this.descriptor)).size;
  }

  async read(offset: number, into: Uint8Array): Promise<number> {
    let filled = 0;
    while (filled < into.length) {
      const count = await this.#readSome(into, filled, offset + filled).catch(this.#fail);
      if (count === 0) break;
      filled += count;
    }
    return filled;
  }

  async write(offset: number, bytes: Uint8Array): Promise<void> {
    let written = 0;
    while (written < bytes.length) {
      written += await this.#writeSome(bytes, written, offset + written).catch(this.#fail);
    }
  }

  truncate(length: number): Promise<void> {
    return ftruncate(this.descriptor, length).catch(this.#fail);
  }

  sync(): Promise<void> {
    return fsync(this.descriptor).catch(this.#fail);
  }

  close(): Promise<void> {
    return close(this.descriptor);
  }

  #readSome(into: Uint8Array, start: number, position: number): Promise<number> {
    return new Promise((resolve, reject) => {
      const length = Math.min(into.length - start, CALL_BYTES_MAX);
      fs.read(this.descriptor, into, start, length, position, (error, count) => {
        if (error) reject(error);
        else resolve(count);
      });
    });
  }

  #writeSome(bytes: Uint8Array, start: number, position: number): Promise<number> {
    return new Promise((resolve, reject) => {
      const length = Math.min(bytes.length - start, CALL_BYTES_MAX);
      fs.write(this.descriptor, bytes, start, length, position, (error, count) => {
        if (error) reject(error);
        else if (count === 0) reject(new NothingWrittenError());
        else resolve(count);
      });
    });
  }

  /** The system names no file where it was given a descriptor. */
  readonly #fail = (error: Error): never => {
    error.message += ` '${this.#path}'`;
    throw error;
  };
}

/**
 * Writes to the page cache while the caller waits, which takes microseconds, and leaves the waiting for the disk to the
 * runtime's threads.
 */
export class DescriptorCommitFile implements CommitFile {
  readonly descriptor: number;

  constructor(descriptor: number) {
    this.descriptor = descriptor;
  }

  commit(offset: number, bytes: Uint8Array, sync: boolean, done: (error?: Error) => void): void {
    try {
      writeAllSync(this.descriptor, offset, bytes);
    } catch (error) {
      done(error as Error);
      return;
    }
    if (sync) fs.fdatasync(this.descriptor, (error) => done(error ?? undefined));
    else done();
  }

  close(): void {
    fs.closeSync(this.descriptor);
  }
}

function writeAllSync(descriptor: number, offset: number, bytes: Uint8Array): void {
  for (let written = 0; written < bytes.length; ) {
    const length = Math.min(bytes.length - written, CALL_BYTES_MAX);
    const count = fs.writeSync(descriptor, bytes, written, length, offset + written);
    if (count === 0) throw new NothingWrittenError();
    written += count;
  }
}

/** The system accepted a write and wrote nothing of it, without saying why. */
class NothingWrittenError extends Error {
  override readonly name = 'NothingWrittenError';
  readonly code = 'EIO';

  constructor() {
    super('the system wrote nothing, and gave no error');
  }
}
