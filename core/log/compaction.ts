/**
 * Compaction: a snapshot of all closed segments takes their place. It needs neither the shard nor its engine, so it can be
 * done by another thread: the last snapshot and the segments after it are executed on an engine of its own.
 */
import type { Engine } from '../engine/engine.ts';
import type { Disk } from './disk.ts';
import { BrokenChainError } from './errors.ts';
import type { LogPosition } from './log.ts';
import type { LogEnd } from './records.ts';
import { replayLog } from './recovery.ts';
import { fileBytes, fileName, listFiles, type PreparedSegment, prepareFirst, removeAll } from './segments.ts';
import type { SnapshotPosition } from './snapshot-format.ts';
import { type SnapshotFile, writeSnapshot } from './snapshot-write.ts';

/**
 * Files that are kept to become segments again: a log of the default length has so many, and once it has been through them, no
 * more zeros are written.
 */
const SPARES_MAX = 16;

/**
 * Writes a snapshot of everything before segment `position.nextSegment`, all of which must have been closed with the record
 * of that position, and removes what it includes. `engine` is empty and collects redo bytes. Throws a `LogError` when the log
 * is damaged, and what the disk throws; then the log is as it was.
 */
export async function compact(disk: Disk, engine: Engine, position: SnapshotPosition): Promise<SnapshotFile> {
  const { end } = await replayLog(disk, engine, position.nextSegment);
  checkEnd(disk, end, position);
  const snapshot = await writeSnapshot(disk, engine, position);
  await removeBefore(disk, snapshot.nextSegment);
  return snapshot;
}

/** Throws unless all was read up to a position: what was closed can't end in a torn write, and what it lacks is damage. */
function checkEnd(disk: Disk, { position, segment, offset, tear }: LogEnd, wanted: SnapshotPosition): void {
  if (tear !== undefined) throw tear.fault;
  if (position.sequence === wanted.sequence && position.checksum === wanted.checksum) return;
  const file = segment?.name ?? fileName(wanted.nextSegment - 1, 'log');
  throw new BrokenChainError(
    { directory: disk.path, file, offset },
    `the records end with record ${position.sequence}, and not with record ${wanted.sequence} as they were written`,
  );
}

export interface StartOverOptions {
  /** Of the segment. Default: `DEFAULT_SEGMENT_BYTES`. */
  readonly segmentBytes?: number;
  /** Called each time before the engine is used, whose output has to be empty then. */
  readonly beforeRead?: () => void;
}

/**
 * Writes the whole state of a shard to new files, after which none of the old ones matters: the way on after a failed write or
 * sync. `engine` holds the state after `position`, and takes no writes meanwhile, though keys may expire; `index` is that of the
 * segment to go on in, greater than that of any prepared yet. Throws what the disk throws; then it may be called again.
 */
export async function startOver(
  disk: Disk,
  engine: Engine,
  position: LogPosition,
  index: number,
  { segmentBytes, beforeRead }: StartOverOptions = {},
): Promise<{ readonly segment: PreparedSegment; readonly snapshot: SnapshotFile }> {
  try {
    // On a full disk it has no room: the old files go only after this, and those that follow can have theirs.
    const segment = await prepareFirst(disk, index, segmentBytes);
    const snapshot = await writeSnapshot(disk, engine, { ...position, nextSegment: index }, beforeRead);
    // Of the files that it replaces one has failed, and is not to be used again.
    await removeBefore(disk, index, { sparesMax: 0 });
    return { segment, snapshot };
  } catch (error) {
    // On a full disk the next attempt needs their space.
    await removeAll(disk, 'spare', 'tmp').catch(() => {});
    throw error;
  }
}

/**
 * Removes what a durable snapshot has made useless: older snapshots, the segments before `nextSegment`, and what interrupted
 * snapshots left. Some segments become spare files, until there are `sparesMax`.
 */
export async function removeBefore(
  disk: Disk,
  nextSegment: number,
  { sparesMax = SPARES_MAX }: { readonly sparesMax?: number } = {},
): Promise<void> {
  const files = await listFiles(disk);
  let spares = files.filter(({ kind }) => kind === 'spare').length;
  const sizeBytes = sparesMax === 0 ? 0 : await fileBytes(disk, fileName(nextSegment, 'log'));
  for (const { name, kind, index } of files) {
    if (index >= nextSegment || kind === 'spare') continue;
    const isRecycled = kind === 'log' && spares < sparesMax && (await fileBytes(disk, name)) === sizeBytes;
    if (!isRecycled) await disk.remove(name);
    else {
      await disk.rename(name, fileName(index, 'spare'));
      spares++;
    }
  }
  await disk.syncDirectory();
}
