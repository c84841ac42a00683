/** The files of a log by their names, and how a segment is prepared. */
import { type Disk, type DiskFile, isDiskFull } from './disk.ts';
import { encodeSegmentHeader, randomSalt, type Salt, SEGMENT_HEADER_BYTES } from './format.ts';

/** Default size of a segment. Unit: bytes. */
export const DEFAULT_SEGMENT_BYTES = 64 * 1024 * 1024;

/** Zeros are written in pieces of this size, so that a thread that also serves is not held for long. Unit: bytes. */
const ZEROS_BYTES = 1024 * 1024;

const INDEX_DIGITS = 12;

/** The kinds of files, which are the endings of their names; before it stands an index. */
const KINDS = ['log', 'snapshot', 'spare', 'tmp'] as const;
export type FileKind = (typeof KINDS)[number];

export interface LogFile {
  readonly name: string;
  readonly kind: FileKind;
  /** Of a segment its own; of a snapshot that of the first segment it does not include. */
  readonly index: number;
}

export function fileName(index: number, kind: FileKind): string {
  return `${String(index).padStart(INDEX_DIGITS, '0')}.${kind}`;
}

/** The files of a log, in the order of their indexes; those that are something else are left out. */
export async function listFiles(disk: Disk): Promise<LogFile[]> {
  const files: LogFile[] = [];
  for (const name of await disk.list()) {
    const [, digits, ending] = /^(\d{12})\.(\w+)$/.exec(name) ?? [];
    const kind = KINDS.find((known) => known === ending);
    if (digits !== undefined && kind !== undefined) files.push({ name, kind, index: Number(digits) });
  }
  return files.sort((a, b) => a.index - b.index);
}

/** Removes all files of some kinds. None of them MUST be in use. */
export async function removeAll(disk: Disk, ...kinds: readonly FileKind[]): Promise<void> {
  for (const { name, kind } of await listFiles(disk)) if (kinds.includes(kind)) await disk.remove(name);
}

/** A segment that lies ready on the disk, to be opened under `name`. */
export interface PreparedSegment {
  readonly name: string;
  readonly index: number;
  readonly salt: Salt;
  readonly sizeBytes: number;
}

/**
 * Makes a segment ready: takes a spare file, or writes a new one full of zeros, gives it its header and its name, and makes
 * all of that durable. Files written beforehand are synced faster than files that grow. A segment of that index that is
 * there already was prepared for a server that ended; it must hold no records, and is used at the length that it has. When
 * this rejects, the file that failed is removed, so that it is never synced again, unless the disk refuses that, too. One at a time.
 */
export async function prepareSegment(
  disk: Disk,
  index: number,
  sizeBytes: number = DEFAULT_SEGMENT_BYTES,
): Promise<PreparedSegment> {
  const salt = randomSalt();
  const name = fileName(index, 'log');
  const isThere = (await disk.list()).includes(name);
  const source = isThere ? name : await takeSpare(disk, index, sizeBytes);
  const begin = closing(await disk.open(source), async (file) => {
    await file.write(0, encodeSegmentHeader({ salt, index }, disk.crc32));
    await file.sync();
    return file.size();
  });
  // One that is there may be the only segment, which has to be. Of it nothing matters but the header, which is written again.
  const bytes = await (isThere ? begin : orRemoved(disk, source, begin));
  if (!isThere) await disk.rename(source, name);
  await disk.syncDirectory();
  return { name, index, salt, sizeBytes: bytes };
}

/**
 * As `prepareSegment`, for the segment that a log begins in. On a full disk one without room for records will do: what was stored can
 * be read then, and writes answer `LOG` until there is space.
 */
export async function prepareFirst(disk: Disk, index: number, sizeBytes?: number): Promise<PreparedSegment> {
  try {
    return await prepareSegment(disk, index, sizeBytes);
  } catch (error) {
    if (!isDiskFull(error)) throw error;
    return prepareSegment(disk, index, SEGMENT_HEADER_BYTES);
  }
}

/** The name of a file of `sizeBytes` whose content is free to be overwritten. */
async function takeSpare(disk: Disk, index: number, sizeBytes: number): Promise<string> {
  for (const { name, kind } of await listFiles(disk)) {
    if (kind !== 'spare') continue;
    // Were the former name still the durable one, it would come back after a power loss, with a content that isn't its own.
    await disk.syncDirectory();
    if ((await fileBytes(disk, name)) === sizeBytes) return name;
    await disk.remove(name);
  }
  return makeSpare(disk, index, sizeBytes);
}

/** Writes a spare file full of zeros, which is durable once it has been synced as a segment. Returns its name. */
export async function makeSpare(disk: Disk, index: number, sizeBytes: number = DEFAULT_SEGMENT_BYTES): Promise<string> {
  const name = fileName(index, 'spare');
  const zeros = new Uint8Array(Math.min(ZEROS_BYTES, sizeBytes));
  const writing = closing(await disk.open(name, { create: true }), async (file) => {
    for (let offset = 0; offset < sizeBytes; offset += zeros.length) {
      await file.write(offset, zeros.subarray(0, Math.min(zeros.length, sizeBytes - offset)));
    }
  });
  await orRemoved(disk, name, writing);
  return name;
}

/** Resolves or rejects as what is done with a file does; when that fails, the file is removed before, if that can be done. */
export async function orRemoved<T>(disk: Disk, name: string, doing: Promise<T>): Promise<T> {
  try {
    return await doing;
  } catch (error) {
    await disk.remove(name).catch(() => {});
    throw error;
  }
}

export async function fileBytes(disk: Disk, name: string): Promise<number> {
  return closing(await disk.open(name), (file) => file.size());
}

/** Keeps bytes that are no part of the log any more in a durable file of their own, and returns its name. */
export async function writeAside(disk: Disk, index: number, bytes: Uint8Array): Promise<string> {
  const name = await brokenName(disk, index);
  const writing = closing(await disk.open(name, { create: true }), async (file) => {
    await file.write(0, bytes);
    await file.sync();
  });
  await orRemoved(disk, name, writing);
  await disk.syncDirectory();
  return name;
}

/** A name that no file has, for what was part of the segment or snapshot `index`. */
export async function brokenName(disk: Disk, index: number): Promise<string> {
  const names = new Set(await disk.list());
  const stem = String(index).padStart(INDEX_DIGITS, '0');
  for (let copy = 1; ; copy++) {
    const name = copy === 1 ? `${stem}.broken` : `${stem}-${copy}.broken`;
    if (!names.has(name)) return name;
  }
}

/** Calls `use` and closes the file, whatever happens. */
export async function closing<T>(file: DiskFile, use: (file: DiskFile) => Promise<T>): Promise<T> {
  try {
    return await use(file);
  } finally {
    await file.close();
  }
}
