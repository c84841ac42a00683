/**
 * What the log needs of a disk: one directory of files, without sub-directories. `runtime/disk/` has it on real files, the
 * tests simulate one that loses what was not synced.
 *
 * Nothing is durable before it was synced: bytes and lengths by `DiskFile.sync`, names (creating, renaming, removing) by
 * `Disk.syncDirectory`.
 */

/** CRC-32 of `bytes` (ITU-T V.42, that of zip files); with `before`, the checksum of some bytes, that of those and `bytes` together. */
export type Crc32 = (bytes: Uint8Array, before?: number) => number;

export interface Disk {
  /** Where it is, for messages. */
  readonly path: string;
  /** The checksum of all that the log writes. The runtimes have it in instructions that WebAssembly doesn't know. */
  readonly crc32: Crc32;
  /** The names of all files, in no order. */
  list(): Promise<string[]>;
  /** Opens a file to read and write. With `create` it must not exist yet, without it must. */
  open(name: string, options?: { create?: boolean }): Promise<DiskFile>;
  /** Gives a file another name, in place of a file that has that name. */
  rename(from: string, to: string): Promise<void>;
  remove(name: string): Promise<void>;
  /** Makes durable which names there are. */
  syncDirectory(): Promise<void>;
}

export interface DiskFile {
  readonly name: string;
  /** The file descriptor, for io_uring; undefined when there is none. */
  readonly descriptor: number | undefined;
  /** Unit: bytes. */
  size(): Promise<number>;
  /** Fills `into` from `offset` on, and returns how many bytes there were: less than its length only at the file's end. */
  read(offset: number, into: Uint8Array): Promise<number>;
  /** Writes all of `bytes`, or rejects; then everything from `offset` on is unknown. Beyond the end the file grows. */
  write(offset: number, bytes: Uint8Array): Promise<void>;
  /** Makes the file so long: cuts it, or adds zeros. */
  truncate(length: number): Promise<void>;
  /**
   * Makes bytes and length durable. When it rejects, nothing of this file is to be trusted, and syncing it again proves
   * nothing: the system may have dropped what it could not write (Rebello and others, "Can Applications Recover from fsync
   * Failures?", USENIX ATC 2020).
   */
  sync(): Promise<void>;
  close(): Promise<void>;
}

/**
 * The segment that a shard commits its turns to. It is called back rather than awaited, since the thread of an io_uring
 * seldom returns to its microtasks.
 */
export interface CommitFile {
  /**
   * Writes all of `bytes` at `offset`, then, if `sync`, makes durable what was written up to now, and calls `done` exactly
   * once, maybe before it returns. `bytes` are borrowed until then. While a commit with `sync` is under way, others without
   * may be made, but none with. After an error nothing on this file is to be trusted: it is committed to no more.
   */
  commit(offset: number, bytes: Uint8Array, sync: boolean, done: (error?: Error) => void): void;
  /** To be called once, when no commit is under way. */
  close(): void;
}

/** What says that a disk is full, or that as much of it is used as its quota allows. */
const FULL_CODES: readonly unknown[] = ['ENOSPC', 'EDQUOT'];

/** Of EDQUOT on Linux, for which Node has no name. */
const QUOTA_NUMBER = -122;

/** Whether a disk has thrown because there is no space: with the system's code for that. */
export function isDiskFull(error: unknown): boolean {
  const { code, errno } = (error ?? {}) as { code?: unknown; errno?: unknown };
  return FULL_CODES.includes(code) || errno === QUOTA_NUMBER;
}
