/**
 * Recovery: what a shard does before it serves. The newest snapshot and the records after it are executed on an empty
 * engine, as they were executed when they were new; then the log is closed where it ends, and goes on in another segment.
 */
import type { Engine } from '../engine/engine.ts';
import { type Disk, isDiskFull } from './disk.ts';
import type { LogError } from './errors.ts';
import type { LogPosition } from './log.ts';
import { type LogContent, readLog } from './read-log.ts';
import type { LogEnd } from './records.ts';
import { replayBody, replayPayload } from './replay.ts';
import { closing, type LogFile, removeAll, writeAside } from './segments.ts';
import type { SnapshotFile } from './snapshot-write.ts';

/** The end of a log that was cut off: it was being written when the power went, and was not known to be durable. */
export interface TornTail {
  /** The file it was in, and where. */
  readonly file: string;
  readonly offset: number;
  readonly bytes: number;
  /** Records in it that were whole. */
  readonly records: number;
  /** The file it is kept in, for whoever wants to look; undefined when the disk was too full for it. */
  readonly keptAs: string | undefined;
}

/** What recovery found. */
export interface Recovered {
  /** Where the log ends. All up to there is durable now. */
  readonly position: LogPosition;
  /** Index of the segment to be prepared and appended to. */
  readonly nextSegment: number;
  /** The snapshot that was loaded; undefined when there was none. */
  readonly snapshot: SnapshotFile | undefined;
  /** A newer snapshot that was damaged, so that an older one and more of the log were used. */
  readonly damagedSnapshot: LogError | undefined;
  /** Records that were executed after the snapshot. */
  readonly records: number;
  /** Bytes of the segments after the snapshot, up to the last record. */
  readonly logBytes: number;
  readonly torn: TornTail | undefined;
}

/**
 * Rebuilds a shard's state in `engine`, which is empty and collects redo bytes; those, and its replies, are of no use after
 * it. `disk` may be empty: a shard's first start.
 *
 * Throws a `LogError` when the log is damaged. Then nothing on the disk was changed.
 */
export async function recover(disk: Disk, engine: Engine): Promise<Recovered> {
  const { snapshot, damagedSnapshot, end } = await replayLog(disk, engine);
  engine.repack();
  // A server that was killed may have left as many bytes as it had data, which a full disk has no room for.
  await removeAll(disk, 'tmp');
  const torn = end.segment && (await closeLog(disk, end.segment, end));
  const last = end.segment?.index ?? (snapshot?.nextSegment ?? 1) - 1;
  return {
    position: end.position,
    nextSegment: last + 1,
    snapshot,
    damagedSnapshot,
    records: end.records,
    logBytes: end.bytes,
    torn,
  };
}

/**
 * Executes the newest snapshot and the segments after it, those from `before` on excepted, on an empty engine, and changes
 * nothing on the disk. Throws a `LogError` when the log is damaged.
 */
export function replayLog(disk: Disk, engine: Engine, before = Infinity): Promise<LogContent> {
  return readLog(
    disk,
    {
      payload: (payload, timeMs, place) => replayPayload(engine, payload, timeMs, place),
      record: (record, body, place) => replayBody(engine, body, record.timeMs, place),
    },
    before,
  );
}

/**
 * Ends a segment where its whole records end, and makes that durable. What lies behind is kept aside, if it was written in
 * this use of the file and there is space for it.
 */
async function closeLog(disk: Disk, segment: LogFile, end: LogEnd): Promise<TornTail | undefined> {
  const { offset, unsyncedOffset, tear } = end;
  return closing(await disk.open(segment.name), async (file) => {
    let torn: TornTail | undefined;
    if (tear !== undefined) {
      const { bytes, records } = tear;
      const tail = new Uint8Array(bytes);
      const length = await file.read(offset, tail);
      const keptAs = await writeAside(disk, segment.index, tail.subarray(0, length)).catch(undefinedIfFull);
      torn = { bytes, records, file: segment.name, offset, keptAs };
    }
    // The system may have failed to write these, have said so to a server that is gone, and take them for written now.
    const unsynced = new Uint8Array(offset - unsyncedOffset);
    await file.read(unsyncedOffset, unsynced);
    await file.write(unsyncedOffset, unsynced);
    await file.truncate(offset);
    await file.sync();
    return torn;
  });
}

/** A full disk is started on, too. */
function undefinedIfFull(error: unknown): undefined {
  if (!isDiskFull(error)) throw error;
}
