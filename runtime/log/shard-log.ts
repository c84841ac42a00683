/**
 * The log of one shard on its thread: recovered and opened, gone on with segment after segment, compacted when it has grown,
 * and written anew after a failure.
 */
import { clearTimeout, setTimeout } from 'node:timers';
import type { Engine } from '../../core/engine/engine.ts';
import { Committer, type FsyncPolicy, type LogUpkeep } from '../../core/log/committer.ts';
import { startOver } from '../../core/log/compaction.ts';
import { LogError, LogErrorCode } from '../../core/log/errors.ts';
import { Log, type LogBatch, type LogSegment } from '../../core/log/log.ts';
import { type Recovered, recover } from '../../core/log/recovery.ts';
import { type PreparedSegment, prepareFirst } from '../../core/log/segments.ts';
import type { FileWriter } from '../../transports/transport.ts';
import { DirectoryDisk } from '../disk/directory.ts';
import { RingCommitFile } from './commit-file.ts';
import { Compactor } from './compactor.ts';
import type { LogKeeper } from './keeper.ts';
import { Pauses } from './pauses.ts';

/** What can be done about damage. */
const REPAIR_HINT = '; `ringkv repair` tells what of the log would be lost if it were cut there';

/** A clock that was set back by more than this is told of at the start: times to live are longer by that. Unit: milliseconds. */
const AHEAD_MS_TOLD = 60_000;

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
  /** The last attempt to prepare a segment has failed. */
  #lacksSegment = false;
  readonly #preparePauses: Pauses;
  readonly #compactor: Compactor;
  readonly #startOverPauses: Pauses;
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
    const { engine, elapsed, now, report } = surroundings;
    const disk = new DirectoryDisk(directory);
    const startMs = elapsed();
    const recovered = await recover(disk, engine).catch((error: unknown) => {
      if (error instanceof LogError && error.code !== LogErrorCode.REPLAY) error.message += REPAIR_HINT;
      throw error;
    });
    const recoveryMs = Math.round(elapsed() - startMs);
    for (const line of recoveryLines(directory, recovered, engine.redoTimeMs - now())) report(line);
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
    this.#preparePauses = new Pauses(surroundings.elapsed);
    this.#startOverPauses = new Pauses(surroundings.elapsed);
    const report = (line: string): void => this.#report(line);
    const damaged = (error: Error): void => this.#damaged(error);
    this.#compactor = new Compactor(settings, { ...surroundings, report, damaged }, recovered);
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
    this.#compactor.request();
    this.#upkeep();
  }

  segmentEnded(batch: LogBatch): void {
    this.#compactor.segmentEnded(batch);
    this.#upkeep();
  }

  tick(): void {
    this.#compactor.requestIfDue(this.#bytes);
    this.#upkeep();
  }

  failed(error: Error): void {
    // Then `close` tells, for nothing is written anew any more.
    if (this.#isClosed) return;
    this.#surroundings.report(
      `the log in ${this.#disk.path} has failed (${error.message}): writes answer LOG until everything is written anew`,
    );
    this.#startOverLater();
  }

  info(): Readonly<Record<string, string | number>> {
    return {
      logFileBytes: this.#bytes,
      ...this.#compactor.info(),
      ...this.#recovery,
    };
  }

  /**
   * Makes everything durable and closes the files. Nothing MUST be executed any more. Rejects with an `Error` when it could not be made
   * durable.
   */
  async close(): Promise<void> {
    this.#isClosed = true;
    clearTimeout(this.#retry);
    // Until it is over the directory is not another server's, whose files it might take for old ones.
    await this.#startingOver;
    const { engine, now } = this.#surroundings;
    await this.committer.close(Math.max(now(), engine.redoTimeMs));
    const { failure } = this.committer;
    if (failure === undefined) return;
    throw new Error(
      `the log in ${this.#disk.path} has failed (${failure.message}) and was not made durable at the end: what was not synced ` +
        'is lost if the power fails now',
    );
  }

  /** Bytes of the log that the last snapshot does not have. */
  get #bytes(): number {
    return this.#compactor.endedBytes + this.#log.segmentBytes;
  }

  #open(segment: PreparedSegment): LogSegment {
    const { index, salt, sizeBytes, name } = segment;
    const file = new RingCommitFile(this.#disk.openForCommits(name), () => this.#transport.files);
    return { index, salt, sizeBytes, file };
  }

  /** Does what is due, as far as it can be done now. */
  #upkeep(): void {
    if (this.#isClosed || this.committer.failure !== undefined) return;
    if (this.#preparePauses.areOver) this.#prepareNext();
    // It waits for the next segment to be prepared, if this one has records.
    if (this.#compactor.needsCut && (this.#log.endSegment() || this.#mustCutBefore)) {
      this.#compactor.cut({ ...this.#log.segmentStart, nextSegment: this.#log.segment.index });
      this.committer.commit();
    }
    this.#compactor.run();
  }

  /**
   * Whether a snapshot can only end where the segment begins: there is no other to go on in, and maybe no space for one until the
   * snapshot has taken the place of the segments before.
   */
  get #mustCutBefore(): boolean {
    return this.#lacksSegment && this.#compactor.endedBytes > 0;
  }

  #prepareNext(): void {
    if (this.#isPreparing || this.#isClosed || !this.#log.needsSegment) return;
    this.#isPreparing = true;
    const index = ++this.#lastIndex;
    const opened = this.#surroundings.keeper.prepare(index).then((segment) => this.#open(segment));
    opened.then(
      (segment) => {
        this.#isPreparing = false;
        this.#lacksSegment = false;
        if (this.#isClosed) {
          segment.file.close();
          return;
        }
        // It is the log that it was prepared for: none is written anew meanwhile.
        this.#log.addSegment(segment);
        this.#upkeep();
      },
      (error: Error) => {
        this.#isPreparing = false;
        this.#lacksSegment = true;
        this.#lastIndex--;
        const pauseMs = this.#preparePauses.begin();
        this.#report(
          `no further segment could be prepared in ${this.#disk.path}, which is tried again in ${pauseMs} ms: ${error.message}`,
        );
      },
    );
  }

  #report(line: string): void {
    if (!this.#isClosed) this.#surroundings.report(line);
  }

  /** A start would need what is damaged. As long as the engine has all of it, everything can be written anew. */
  #damaged(error: Error): void {
    if (!this.#isClosed) this.committer.fail(error);
  }

  #startOverLater(): void {
    if (this.#isClosed) return;
    this.#retry = setTimeout(() => {
      this.#startingOver = this.#startOver();
    }, this.#startOverPauses.begin());
  }

  /** Writes the whole state to new files, and goes on in them: what became of the old ones does not matter then. */
  async #startOver(): Promise<void> {
    const { engine, elapsed, report } = this.#surroundings;
    // A segment is being prepared, or old files are being read: their directory is another's for that long.
    if (this.#isPreparing || this.#compactor.isRunning) {
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
      this.#lastIndex = segment.index;
      this.#log = new Log(this.#open(segment), position, this.#disk.crc32);
      this.#compactor.replace(snapshot);
      this.#startOverPauses.calm();
      this.committer.goOn(this.#log);
      report(
        `the log in ${this.#disk.path} goes on: everything was written anew in ${Math.round(elapsed() - startMs)} ms`,
      );
      this.#prepareNext();
    } catch (error) {
      // The first failure was told of, and INFO says that the shard only reads.
      if (this.#startOverPauses.areLongest)
        report(`the log in ${this.#disk.path} can't be written anew: ${String(error)}`);
      this.#startOverLater();
    } finally {
      unattend?.();
    }
  }
}

function recoveryLines(directory: string, { torn, damagedSnapshot }: Recovered, aheadMs: number): string[] {
  const lines: string[] = [];
  if (torn !== undefined) {
    const { records, bytes, file, offset, keptAs } = torn;
    const fate = keptAs === undefined ? 'could not be kept, since the disk is full' : `are kept in ${keptAs}`;
    lines.push(
      `the log in ${directory} ended in a torn write: ${records} records, ${bytes} bytes, were cut off ${file} ` +
        `at offset ${offset} and ${fate}`,
    );
  }
  if (damagedSnapshot !== undefined) {
    lines.push(`a snapshot is damaged, and an older one with more of the log was used: ${damagedSnapshot.message}`);
  }
  if (aheadMs > AHEAD_MS_TOLD) {
    lines.push(
      `the time of the log in ${directory} is ${Math.round(aheadMs / 1000)} s ahead of the system's clock: ` +
        'for that long it stands still, and no key expires',
    );
  }
  return lines;
}
