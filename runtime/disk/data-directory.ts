/**
 * The directory that `--data` names:
 *
 *     DIR/lock                which process has it
 *     DIR/manifest            the version of the files, and the slots of each shard
 *     DIR/slots-0-8191/       the log of a shard
 *     DIR/slots-8192-16383/
 */
import { mkdir, readFile, rename, stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import {
  checkManifest,
  decodeManifest,
  encodeManifest,
  type Manifest,
  ManifestError,
} from '../../core/log/manifest.ts';
import { listFiles, prepareSegment } from '../../core/log/segments.ts';
import type { SlotRange } from '../../core/slots.ts';
import { DirectoryDisk, syncDirectory } from './directory.ts';
import { type DirectoryLock, lockDirectory } from './lock.ts';

const MANIFEST_NAME = 'manifest';

export interface DataDirectory {
  /** Absolute. */
  readonly path: string;
  /** The slots of its shards: see `shardDirectory`. */
  readonly shards: readonly SlotRange[];
  readonly lock: DirectoryLock;
}

/**
 * Locks a data directory, and makes it if it isn't there. Throws `DirectoryLockedError` when another process has it, and
 * `ManifestError` when it was made for other shards, or something of it is missing.
 */
export async function openDataDirectory(
  data: string,
  shards: readonly SlotRange[],
  segmentBytes?: number,
): Promise<DataDirectory> {
  const path = resolve(data);
  await makeDirectory(path);
  const lock = await lockDirectory(path);
  try {
    const manifest = await readManifest(path);
    if (manifest === undefined) await create(path, shards, segmentBytes);
    else {
      checkManifest(manifest, shards, path);
      await checkShards(path, shards);
    }
  } catch (error) {
    await lock.release();
    throw error;
  }
  return { path, shards, lock };
}

/**
 * Locks a data directory that is there, whatever its shards are. Throws as `openDataDirectory` does, and `ManifestError` when
 * there is none.
 */
export async function openExistingDirectory(data: string): Promise<DataDirectory> {
  const path = resolve(data);
  const manifest = await readManifest(path);
  if (manifest === undefined) throw new ManifestError(`${path} is no data directory: it has no ${MANIFEST_NAME}`);
  return openDataDirectory(path, manifest.shards);
}

/** Where the log of the shard with these slots is: what `DirectoryDisk` is made with. */
export function shardDirectory(path: string, { first, last }: SlotRange): string {
  return join(path, `slots-${first}-${last}`);
}

/** The manifest is written last: where there is one, each shard had a log. */
async function create(path: string, shards: readonly SlotRange[], segmentBytes: number | undefined): Promise<void> {
  for (const slots of shards) {
    const directory = shardDirectory(path, slots);
    await makeDirectory(directory);
    const disk = new DirectoryDisk(directory);
    if (!(await hasLog(disk))) await prepareSegment(disk, 1, segmentBytes);
  }
  const disk = new DirectoryDisk(path);
  const draft = `${MANIFEST_NAME}.tmp`;
  if ((await disk.list()).includes(draft)) await disk.remove(draft);
  const file = await disk.open(draft, { create: true });
  try {
    await file.write(0, new TextEncoder().encode(encodeManifest({ shards })));
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(join(path, draft), join(path, MANIFEST_NAME));
  await disk.syncDirectory();
}

async function checkShards(path: string, shards: readonly SlotRange[]): Promise<void> {
  for (const slots of shards) {
    const directory = shardDirectory(path, slots);
    if (!(await isDirectory(directory)) || !(await hasLog(new DirectoryDisk(directory)))) {
      throw new ManifestError(`${directory} has no log, although ${join(path, MANIFEST_NAME)} says that it had one`);
    }
  }
}

/** Whether there is more than what an interrupted first start leaves. */
async function hasLog(disk: DirectoryDisk): Promise<boolean> {
  return (await listFiles(disk)).some(({ kind }) => kind === 'log' || kind === 'snapshot');
}

async function readManifest(path: string): Promise<Manifest | undefined> {
  const file = join(path, MANIFEST_NAME);
  try {
    return decodeManifest(await readFile(file, 'utf8'), file);
  } catch (error) {
    if ((error as { code?: unknown }).code === 'ENOENT') return undefined;
    throw error;
  }
}

/**
 * Makes a directory, and those above it that are missing, so that their names are durable. Not by `recursive`, with which Node
 * 20 never comes to an end where a directory is there and takes nothing, as in /proc.
 */
async function makeDirectory(path: string): Promise<void> {
  const parent = dirname(path);
  try {
    await mkdir(path);
  } catch (error) {
    if (await isDirectory(path)) return;
    const { code } = error as { code?: unknown };
    if (code === 'EEXIST') throw new Error(`${path} is no directory`, { cause: error });
    if (code !== 'ENOENT' || (await isDirectory(parent))) throw error;
    await makeDirectory(parent);
    await mkdir(path);
  }
  await syncDirectory(parent);
}

async function isDirectory(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined))?.isDirectory() ?? false;
}
