/** Reading a whole log: the newest snapshot that is whole, and the segments after it. */
import type { Disk } from './disk.ts';
import { LogError, MissingSegmentError } from './errors.ts';
import { type LogEnd, type RecordReader, readRecords } from './records.ts';
import { fileName, type LogFile, listFiles } from './segments.ts';
import { type PayloadReader, readSnapshot } from './snapshot-load.ts';
import type { SnapshotFile } from './snapshot-write.ts';

/** Who is given what a log holds, in order. */
export interface LogReader {
  /** The snapshot comes first, in payloads. */
  readonly payload: PayloadReader;
  readonly record: RecordReader;
}

export interface LogContent {
  readonly snapshot: SnapshotFile | undefined;
  /** A newer snapshot that was damaged, so that an older one and more of the log were read. */
  readonly damagedSnapshot: LogError | undefined;
  readonly end: LogEnd;
}

/** Reads the segments before `before`, and the snapshot that they follow. Throws a `LogError` when they are damaged. */
export async function readLog(disk: Disk, reader: LogReader, before = Infinity): Promise<LogContent> {
  const files = await listFiles(disk);
  const segments = files.filter(({ kind, index }) => kind === 'log' && index < before);
  const snapshots = files.filter(({ kind, index }) => kind === 'snapshot' && index <= before).reverse();
  const { snapshot, damagedSnapshot } = await readSnapshots(disk, snapshots, segments, reader);
  const first = snapshot?.nextSegment ?? 1;
  const after = segments.filter(({ index }) => index >= first);
  if (after.length === 0 && snapshot !== undefined && before === Infinity) {
    const place = { directory: disk.path, file: fileName(first, 'log'), offset: 0 };
    throw new MissingSegmentError(place, `this segment is missing, but ${snapshot.name} says that it was there`);
  }
  const start = { sequence: snapshot?.sequence ?? 0, checksum: snapshot?.checksum ?? 0 };
  const end = await readRecords(disk, after, first, start, reader.record);
  return { snapshot, damagedSnapshot, end };
}

/**
 * Reads the newest snapshot. When it is damaged, an older one will do, or none, if all segments are there that were to be
 * removed because of it.
 */
async function readSnapshots(
  disk: Disk,
  snapshots: readonly LogFile[],
  segments: readonly LogFile[],
  reader: LogReader,
): Promise<Pick<LogContent, 'snapshot' | 'damagedSnapshot'>> {
  const newest = snapshots[0]?.index ?? 1;
  const isEnough = (first: number): boolean =>
    segments.filter(({ index }) => index >= first && index <= newest).length === newest - first + 1;
  const usable = snapshots.filter(({ index }, i) => i === 0 || isEnough(index));
  let damagedSnapshot: LogError | undefined;
  for (const file of usable) {
    // What was executed can't be taken back: while there is another way, it is made sure first that this snapshot is whole.
    const isLast = file === usable.at(-1) && !isEnough(1);
    const damage = isLast ? undefined : await damageOf(disk, file.name);
    if (damage === undefined) return { snapshot: await readSnapshot(disk, file.name, reader.payload), damagedSnapshot };
    damagedSnapshot ??= damage;
  }
  return { snapshot: undefined, damagedSnapshot };
}

/** What is wrong with a snapshot, if anything is. */
async function damageOf(disk: Disk, name: string): Promise<LogError | undefined> {
  try {
    await readSnapshot(disk, name, () => {});
    return undefined;
  } catch (error) {
    if (error instanceof LogError) return error;
    throw error;
  }
}
