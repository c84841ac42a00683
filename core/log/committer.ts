/**
 * Group commit: what the turns of a shard recorded is written, and made durable as the policy says, while the shard goes on.
 * At most one write and one sync are under way; what is recorded meanwhile makes up the next commit.
 *
 * | policy     | a record is acknowledged when                  | synced                                     |
 * |------------|------------------------------------------------|--------------------------------------------|
 * | `always`   | a sync that covers it has returned             | with each write                            |
 * | `everysec` | it was written; a sync that is late is awaited | at each tick that finds something unsynced |
 * | `no`       | it was written                                 | when the system likes                      |
 *
 * A segment is synced before anything is written to the next one, under any policy.
 */
import type { TurnLog, TurnLogHost } from '../server/turn-log.ts';
import { type After, Gathering } from './gathering.ts';
import type { Log, LogBatch } from './log.ts';

/** When what was acknowledged is made durable. */
export type FsyncPolicy = 'always' | 'everysec' | 'no';

export const FSYNC_POLICIES: readonly FsyncPolicy[] = ['always', 'everysec', 'no'];

const NOTHING = new Uint8Array(0);

/** Who looks after the files of the log. */
export interface LogUpkeep {
  /** A segment is written, synced and closed: the log has gone on in the next. */
  segmentEnded(batch: LogBatch): void;
  /** A write or a sync has failed; nothing is recorded until `goOn`. Whoever waited for it is told after this. */
  failed(error: Error): void;
  /** Called with each tick of the shard. */
  tick(): void;
  /** What INFO tells of the files. */
  info(): Readonly<Record<string, string | number>>;
}

export class Committer implements TurnLog {
  host: TurnLogHost | undefined;
  upkeep: LogUpkeep | undefined;
  readonly policy: FsyncPolicy;
  /** Who waits for commits, under `always`; undefined when these begin at once. */
  #gathering: Gathering | undefined;
  #log: Log;
  /** Numbers the logs that were gone on with: what comes from the file of one before is of no interest. */
  #epoch = 0;
  /** How many writes and syncs are still under way on each of those. */
  readonly #left = new Map<Log, number>();
  #settled: number;
  /** The last record that was written. */
  #written: number;
  /** A batch that was taken, but has to wait for the sync that is under way: there are never two. */
  #waiting: LogBatch | undefined;
  /** The batch that is being written. */
  #writing: LogBatch | undefined;
  /** The segment of the last batch that was written. */
  #lastBatch: LogBatch | undefined;
  #isSyncing = false;
  /** The sync that is under way began two ticks ago: what is not acknowledged yet waits for it. */
  #isLate = false;
  #isPumping = false;
  #failure: Error | undefined;
  #hasFailed = false;
  /** Everything is synced, whatever the policy, and then this is called. */
  #drained: (() => void) | undefined;
  readonly #counters = { logWrites: 0, logSyncs: 0, logBytes: 0, logFailures: 0 };

  constructor(log: Log, policy: FsyncPolicy) {
    this.#log = log;
    this.policy = policy;
    this.#settled = log.sequence;
    this.#written = log.sequence;
  }

  get settled(): number {
    return this.#settled;
  }

  get hasFailed(): boolean {
    return this.#hasFailed;
  }

  /** Why nothing is recorded any more; undefined while all is well. */
  get failure(): Error | undefined {
    return this.#failure;
  }

  get pendingBytes(): number {
    // What a failure has left behind is never written: nobody has to wait until it is less.
    if (this.#failure !== undefined) return 0;
    return this.#log.pendingBytes + ((this.#writing ?? this.#waiting)?.bytes.length ?? 0);
  }

  /** From now on a commit under `always` begins when those have gathered whom it is to answer. Default: at once. */
  gather(after: After): void {
    if (this.policy === 'always') this.#gathering = new Gathering(after, () => this.commit());
  }

  append(redo: Uint8Array, timeMs: number): void {
    if (redo.length > 0) this.#log.append(redo, timeMs);
  }

  executed(who: object): void {
    this.#gathering?.executed(who);
  }

  left(who: object): void {
    this.#gathering?.left(who);
  }

  endTurn(): number {
    const record = this.#log.endTurn();
    this.#gathering?.turnEnded(this.#log.hasPending ? 'next' : this.#writing === undefined ? undefined : 'under way');
    // What is synced anyway is better gathered for as long as there is more.
    if (this.policy !== 'always') this.#pump();
    return record;
  }

  commit(): void {
    const settled = this.#settled;
    this.#pump();
    this.#tell(settled);
  }

  giveUp(): void {
    this.#hasFailed = false;
    this.#settled = this.#log.sequence;
  }

  tick(): void {
    this.upkeep?.tick();
    if (this.policy !== 'everysec' || this.#failure !== undefined) return;
    if (this.#isSyncing) this.#isLate = true;
    else this.#syncWritten();
  }

  info(): Readonly<Record<string, string | number>> {
    return {
      logPolicy: this.policy,
      logState: this.#failure === undefined ? 'writable' : 'read-only',
      logRecords: this.#log.sequence,
      logUnsynced: this.#log.sequence - this.#log.durableSequence,
      ...this.#counters,
      ...this.upkeep?.info(),
    };
  }

  /**
   * The last of all: makes everything durable and records that it is, at the engine's time. Resolves when that is done, or a
   * failure has made it pointless.
   */
  async close(nowMs: number): Promise<void> {
    this.#log.endTurn();
    await this.#drain();
    if (this.#failure === undefined) {
      this.#log.sealMark(nowMs);
      await this.#drain();
    }
    if (!this.#isSyncing) this.#log.close();
  }

  /** Goes on in another log, after a failure: everything up to its last record is durable. */
  goOn(log: Log): void {
    const underWay = Number(this.#isSyncing) + Number(this.#writing !== undefined);
    // A descriptor that a write or sync still uses would be another file's by the time it looks.
    if (underWay === 0) this.#log.close();
    else this.#left.set(this.#log, underWay);
    this.#log = log;
    this.#writing = undefined;
    this.#epoch++;
    this.#settled = log.sequence;
    this.#written = log.sequence;
    this.#lastBatch = undefined;
    this.#isSyncing = false;
    this.#isLate = false;
    this.#failure = undefined;
    this.#gathering?.reset();
    this.host?.resumed();
  }

  /** Writes what is sealed, batch after batch, as long as none has to be waited for. */
  #pump(): void {
    if (this.#isPumping) return;
    this.#isPumping = true;
    while (this.#writing === undefined && this.#failure === undefined && !this.#isLate) {
      if (this.#waiting === undefined && (!this.#log.hasPending || !this.#mayBegin())) break;
      const batch = this.#waiting ?? this.#log.take()!;
      this.#waiting = undefined;
      if (this.#isSyncing && this.#needsSync(batch)) {
        this.#waiting = batch;
        break;
      }
      this.#write(batch);
    }
    this.#isPumping = false;
  }

  #mayBegin(): boolean {
    return this.#gathering === undefined || this.#drained !== undefined || this.#gathering.mayBegin();
  }

  #needsSync({ lastOfSegment }: LogBatch): boolean {
    return lastOfSegment || this.policy === 'always' || this.#drained !== undefined;
  }

  #write(batch: LogBatch): void {
    const { segment, offset, bytes } = batch;
    const sync = this.#needsSync(batch);
    const epoch = this.#epoch;
    const log = this.#log;
    this.#writing = batch;
    this.#gathering?.began(!log.hasPending);
    segment.file.commit(offset, bytes, sync, (error) => {
      if (epoch === this.#epoch) {
        this.#wrote(batch, sync, error);
        return;
      }
      if (batch.lastOfSegment) segment.file.close();
      this.#leave(log);
    });
  }

  #wrote(batch: LogBatch, sync: boolean, error: Error | undefined): void {
    this.#writing = undefined;
    this.#log.settle(batch);
    if (batch.lastOfSegment) batch.segment.file.close();
    if (this.#failure !== undefined) return;
    if (error !== undefined) {
      this.#fail(error);
      return;
    }
    this.#counters.logWrites++;
    this.#counters.logBytes += batch.bytes.length;
    this.#lastBatch = batch;
    this.#written = batch.sequence;
    if (sync) this.#synced(batch.sequence);
    this.#gathering?.ended();
    if (batch.lastOfSegment) this.upkeep?.segmentEnded(batch);
    this.#settle();
  }

  /** Something ended that was under way on a log that was gone on without. */
  #leave(log: Log): void {
    const underWay = this.#left.get(log)! - 1;
    this.#left.set(log, underWay);
    if (underWay > 0) return;
    this.#left.delete(log);
    log.close();
  }

  /** Makes durable what was written, while more is. */
  #syncWritten(): void {
    const batch = this.#lastBatch;
    if (batch === undefined || batch.sequence <= this.#log.durableSequence || this.#writing !== undefined) return;
    const epoch = this.#epoch;
    const log = this.#log;
    this.#isSyncing = true;
    batch.segment.file.commit(batch.offset, NOTHING, true, (error) => {
      if (epoch !== this.#epoch) {
        this.#leave(log);
        return;
      }
      this.#isSyncing = false;
      this.#isLate = false;
      if (this.#failure !== undefined) return;
      if (error !== undefined) this.#fail(error);
      else {
        this.#synced(batch.sequence);
        this.#settle();
      }
    });
  }

  #synced(sequence: number): void {
    this.#counters.logSyncs++;
    this.#log.synced(sequence);
  }

  /** Something was written or synced. */
  #settle(): void {
    const settled = this.#settled;
    this.#settled = this.policy === 'always' ? this.#log.durableSequence : this.#written;
    if (this.#isPumping) return;
    this.#pump();
    this.#tell(settled);
    this.#checkDrained();
  }

  /** Writes and syncs everything that is sealed. */
  #drain(): Promise<void> {
    return new Promise((resolve) => {
      this.#drained = resolve;
      this.commit();
      this.#checkDrained();
    });
  }

  #checkDrained(): void {
    if (this.#drained === undefined) return;
    if (this.#failure === undefined) {
      if (this.#writing !== undefined || this.#waiting !== undefined || this.#isSyncing) return;
      if (this.#log.durableSequence < this.#log.sequence) {
        this.#syncWritten();
        return;
      }
    }
    this.#drained();
    this.#drained = undefined;
  }

  #fail(error: Error): void {
    this.#failure = error;
    this.#hasFailed = true;
    this.#counters.logFailures++;
    this.#gathering?.reset();
    // It waited for the sync that has failed just now, so nothing is under way on its file.
    if (this.#waiting?.lastOfSegment) this.#waiting.segment.file.close();
    this.#waiting = undefined;
    this.upkeep?.failed(error);
    if (this.#isPumping) return;
    this.host?.failed();
    this.#checkDrained();
  }

  /** Who did not call asks for nothing, and so has to be told. */
  #tell(settledBefore: number): void {
    if (this.#settled > settledBefore) this.host?.settled();
    if (this.#hasFailed) this.host?.failed();
  }
}
