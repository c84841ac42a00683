/**
 * What is done for a shard's log elsewhere than on its thread, one thing at a time: preparing segments, which writes them full
 * of zeros, and compaction, which has a thread of its own.
 */
import { join } from 'node:path';
import type { EngineName } from '../../core/engine/engine.ts';
import { type PreparedSegment, prepareSegment, removeAll } from '../../core/log/segments.ts';
import type { SnapshotPosition } from '../../core/log/snapshot-format.ts';
import type { SnapshotFile } from '../../core/log/snapshot-write.ts';
import type { SlotRange } from '../../core/slots.ts';
import { shardDirectory } from '../disk/data-directory.ts';
import { DirectoryDisk } from '../disk/directory.ts';
import { packageFolder } from '../package.ts';
import { startWorker, type WorkerThread } from '../workers.ts';
import { errorOf, type LogFailure } from './damage.ts';
import type { DataSettings } from './shard-log.ts';

/** What a shard asks for. */
export interface LogKeeper {
  /** Prepares a segment, which lies ready once this resolves. Rejects with what the disk throws. */
  prepare(index: number): Promise<PreparedSegment>;
  /**
   * Puts a snapshot in the place of everything up to a position; all of that has ended. Rejects likewise, and with a
   * `LogDamageError` when what is there is damaged.
   */
  compact(position: SnapshotPosition): Promise<SnapshotFile>;
}

/** The same, asked for by a message from the shard's thread. */
export type KeeperTask =
  | { readonly kind: 'prepare'; readonly index: number }
  | { readonly kind: 'compact'; readonly position: SnapshotPosition };

/** What a compaction is told. Plain data, for its thread. */
export interface CompactionOrder {
  readonly directory: string;
  readonly engine: EngineName;
  readonly slots: SlotRange;
  /** Of the snapshot. */
  readonly position: SnapshotPosition;
}

export type CompactionReport =
  | { readonly kind: 'done'; readonly snapshot: SnapshotFile }
  | { readonly kind: 'failed'; readonly failure: LogFailure };

export interface KeeperSettings extends Omit<CompactionOrder, 'position'> {
  /** Of the segments. */
  readonly segmentBytes: number;
}

/** Threads run compiled scripts, also when the rest runs from its sources. */
const COMPACTION_SCRIPT = join(packageFolder, 'dist', 'runtime', 'log', 'compaction-worker.js');

export class DirectoryKeeper implements LogKeeper {
  readonly #settings: KeeperSettings;
  readonly #disk: DirectoryDisk;
  #preparing: Promise<unknown> = Promise.resolve();
  #compacting: WorkerThread<never> | undefined;

  constructor(settings: KeeperSettings) {
    this.#settings = settings;
    this.#disk = new DirectoryDisk(settings.directory);
  }

  prepare(index: number): Promise<PreparedSegment> {
    return this.#inTurn(() => prepareSegment(this.#disk, index, this.#settings.segmentBytes));
  }

  compact(position: SnapshotPosition): Promise<SnapshotFile> {
    const { segmentBytes: _, ...settings } = this.#settings;
    return new Promise((resolve, reject) => {
      const order: CompactionOrder = { ...settings, position };
      let report: CompactionReport | undefined;
      this.#compacting = startWorker<CompactionOrder, never, CompactionReport>(COMPACTION_SCRIPT, 'compaction', order, {
        report: (last) => {
          report = last;
        },
        // Not before: there are never two at once, and `stop` knows of the one there is.
        ended: (cause) => {
          this.#compacting = undefined;
          if (report === undefined) {
            reject(cause);
            return;
          }
          if (report.kind === 'done') {
            resolve(report.snapshot);
            return;
          }
          const { failure } = report;
          const refuse = (): void => reject(errorOf(failure));
          // On a full disk its next attempt needs the space of spare files more than the log does.
          this.#inTurn(() => removeAll(this.#disk, 'spare')).then(refuse, refuse);
        },
      });
    });
  }

  do(task: KeeperTask): Promise<PreparedSegment | SnapshotFile> {
    return task.kind === 'prepare' ? this.prepare(task.index) : this.compact(task.position);
  }

  /** Does something with spare files when nothing else is done with them. */
  #inTurn<T>(doing: () => Promise<T>): Promise<T> {
    const done = this.#preparing.then(doing);
    this.#preparing = done.catch(() => {});
    return done;
  }

  /** Resolves when nothing is being done in the directory any more; what was asked for may be left undone. */
  async stop(): Promise<void> {
    await this.#compacting?.terminate();
    await this.#preparing;
  }
}

/** What looks after the log of the shard with these slots. */
export function createKeeper(
  { data, segmentBytes }: DataSettings,
  engine: EngineName,
  slots: SlotRange,
): DirectoryKeeper {
  return new DirectoryKeeper({ directory: shardDirectory(data, slots), engine, slots, segmentBytes });
}
