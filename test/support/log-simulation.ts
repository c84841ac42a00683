/**
 * A shard's log on the simulated disk: turns are executed, committed by the real committer, compacted and recovered, and
 * every now and then the process or the power goes, recovery included. After each recovery the state must be that after some
 * record, not before the last one that was acknowledged.
 */
import { crc32 } from 'node:zlib';
import type { Engine } from '../../core/engine/engine.ts';
import { createMapEngine } from '../../core/engine/map.ts';
import { Committer, FSYNC_POLICIES, type FsyncPolicy, type LogUpkeep } from '../../core/log/committer.ts';
import { compact, startOver } from '../../core/log/compaction.ts';
import { LogError } from '../../core/log/errors.ts';
import { SEGMENT_HEADER_BYTES } from '../../core/log/format.ts';
import { Log, type LogBatch, type LogSegment } from '../../core/log/log.ts';
import { type Recovered, recover } from '../../core/log/recovery.ts';
import { fileName, type PreparedSegment, prepareSegment } from '../../core/log/segments.ts';
import type { SnapshotPosition } from '../../core/log/snapshot-format.ts';
import { Op } from '../../core/protocol.ts';
import { array, encode, hex } from './bytes.ts';
import type { EngineFactory } from './engines.ts';
import { run } from './log-files.ts';
import { Random } from './random.ts';
import { DiskFault, type PlantedBugs, SimulatedMachine, StoppedError } from './simulated-disk.ts';

export interface SimulationOptions {
  readonly seed: number;
  readonly engine: EngineFactory;
  readonly bugs?: PlantedBugs;
}

/** What a record of the log changed. */
interface Change {
  readonly payloads: readonly Uint8Array[];
  readonly timeMs: number;
  /** Of the record. */
  readonly checksum: number;
}

/** How often things happened, so that a test sees that they do. */
export interface SimulationCounts {
  recoveries: number;
  torn: number;
  /** Of those, what a full disk had no room to keep. */
  unkept: number;
  fromSnapshot: number;
  stoppedRecoveries: number;
  failures: number;
  lost: number;
  /** Compactions that found damage. */
  refusedCompactions: number;
}

export class Simulation implements LogUpkeep {
  readonly counts: SimulationCounts = {
    recoveries: 0,
    torn: 0,
    unkept: 0,
    fromSnapshot: 0,
    stoppedRecoveries: 0,
    failures: 0,
    lost: 0,
    refusedCompactions: 0,
  };
  readonly #random: Random;
  readonly #machine: SimulatedMachine;
  readonly #factory: EngineFactory;
  readonly #policy: FsyncPolicy;
  readonly #segmentBytes: number;
  /** What each record changed, from the first on. */
  #changes: Change[] = [];
  /** Records that must be there after the next recovery, and those of them that not even a loss of power may take. */
  #acknowledged = 0;
  #durable = 0;
  #nowMs = 1_000_000;

  // The shard, as long as it lives.
  #engine!: Engine;
  #log!: Log;
  #committer!: Committer;
  #lastSegment = 0;
  /** Where the last segment ended whose end was synced. */
  #closed!: SnapshotPosition;
  #snapshotSegment = 0;
  #isPreparing = false;
  #compaction: Promise<void> | undefined;
  /** Undoes the damage that the compaction is to find; undefined when there is none. */
  #heal: (() => void) | undefined;
  /** Syncs that are under way. */
  #syncs: (() => void)[] = [];
  /** What is to be called after a while. */
  #alarms: (() => void)[] = [];

  constructor({ seed, engine, bugs }: SimulationOptions) {
    this.#random = new Random(seed);
    this.#machine = new SimulatedMachine(this.#random, bugs);
    this.#factory = engine;
    this.#policy = this.#random.pick(FSYNC_POLICIES);
    this.#segmentBytes = SEGMENT_HEADER_BYTES + this.#random.between(100, 3000);
  }

  /** Throws when the log does not keep what it promises. */
  async run(): Promise<void> {
    const lives = this.#random.between(2, 3);
    for (let life = 0; life < lives; life++) {
      await this.#start();
      await this.#serve();
      this.#crash();
    }
    await this.#start();
  }

  async #start(): Promise<void> {
    this.#machine.faultProbability = 0;
    for (;;) {
      const { disk } = this.#machine;
      if (this.#random.chance(0.3)) disk.stopAfter(this.#random.below(40));
      try {
        this.#engine = this.#factory({ redo: true });
        // On a full disk, too.
        this.#machine.capacityBytes = this.#random.chance(0.3) ? 0 : Infinity;
        const recovered = await recover(disk, this.#engine);
        this.#machine.capacityBytes = Infinity;
        this.#check(recovered);
        const segment = await prepareSegment(disk, recovered.nextSegment, this.#segmentBytes);
        disk.stopAfter(Infinity);
        this.#log = new Log(this.#open(segment), recovered.position, crc32);
        this.#alarms = [];
        this.#committer = new Committer(this.#log, this.#policy);
        if (this.#random.chance(0.5)) this.#committer.gather((_ms, call) => this.#alarms.push(call));
        this.#committer.upkeep = this;
        this.#snapshotSegment = recovered.snapshot?.nextSegment ?? 1;
        this.#closed = { ...recovered.position, nextSegment: segment.index };
        this.#isPreparing = false;
        this.#compaction = undefined;
        this.#syncs = [];
        return;
      } catch (error) {
        if (!(error instanceof StoppedError)) throw error;
        this.counts.stoppedRecoveries++;
        this.#endLife();
      }
    }
  }

  #check(recovered: Recovered): void {
    const { sequence } = recovered.position;
    this.counts.recoveries++;
    if (recovered.torn) this.counts.torn++;
    if (recovered.torn && !recovered.torn.keptAs) this.counts.unkept++;
    if (recovered.snapshot) this.counts.fromSnapshot++;
    if (recovered.damagedSnapshot) throw recovered.damagedSnapshot;
    if (sequence < this.#acknowledged) {
      throw new Error(`${this.#acknowledged} records were acknowledged, and only ${sequence} are there`);
    }
    if (sequence > this.#changes.length) throw new Error(`record ${sequence} was never made`);
    this.counts.lost += this.#changes.length - sequence;
    this.#changes.length = sequence;
    this.#acknowledged = sequence;
    this.#durable = sequence;
    const oracle = createMapEngine();
    for (const { payloads, timeMs } of this.#changes) for (const payload of payloads) run(oracle, payload, timeMs);
    const [found, expected] = [this.#engine, oracle].map((engine) => hex(run(engine, QUESTIONS, this.#nowMs).reply));
    if (found !== expected) throw new Error(`after record ${sequence} there is ${found}, but it was ${expected}`);
  }

  async #serve(): Promise<void> {
    const random = this.#random;
    if (random.chance(0.2)) this.#machine.faultProbability = random.pick([0.01, 0.1]);
    const turns = random.below(30);
    for (let turn = 0; turn < turns; turn++) {
      this.#nowMs += random.pick([0, 0, 1, 5, 100]);
      if (this.#committer.failure === undefined) this.#turn();
      if (random.chance(0.5)) this.#committer.commit();
      if (random.chance(0.1)) this.#committer.tick();
      if (random.chance(0.6)) this.#syncs.shift()?.();
      if (random.chance(0.05)) this.#committer.left(random.pick(CLIENTS));
      if (random.chance(0.3)) for (const call of this.#alarms.splice(0)) call();
      this.#prepare();
      if (random.chance(0.1)) this.#compact();
      if (this.#committer.hasFailed) this.#committer.giveUp();
      if (this.#committer.failure !== undefined && random.chance(0.2)) await this.#startOver();
      for (let i = random.below(12); i > 0; i--) await Promise.resolve();
    }
    if (random.chance(0.1)) this.#mark();
  }

  #turn(): void {
    const payloads: Uint8Array[] = [];
    for (let i = this.#random.below(4); i > 0; i--) {
      const operations = Array.from({ length: this.#random.between(1, 4) }, () => randomOperation(this.#random));
      const { redo } = run(this.#engine, array(operations), this.#nowMs);
      this.#committer.append(redo, this.#engine.redoTimeMs);
      this.#committer.executed(this.#random.pick(CLIENTS));
      if (redo.length > 0) payloads.push(redo);
    }
    this.#committer.endTurn();
    if (payloads.length > 0) this.#changed(payloads, this.#engine.redoTimeMs);
  }

  /** Ends the log as a server that is told to stop does. */
  #mark(): void {
    this.#log.sealMark(this.#nowMs);
    this.#changed([], this.#nowMs);
    this.#committer.commit();
  }

  #changed(payloads: readonly Uint8Array[], timeMs: number): void {
    this.#changes.push({ payloads, timeMs, checksum: this.#log.position.checksum });
  }

  segmentEnded({ segment, sequence }: LogBatch): void {
    const { checksum } = this.#changes[sequence - 1]!;
    this.#closed = { sequence, checksum, nextSegment: segment.index + 1 };
  }

  failed(): void {}

  tick(): void {}

  info(): Record<string, never> {
    return {};
  }

  #prepare(): void {
    if (this.#isPreparing || !this.#log.needsSegment || this.#committer.failure !== undefined) return;
    this.#isPreparing = true;
    const log = this.#log;
    const { disk } = this.#machine;
    const done = prepareSegment(disk, this.#lastSegment + 1, this.#segmentBytes).then((segment) => {
      if (!disk.isStopped) log.addSegment(this.#open(segment));
    });
    done.catch(tolerate).finally(() => {
      if (log === this.#log) this.#isPreparing = false;
    });
  }

  #compact(): void {
    const position = this.#closed;
    if (this.#compaction || position.nextSegment <= this.#snapshotSegment) return;
    const log = this.#log;
    const isDamaged = this.#random.chance(0.2);
    if (isDamaged) this.#damage(position.nextSegment - 1);
    this.#compaction = compact(this.#machine.disk, this.#factory({ redo: true }), position)
      .then(() => {
        if (log === this.#log) this.#snapshotSegment = position.nextSegment;
      })
      .catch((error: unknown) => {
        if (!isDamaged || !(error instanceof LogError)) tolerate(error);
        else this.counts.refusedCompactions++;
      })
      .finally(() => {
        if (log !== this.#log) return;
        this.#heal?.();
        this.#compaction = undefined;
      });
  }

  /** Flips a bit of a segment that has ended. What the compaction does not find must be without meaning. */
  #damage(index: number): void {
    const flip = this.#machine.flipper(fileName(index, 'log'));
    flip();
    this.#heal = () => {
      flip();
      this.#heal = undefined;
    };
  }

  async #startOver(): Promise<void> {
    this.counts.failures++;
    await this.#compaction;
    while (this.#isPreparing) await Promise.resolve();
    const { position } = this.#log;
    try {
      const index = this.#lastSegment + 1;
      const options = { segmentBytes: this.#segmentBytes };
      const { segment } = await startOver(this.#machine.disk, this.#engine, position, index, options);
      this.#log = new Log(this.#open(segment), position, crc32);
      this.#committer.goOn(this.#log);
      this.#snapshotSegment = segment.index;
      this.#closed = { ...position, nextSegment: segment.index };
    } catch (error) {
      tolerate(error);
    }
  }

  #open({ name, index, salt, sizeBytes }: PreparedSegment): LogSegment {
    this.#lastSegment = index;
    const file = this.#machine.disk.openForCommits(name, (sync) => this.#syncs.push(sync));
    return { index, salt, sizeBytes, file };
  }

  #crash(): void {
    const { settled, failure, policy } = this.#committer;
    // What the committer has released replies of counts, whatever the log itself believes to be durable.
    const answered = failure === undefined ? settled : 0;
    const { durableSequence } = this.#log;
    this.#acknowledged = Math.max(durableSequence, answered);
    this.#durable = policy === 'always' ? this.#acknowledged : durableSequence;
    this.#endLife();
  }

  #endLife(): void {
    this.#heal?.();
    if (this.#random.chance(0.3)) this.#machine.killProcess();
    else {
      this.#machine.losePower();
      this.#acknowledged = this.#durable;
    }
  }
}

const CLIENTS = [{}, {}, {}, {}];

const KEYS = ['key0', 'key1', 'key2', 'key3', 'key4', 'key5'];

/** A payload whose reply is all there is to know of a state. */
const QUESTIONS = array([
  encode([Op.COUNT]),
  ...[...KEYS, 'number'].flatMap((key) => [encode([Op.GET, key]), encode([Op.TTL, key])]),
]);

/** What goes wrong because the test wants it so. */
function tolerate(error: unknown): void {
  if (!(error instanceof StoppedError || error instanceof DiskFault)) throw error;
}

function randomOperation(random: Random): Uint8Array {
  const key = random.pick(KEYS);
  const ttlMs = random.pick([1, 20, 500, 100_000]);
  switch (random.below(8)) {
    case 0:
      return encode([Op.ADD, 'number', random.between(-5, 5)]);
    case 1:
      return encode([Op.DEL, key]);
    case 2:
      return encode([Op.EXPIRE, key, ttlMs]);
    case 3:
      return encode([Op.SET, key, random.below(1000), ttlMs]);
    case 4:
      return encode(random.chance(0.2) ? [Op.CLEAR] : [Op.PERSIST, key]);
    case 5:
      return encode([Op.GET, key]);
    default:
      return encode([Op.SET, key, random.bytes(random.pick([1, 10, 50, 1500]))]);
  }
}
