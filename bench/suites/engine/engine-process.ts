/**
 * An engine alone, in a process of its own: no socket, no session, nobody else to share the CPU's caches with. Its argument
 * is an `EnginePlan`, its answer one line, the `EngineAnswer`.
 *
 * The requests lie in the engine's memory before the clock starts, where a transport puts them: a turn is to execute one
 * frame and to forget its reply.
 */
import { FRAME_HEADER_BYTES } from '../../../core/protocol.ts';
import { currentRuntime } from '../../../runtime/choose.ts';
import type { Engine } from '../../../runtime/engine.ts';
import { createServingEngine } from '../../../runtime/engine-memory.ts';
import { FramePool, poolOperations } from '../../load/frames.ts';
import { LatencyHistogram } from '../../load/latency.ts';
import { ReplyChecker, ReplyError, SAMPLE_EVERY } from '../../load/replies.ts';
import { KEY_BYTES, loading, Values, YCSB_B_READ_SHARE, ycsbB } from '../../load/workload.ts';
import { runScript, say } from '../../servers/script.ts';
import {
  type EngineAnswer,
  type EnginePlan,
  type GrowthAnswer,
  MEMORY_VALUE_BYTES,
  type TurnTimes,
} from './engine-figures.ts';

/** Keys whose frames are prepared at a time while keys are stored. */
const SLICE_KEYS = 65_536;

/** The clock is read once in so many turns. */
const TURNS_PER_LOOK = 64;

async function measure(plan: EnginePlan): Promise<void> {
  const memory = await measureMemory(plan);
  const values = new Values(plan.valueBytes);
  const engine = await createServingEngine(plan.engine);
  for (const pool of storing(0, plan.keys, plan.batch, values)) executeAll(engine, pool);
  const opsPerSecond = measureYcsbB(engine, plan, plan.keys, values);
  const { growTo } = plan;
  const growth = growTo === undefined ? null : measureGrowth(engine, plan, growTo, values, opsPerSecond);
  const answer: EngineAnswer = { run: { opsPerSecond, ...memory }, growth };
  say(JSON.stringify(answer));
}

async function measureMemory({ engine: name, keys, batch }: EnginePlan) {
  const engine = await createServingEngine(name);
  for (const pool of storing(0, keys, batch, new Values(MEMORY_VALUE_BYTES))) executeAll(engine, pool);
  const { usedBytes, reservedBytes } = engine.stats();
  const dataBytes = keys * (KEY_BYTES + MEMORY_VALUE_BYTES);
  return {
    overheadBytesPerKey: (usedBytes - dataBytes) / keys,
    reservedOverheadBytesPerKey: (reservedBytes - dataBytes) / keys,
  };
}

/** Operations per second over `plan.seconds`, after a warm-up. */
function measureYcsbB(engine: Engine, plan: EnginePlan, keys: number, values: Values): number {
  const { batch, seed } = plan;
  const operations = ycsbB(poolOperations(batch, values.length, 1 - YCSB_B_READ_SHARE), keys, seed);
  const pool = new FramePool(operations, batch, values);
  executeFor(engine, pool, plan.warmupSeconds);
  const { turns, seconds } = executeFor(engine, pool, plan.seconds);
  return (turns * batch) / seconds;
}

function measureGrowth(
  engine: Engine,
  plan: EnginePlan,
  growTo: number,
  values: Values,
  opsPerSecondBefore: number,
): GrowthAnswer {
  const turnTimes = new LatencyHistogram();
  let totalMs = 0;
  for (const pool of storing(plan.keys, growTo, plan.batch, values)) {
    const checker = new ReplyChecker(pool);
    const room = layOut(engine, pool);
    for (let frame = 0; frame < pool.length; frame++) {
      const startMs = performance.now();
      execute(engine, room, pool, frame);
      const millis = performance.now() - startMs;
      finish(engine, pool, checker, frame, false);
      turnTimes.record(millis);
      totalMs += millis;
    }
  }
  const { keys } = engine.stats();
  if (keys !== growTo) throw new Error(`the engine has ${keys} keys after ${growTo} were stored`);
  const turns = timesOf(turnTimes);
  const idle = idleTurns(turns.percentiles.p50Micros / 1000, (growTo - plan.keys) / plan.batch);
  const opsPerSecond = measureYcsbB(engine, plan, growTo, values);
  return {
    figures: {
      setsPerSecond: (growTo - plan.keys) / (totalMs / 1000),
      opsPerSecond,
      slowdown: 1 - opsPerSecond / opsPerSecondBefore,
    },
    turns,
    idleTurns: idle,
  };
}

function timesOf(histogram: LatencyHistogram): TurnTimes {
  return { latency: histogram.encode(), percentiles: histogram.percentiles() };
}

/**
 * The control: turns that only wait until `millis` have passed. What they take beyond that is the machine's doing (other
 * processes, a hypervisor), and a turn of the engine can't be told from it below.
 */
function idleTurns(millis: number, count: number): TurnTimes {
  const times = new LatencyHistogram();
  for (let turn = 0; turn < count; turn++) {
    const startMs = performance.now();
    let passedMs = 0;
    while (passedMs < millis) passedMs = performance.now() - startMs;
    times.record(passedMs);
  }
  return timesOf(times);
}

/** Frames that store the keys `from` to `to` - 1, prepared slice by slice. */
function* storing(from: number, to: number, batch: number, values: Values): Generator<FramePool> {
  for (let next = from; next < to; ) {
    const slice = Math.min(to - next, SLICE_KEYS);
    // A frame has exactly `batch` operations, so the last few keys make a slice of their own.
    const frameKeys = Math.min(batch, slice);
    const end = next + slice - (slice % frameKeys);
    yield new FramePool(loading(next, end), frameKeys, values);
    next = end;
  }
}

function executeAll(engine: Engine, pool: FramePool): void {
  const checker = new ReplyChecker(pool);
  for (let frame = 0; frame < pool.length; frame++) {
    const payload = pool.frame(frame).subarray(FRAME_HEADER_BYTES);
    const offset = engine.reserveInput(payload.length);
    engine.memory.set(payload, offset);
    engine.execute(offset, payload.length, Date.now());
    finish(engine, pool, checker, frame, frame % SAMPLE_EVERY === 0);
  }
}

/** Executes the pool's frames round and round. */
function executeFor(engine: Engine, pool: FramePool, seconds: number): { turns: number; seconds: number } {
  const checker = new ReplyChecker(pool);
  const room = layOut(engine, pool);
  const startMs = performance.now();
  const endMs = startMs + seconds * 1000;
  let turns = 0;
  do {
    for (let i = 0; i < TURNS_PER_LOOK; i++, turns++) {
      const frame = turns % pool.length;
      execute(engine, room, pool, frame);
      finish(engine, pool, checker, frame, turns % SAMPLE_EVERY === 0);
    }
  } while (performance.now() < endMs);
  return { turns, seconds: (performance.now() - startMs) / 1000 };
}

/** Puts the pool into the engine's memory, and returns where. */
function layOut(engine: Engine, { bytes }: FramePool): number {
  const room = engine.reserveInput(bytes.length);
  engine.memory.set(bytes, room);
  return room;
}

function execute(engine: Engine, room: number, pool: FramePool, frame: number): void {
  engine.execute(room + pool.payloadOffset(frame), pool.payloadBytes(frame), Date.now());
}

/** Checks the reply and forgets it: its length in any case, the rest when it is one of the sample. */
function finish(engine: Engine, pool: FramePool, checker: ReplyChecker, frame: number, inFull: boolean): void {
  const { outputBytes } = engine;
  if (inFull || outputBytes !== pool.replyBytes(frame)) {
    checker.expect(frame, true);
    checker.take(engine.memory.subarray(engine.outputOffset, engine.outputOffset + outputBytes), 0);
    if (!checker.complete) throw new ReplyError('a reply ends too early');
  }
  engine.clearOutput();
}

await runScript(currentRuntime(), (argument) => measure(argument as EnginePlan));
