/**
 * The log of one shard on its thread: recovered and opened, gone on with segment after segment, compacted when it has grown,
 * and written anew after a failure.
 */
import { clearTimeout, setTimeout } from 'node:timers';
import type { Engine } from '../../core/engine/engine.ts';
import { Committer, type FsyncPolicy, type LogUpkeep } from '../../core/log/committer.ts';
import { startOver } from '../../core/log/compaction.ts';
import { LogError, LogErrorCode } from '../../core/log/errors.ts';
import { SEGMENT_HEADER_BYTES } from '../../core/log/format.ts';
import { Log, type LogBatch, type LogSegment } from '../../core/log/log.ts';
import { type Recovered, recover } from '../../core/log/recovery.ts';
import { type PreparedSegment, prepareSegment } from '../../core/log/segments.ts';
import type { SnapshotPosition } from '../../core/log/snapshot-format.ts';
import type { SnapshotFile } from '../../core/log/snapshot-write.ts';
import type { FileWriter } from '../../transports/transport.ts';
import { DirectoryDisk } from '../disk/directory.ts';
import { RingCommitFile } from './commit-file.ts';
import type { LogKeeper } from './keeper.ts';

/** Pause before the state is written anew after a failure, or before something else is tried again; it doubles. Unit: milliseconds. */
const RETRY_FIRST_MS = 100;

/** Longest pause. Unit: milliseconds. */
const RETRY_MAX_MS = 10_000;

/** After so long without a failure the pauses begin with the first again: a disk that fails again and again is left in peace. */
const CALM_MS = 60_000;

/** What can be done about damage. */
const REPAIR_HINT = '; `ringkv repair` tells what of the log would be lost if it were cut there';

/** Plain data, so that it can be given to a thread. */
export interface ShardLogSettings {
  /** The shard's own, which is there. */
  readonly directory: string;
  readonly fsync: FsyncPolicy;
  readonly segmentBytes: number;
  /** With more than this in the log, a snapshot takes the place of what it holds. Unit: bytes. */
  readonly maxLogBytes: number;
  /** A snapshot is made so long after the one before, if anything was written since; 0 for never. Unit: milliseconds. */
  readonly snapshotEveryMs: number;
}

/** Where and how a server keeps its data. */
export interface DataSettings extends Omit<ShardLogSettings, 'directory'> {
  /** Absolute; it is there. */
  readonly data: string;
}

/** What the log needs of its surroundings. */
export interface LogSurroundings {
  readonly engine: Engine;
  readonly keeper: LogKeeper;
  /** Told, in one line, of what an operator has to know. */
  readonly report: (line: string) => void;
  /** The time of records. Unit: milliseconds since 1970. */
  readonly now: () => number;
  /** A time that is never set, for pauses and intervals. Unit: milliseconds. */
  readonly elapsed: () => number;
}

/** What the transport gives, once it listens. */
export interface LogTransport {
  readonly files?: FileWriter | undefined;
  attend?(): () => void;
  after?(ms: number, call: () => void): void;
}

export class ShardLog implements LogUpkeep {
  readonly committer: Committer;
  readonly #settings: ShardLogSettings;
  readonly #surroundings: LogSurroundings;
  readonly #disk: DirectoryDisk;
  readonly #recovery: Readonly<Record<string, number>>;
  #transport: LogTransport = {};
  #log: Log;
  /** The greatest index of a segment that was asked for. */
  #lastIndex: number;
  #isPreparing = false;
  /** Of the segments that have ended since the last snapshot. */
  #endedBytes: number;
  #lastSnapshot: SnapshotFile | undefined;
  #lastSnapshotMs: number;
  /** The last segment that has ended. */
  #endedIndex: number;
  /** A snapshot is to be made of everything up to now. */
  #isSnapshotDue = false;
  /** Where the snapshot is to end, in another segment than the log has gone on in; undefined when none is being made. */
  #cut: SnapshotPosition | undefined;
  #isCompacting = false;
  #snapshots = 0;
  /** What was tried and failed is not tried again before this. */
  #nextTryMs = 0;
  #retryMs = RETRY_FIRST_MS;
  /** When something failed last, or what it had led to ended. */
  #troubleMs = 0;
  #retry: NodeJS.Timeout | undefined;
  #isClosed = false;
  /** The last attempt to write the whole state anew. Never rejects. */
  #startingOver: Promise<void> | undefined;
  #flush: () => void = () => {};

  /**
   * Rebuilds the state in `engine`, which is empty and collects redo bytes, and opens the log to go on. Rejects with a
   * `LogError` when the log is damaged, and with what the disk throws.
   */
  static async open(settings: ShardLogSettings, surroundings: LogSurroundings): Promise<ShardLog> {
    const { directory, segmentBytes } = settings;
    const { engine, elapsed, report } = surroundings;
    const disk = new DirectoryDisk(directory);
    const startMs = elapsed();
    const recovered = await recover(disk, engine).catch((error: unknown) => {
      if (error instanceof LogError && error.code !== LogErrorCode.REPLAY) error.message += REPAIR_HINT;
      throw error;
    });
    const recoveryMs = Math.round(elapsed() - startMs);
    for (const line of recoveryLines(directory, recovered)) report(line);
    const segment = await prepareFirst(disk, recovered.nextSegment, segmentBytes);
    return new ShardLog(settings, surroundings, { disk, recovered, recoveryMs, segment });
  }

  private constructor(
    settings: ShardLogSettings,
    surroundings: LogSurroundings,
    opened: {
      readonly disk: DirectoryDisk;
      readonly recovered: Recovered;
      readonly recoveryMs: number;
      readonly segment: PreparedSegment;
    },
  ) {
    const { recovered, segment } = opened;
    this.#settings = settings;
    this.#surroundings = surroundings;
    this.#disk = opened.disk;
    this.#recovery = {
      recoveredRecords: recovered.records,
      recoveredBytes: recovered.logBytes + (recovered.snapshot?.bytes ?? 0),
      recoveryMs: opened.recoveryMs,
      tornRecords: recovered.torn?.records ?? 0,
      tornBytes: recovered.torn?.bytes ?? 0,
    };
    this.#lastIndex = segment.index;
    this.#endedIndex = segment.index - 1;
    this.#endedBytes = recovered.logBytes;
    this.#lastSnapshot = recovered.snapshot;
    this.#lastSnapshotMs = surroundings.elapsed();
    this.#log = new Log(this.#open(segment), recovered.position, this.#disk.crc32);
    this.committer = new Committer(this.#log, settings.fsync);
    this.committer.upkeep = this;
    this.#prepareNext();
  }

  /**
   * The transport listens: from now on its ring may be used, if it has one. `flush` empties the engine's output, since others
   * are going to use it.
   */
  listening(transport: LogTransport, flush: () => void): void {
    this.#transport = transport;
    this.#flush = flush;
    if (transport.after !== undefined) this.committer.gather((ms, call) => transport.after!(ms, call));
  }

  /** Makes a snapshot of everything up to now, in the background. */
  snapshot(): void {
    this.#isSnapshotDue = true;
    this.#upkeep();
  }

  segmentEnded({ segment, offset, bytes }: LogBatch): void {
    this.#endedIndex = segment.index;
    this.#endedBytes += offset + bytes.length;
    this.#compactWhenEnded();
    this.#upkeep();
  }

  tick(): void {
    const nowMs = this.#surroundings.elapsed();
    const { maxLogBytes, snapshotEveryMs } = this.#settings;
    const isOld = snapshotEveryMs > 0 && nowMs - this.#lastSnapshotMs >= snapshotEveryMs;
    if (isOld) this.#lastSnapshotMs = nowMs;
    // What is too long already gets shorter with the snapshot that is being made.
    const isLong = this.#cut === undefined && this.#bytes > maxLogBytes;
    if (isOld || isLong) this.#isSnapshotDue = true;
    this.#upkeep();
  }

  failed(error: Error): void {
    this.#surroundings.report(
      `the log in ${this.#disk.path} has failed (${error.message}): writes answer LOG until everything is written anew`,
    );
    this.#startOverLater();
  }

  info(): Readonly<Record<string, string | number>> {
    return {
      logFileBytes: this.#bytes,
      snapshots: this.#snapshots,
      snapshotBytes: this.#lastSnapshot?.bytes ?? 0,
      snapshotIsRunning: this.#isCompacting ? 1 : 0,
      ...this.#recovery,
    };
  }

  /** Makes everything durable and closes the files. Nothing MUST be executed any more. */
  async close(): Promise<void> {
    this.#isClosed = true;
    clearTimeout(this.#retry);
    // Until it is over the directory is not another server's, whose files it might take for old ones.
    await this.#startingOver;
    await this.committer.close(this.#surroundings.now());
  }

  /** Bytes of the log that the last snapshot does not have. */
  get #bytes(): number {
    return this.#endedBytes + this.#log.segmentBytes;
  }

  #open(segment: PreparedSegment): LogSegment {
    const { index, salt, sizeBytes, name } = segment;
    const file = new RingCommitFile(this.#disk.openForCommits(name), () => this.#transport.files);
    return { index, salt, sizeBytes, file };
  }

  /** Does what is due, as far as it can be done now. */
  #upkeep(): void {
    if (this.#isClosed || this.committer.failure !== undefined) return;
    if (this.#surroundings.elapsed() < this.#nextTryMs) return;
    this.#prepareNext();
    // It waits for the next segment to be prepared, if this one has records.
    if (!this.#isSnapshotDue || this.#cut !== undefined || !this.#log.endSegment()) return;
    this.#isSnapshotDue = false;
    this.#cut = { ...this.#log.position, nextSegment: this.#log.segment.index };
    this.committer.commit();
    this.#compactWhenEnded();
  }

  #prepareNext(): void {
    const log = this.#log;
    if (this.#isPreparing || this.#isClosed || !log.needsSegment) return;
    this.#isPreparing = true;
    const index = ++this.#lastIndex;
    const opened = this.#surroundings.keeper.prepare(index).then((segment) => this.#open(segment));
    opened.then(
      (segment) => {
        this.#isPreparing = false;
        if (this.#isClosed || log !== this.#log) {
          segment.file.close();
          return;
        }
        log.addSegment(segment);
        this.#succeeded();
        this.#upkeep();
      },
      (error: Error) => {
        this.#isPreparing = false;
        this.#lastIndex--;
        this.#postpone(`no further segment could be prepared in ${this.#disk.path}`, error);
      },
    );
  }

  #compactWhenEnded(): void {
    const cut = this.#cut;
    if (cut === undefined || this.#isCompacting || this.#endedIndex < cut.nextSegment - 1) return;
    const endedBytes = this.#endedBytes;
    if (endedBytes === 0) {
      this.#cut = undefined;
      return;
    }
    this.#isCompacting = true;
    this.#surroundings.keeper.compact(cut).then(
      (snapshot) => {
        this.#isCompacting = false;
        this.#cut = undefined;
        this.#endedBytes -= endedBytes;
        this.#snapshotMade(snapshot);
        this.#succeeded();
      },
      (error: Error) => {
        this.#isCompacting = false;
        this.#cut = undefined;
        this.#isSnapshotDue = true;
        this.#postpone(`no snapshot could be made of ${this.#disk.path}`, error);
      },
    );
  }

  #snapshotMade(snapshot: SnapshotFile): void {
    this.#lastSnapshot = snapshot;
    this.#lastSnapshotMs = this.#surroundings.elapsed();
    this.#snapshots++;
  }

  /** Nothing is lost by it, so it is tried again after a while. */
  #postpone(what: string, error: Error): void {
    if (this.#isClosed) return;
    const pauseMs = this.#pauseMs();
    this.#surroundings.report(`${what}, which is tried again in ${pauseMs} ms: ${error.message}`);
    this.#nextTryMs = this.#surroundings.elapsed() + pauseMs;
  }

  /** How long to wait after a failure. */
  #pauseMs(): number {
    const nowMs = this.#surroundings.elapsed();
    if (nowMs - this.#troubleMs > CALM_MS) this.#retryMs = RETRY_FIRST_MS;
    this.#troubleMs = nowMs;
    const pauseMs = this.#retryMs;
    this.#retryMs = Math.min(pauseMs * 2, RETRY_MAX_MS);
    return pauseMs;
  }

  #succeeded(): void {
    this.#nextTryMs = 0;
  }

  #startOverLater(): void {
    if (this.#isClosed) return;
    this.#retry = setTimeout(() => {
      this.#startingOver = this.#startOver();
    }, this.#pauseMs());
  }

  /** Writes the whole state to new files, and goes on in them: what became of the old ones does not matter then. */
  async #startOver(): Promise<void> {
    const { engine, elapsed, report } = this.#surroundings;
    // A segment is being prepared, or old files are being read: their directory is another's for that long.
    if (this.#isPreparing || this.#isCompacting) {
      this.#startOverLater();
      return;
    }
    const unattend = this.#transport.attend?.();
    const { position } = this.#log;
    const startMs = elapsed();
    try {
      const { segment, snapshot } = await startOver(this.#disk, engine, position, this.#lastIndex + 1, {
        segmentBytes: this.#settings.segmentBytes,
        beforeRead: this.#flush,
      });
      if (this.#isClosed) return;
      this.#lastIndex = segment.index;
      this.#endedIndex = segment.index - 1;
      this.#log = new Log(this.#open(segment), position, this.#disk.crc32);
      this.#endedBytes = 0;
      this.#troubleMs = elapsed();
      // What was to be in a snapshot is in this one.
      this.#cut = undefined;
      this.#isSnapshotDue = false;
      this.#snapshotMade(snapshot);
      this.#succeeded();
      this.committer.goOn(this.#log);
      report(
        `the log in ${this.#disk.path} goes on: everything was written anew in ${Math.round(elapsed() - startMs)} ms`,
      );
      this.#prepareNext();
    } catch (error) {
      // The first failure was told of, and INFO says that the shard only reads.
      if (this.#retryMs >= RETRY_MAX_MS)
        report(`the log in ${this.#disk.path} can't be written anew: ${String(error)}`);
      this.#startOverLater();
    } finally {
      unattend?.();
    }
  }
}

/**
 * What the log goes on in. On a full disk a segment without room for records will do: what was stored can be read then, and writes
 * answer `LOG` until there is space.
 */
async function prepareFirst(disk: DirectoryDisk, index: number, sizeBytes: number): Promise<PreparedSegment> {
  try {
    return await prepareSegment(disk, index, sizeBytes);
  } catch (error) {
    if ((error as { code?: unknown }).code !== 'ENOSPC') throw error;
    return prepareSegment(disk, index, SEGMENT_HEADER_BYTES);
  }
}

function recoveryLines(directory: string, { torn, damagedSnapshot }: Recovered): string[] {
  const lines: string[] = [];
  if (torn !== undefined) {
    const { records, bytes, file, offset, keptAs } = torn;
    lines.push(
      `the log in ${directory} ended in a torn write: ${records} records, ${bytes} bytes, were cut off ${file} ` +
        `at offset ${offset} and are kept in ${keptAs}`,
    );
  }
  if (damagedSnapshot !== undefined) {
    lines.push(`a snapshot is damaged, and an older one with more of the log was used: ${damagedSnapshot.message}`);
  }
  return lines;
}
