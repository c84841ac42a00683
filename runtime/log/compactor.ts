/**
 * The compaction of a log that goes on: when a snapshot is to take the place of what the log holds, and up to where. One that
 * fails is tried again with the same end, until it is made: each new end would close a segment that is not full, and so a disk
 * without room for the snapshot would fill with those.
 */
import type { LogBatch } from '../../core/log/log.ts';
import type { Recovered } from '../../core/log/recovery.ts';
import type { SnapshotPosition } from '../../core/log/snapshot-format.ts';
import type { SnapshotFile } from '../../core/log/snapshot-write.ts';
import { LogDamageError } from './damage.ts';
import { Pauses } from './pauses.ts';
import type { LogSurroundings, ShardLogSettings } from './shard-log.ts';

/** What it needs beside that: to tell that the files are damaged, which a further attempt would only find again. */
export interface CompactorSurroundings extends LogSurroundings {
  readonly damaged: (error: Error) => void;
}

export class Compactor {
  readonly #settings: ShardLogSettings;
  readonly #surroundings: CompactorSurroundings;
  readonly #pauses: Pauses;
  #last: SnapshotFile | undefined;
  #lastMs: number;
  #snapshots = 0;
  /** The segments that have ended since that one's end. */
  #ended: { readonly index: number; readonly bytes: number }[];
  /** Of the last segment that has ended. */
  #endedIndex: number;
  /** A snapshot is to be made of everything up to now. */
  #isDue = false;
  /** The end of the next snapshot, in another segment than the log has gone on in. */
  #cut: SnapshotPosition | undefined;
  #isRunning = false;

  constructor(
    settings: ShardLogSettings,
    surroundings: CompactorSurroundings,
    { snapshot, nextSegment, logBytes }: Recovered,
  ) {
    this.#settings = settings;
    this.#surroundings = surroundings;
    this.#pauses = new Pauses(surroundings.elapsed);
    this.#last = snapshot;
    this.#lastMs = surroundings.elapsed();
    this.#endedIndex = nextSegment - 1;
    this.#ended = [{ index: this.#endedIndex, bytes: logBytes }];
  }

  /** Whether old files are being read. */
  get isRunning(): boolean {
    return this.#isRunning;
  }

  /** Whether `cut` is to be called, as soon as the log can end its segment. */
  get needsCut(): boolean {
    return this.#isDue && this.#cut === undefined;
  }

  /** Bytes of the segments that have ended and are in no snapshot. */
  get endedBytes(): number {
    return this.#ended.reduce((sum, { bytes }) => sum + bytes, 0);
  }

  /** Asks for a snapshot of everything up to now. */
  request(): void {
    this.#isDue = true;
  }

  /** Asks for one if it is time, or the log is too long: so many bytes are in no snapshot. */
  requestIfDue(logBytes: number): void {
    const nowMs = this.#surroundings.elapsed();
    const { maxLogBytes, snapshotEveryMs } = this.#settings;
    const isOld = snapshotEveryMs > 0 && nowMs - this.#lastMs >= snapshotEveryMs;
    if (isOld) this.#lastMs = nowMs;
    // What is too long already gets shorter with the snapshot that is being made.
    const isLong = this.#cut === undefined && logBytes > maxLogBytes;
    if (isOld || isLong) this.#isDue = true;
  }

  /** The snapshot that was asked for ends here. */
  cut(position: SnapshotPosition): void {
    this.#isDue = false;
    this.#cut = position;
  }

  segmentEnded({ segment, offset, bytes }: LogBatch): void {
    this.#endedIndex = segment.index;
    this.#ended.push({ index: segment.index, bytes: offset + bytes.length });
  }

  /** Makes the snapshot, if there is one to be made, all up to its end has ended, and no pause has to be kept. */
  run(): void {
    const cut = this.#cut;
    if (cut === undefined || this.#isRunning || this.#endedIndex < cut.nextSegment - 1) return;
    if (this.endedBytes === 0) {
      this.#cut = undefined;
      return;
    }
    if (!this.#pauses.areOver) return;
    this.#isRunning = true;
    const { keeper, report, damaged } = this.#surroundings;
    keeper.compact(cut).then(
      (snapshot) => {
        this.#isRunning = false;
        this.#made(snapshot);
      },
      (error: Error) => {
        this.#isRunning = false;
        if (error instanceof LogDamageError) {
          damaged(error);
          return;
        }
        const { directory } = this.#settings;
        report(
          `no snapshot could be made of ${directory}, which is tried again in ${this.#pauses.begin()} ms: ${error.message}`,
        );
      },
    );
  }

  /** Everything was written anew, with this snapshot: what was to be in another one is in it. Not while one is being made. */
  replace(snapshot: SnapshotFile): void {
    this.#isDue = false;
    this.#endedIndex = snapshot.nextSegment - 1;
    this.#made(snapshot);
  }

  info(): Readonly<Record<string, number>> {
    return {
      snapshots: this.#snapshots,
      snapshotBytes: this.#last?.bytes ?? 0,
      snapshotIsRunning: this.#isRunning ? 1 : 0,
    };
  }

  #made(snapshot: SnapshotFile): void {
    this.#cut = undefined;
    this.#ended = this.#ended.filter(({ index }) => index >= snapshot.nextSegment);
    this.#last = snapshot;
    this.#lastMs = this.#surroundings.elapsed();
    this.#snapshots++;
  }
}
