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
  #run: Run;
  #settled: number;
  #isPumping = false;
  #hasFailed = false;
  /** Everything is synced, whatever the policy, and then this is called. */
  #drained: (() => void) | undefined;
  readonly #counters = { logWrites: 0, logSyncs: 0, logBytes: 0, logFailures: 0 };

  constructor(log: Log, policy: FsyncPolicy) {
    this.#run = new Run(log);
    this.policy = policy;
    this.#settled = log.sequence;
  }

  get settled(): number {
    return this.#settled;
  }

  get hasFailed(): boolean {
    return this.#hasFailed;
  }

  /** Why nothing is recorded any more; undefined while all is well. */
  get failure(): Error | undefined {
    return this.#run.failure;
  }

  get pendingBytes(): number {
    const { failure, log, writing, waiting } = this.#run;
    // What a failure has left behind is never written: nobody has to wait until it is less.
    if (failure !== undefined) return 0;
    return log.pendingBytes + ((writing ?? waiting)?.bytes.length ?? 0);
  }

  /** From now on a commit under `always` begins when those have gathered whom it is to answer. Default: at once. */
  gather(after: After): void {
    if (this.policy === 'always') this.#gathering = new Gathering(after, () => this.commit());
  }

  append(redo: Uint8Array, timeMs: number): void {
    if (redo.length > 0) this.#run.log.append(redo, timeMs);
  }

  executed(who: object): void {
    this.#gathering?.executed(who);
  }

  left(who: object): void {
    this.#gathering?.left(who);
  }

  endTurn(): number {
    const { log, writing } = this.#run;
    const record = log.endTurn();
    this.#gathering?.turnEnded(log.hasPending ? 'next' : writing === undefined ? undefined : 'under way');
    // What is synced anyway is better gathered for as long as there is more.
    if (this.policy !== 'always') this.#pump();
    return record;
  }

  commit(): void {
    const settled = this.#settled;
    this.#pump();
    this.#tell(settled);
  }

  /** As after a failed write, though none has failed: of what was written before, something is damaged. */
  fail(error: Error): void {
    if (this.#run.failure === undefined) this.#fail(error);
  }

  giveUp(): void {
    this.#hasFailed = false;
    this.#settled = this.#run.log.sequence;
  }

  tick(): void {
    this.upkeep?.tick();
    const run = this.#run;
    if (this.policy !== 'everysec' || run.failure !== undefined) return;
    if (run.isSyncing) run.isLate = true;
    else this.#syncWritten();
  }

  info(): Readonly<Record<string, string | number>> {
    const { failure, log } = this.#run;
    return {
      logPolicy: this.policy,
      logState: failure === undefined ? 'writable' : 'read-only',
      logRecords: log.sequence,
      logUnsynced: log.sequence - log.durableSequence,
      ...this.#counters,
      ...this.upkeep?.info(),
    };
  }

  /**
   * The last of all: makes everything durable and records that it is, at the engine's time. Resolves when that is done, or a
   * failure has made it pointless.
   */
  async close(nowMs: number): Promise<void> {
    const run = this.#run;
    run.log.endTurn();
    await this.#drain();
    if (run.failure === undefined) {
      run.log.sealMark(nowMs);
      await this.#drain();
    }
    run.closeIfIdle();
  }

  /** Goes on in another log, after a failure: everything up to its last record is durable. */
  goOn(log: Log): void {
    this.#run.closeIfIdle();
    this.#run = new Run(log);
    this.#settled = log.sequence;
    this.#gathering?.reset();
    this.host?.resumed();
  }

  /** Writes what is sealed, batch after batch, as long as none has to be waited for. */
  #pump(): void {
    if (this.#isPumping) return;
    this.#isPumping = true;
    const run = this.#run;
    while (run.writing === undefined && run.failure === undefined && !run.isLate) {
      if (run.waiting === undefined && (!run.log.hasPending || !this.#mayBegin())) break;
      const batch = run.waiting ?? run.log.take()!;
      run.waiting = undefined;
      if (run.isSyncing && this.#needsSync(batch)) {
        run.waiting = batch;
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
    const run = this.#run;
    run.writing = batch;
    this.#gathering?.began(!run.log.hasPending);
    segment.file.commit(offset, bytes, sync, (error) => {
      run.writing = undefined;
      run.log.settle(batch);
      if (batch.lastOfSegment) segment.file.close();
      if (run === this.#run) this.#wrote(batch, sync, error);
      else run.closeIfIdle();
    });
  }

  #wrote(batch: LogBatch, sync: boolean, error: Error | undefined): void {
    const run = this.#run;
    if (run.failure !== undefined) return;
    if (error !== undefined) {
      this.#fail(error);
      return;
    }
    this.#counters.logWrites++;
    this.#counters.logBytes += batch.bytes.length;
    run.lastBatch = batch;
    if (sync) this.#synced(batch.sequence);
    this.#gathering?.ended();
    if (batch.lastOfSegment) this.upkeep?.segmentEnded(batch);
    // What that had written may have failed at once: then all of it was told already, and is settled.
    if (run.failure !== undefined) return;
    this.#settle();
  }

  /** Makes durable what was written, while more is. */
  #syncWritten(): void {
    const run = this.#run;
    const batch = run.lastBatch;
    if (batch === undefined || batch.sequence <= run.log.durableSequence || run.writing !== undefined) return;
    run.isSyncing = true;
    batch.segment.file.commit(batch.offset, NOTHING, true, (error) => {
      run.isSyncing = false;
      run.isLate = false;
      if (run !== this.#run) {
        run.closeIfIdle();
        return;
      }
      if (run.failure !== undefined) return;
      if (error !== undefined) this.#fail(error);
      else {
        this.#synced(batch.sequence);
        this.#settle();
      }
    });
  }

  #synced(sequence: number): void {
    this.#counters.logSyncs++;
    this.#run.log.synced(sequence);
  }

  /** Something was written, and maybe synced. */
  #settle(): void {
    const settled = this.#settled;
    this.#settled = this.policy === 'always' ? this.#run.log.durableSequence : this.#run.lastBatch!.sequence;
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
    const { failure, log, writing, waiting, isSyncing } = this.#run;
    if (failure === undefined) {
      if (writing !== undefined || waiting !== undefined || isSyncing) return;
      if (log.durableSequence < log.sequence) {
        this.#syncWritten();
        return;
      }
    }
    this.#drained();
    this.#drained = undefined;
  }

  #fail(error: Error): void {
    const run = this.#run;
    run.failure = error;
    this.#hasFailed = true;
    this.#counters.logFailures++;
    this.#gathering?.reset();
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

/** What is under way on a log. Once another is gone on with, what still comes from its files is of no interest. */
class Run {
  readonly log: Log;
  /** A batch that was taken, but has to wait for the sync that is under way: there are never two. */
  waiting: LogBatch | undefined;
  /** The batch that is being written. */
  writing: LogBatch | undefined;
  /** The last batch that was written. */
  lastBatch: LogBatch | undefined;
  isSyncing = false;
  /** The sync that is under way began before the last tick: what is not acknowledged yet waits for it. */
  isLate = false;
  /** Why nothing is recorded any more. */
  failure: Error | undefined;

  constructor(log: Log) {
    this.log = log;
  }

  /** Closes its files, unless a write or a sync still uses one: the descriptor would be another file's by the time it looks. */
  closeIfIdle(): void {
    if (this.isSyncing || this.writing !== undefined) return;
    if (this.waiting?.lastOfSegment) this.waiting.segment.file.close();
    this.log.close();
  }
}
