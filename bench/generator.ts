/**
 * The load generator: a program of its own, so that its work is not mistaken for the server's. Loads the keys through the
 * protocol, then measures one batch size after the other. Its argument is a `GeneratorPlan`, its output `GeneratorEvent`s.
 *
 * Non-goal: fixed rates. It is a closed loop, so its latencies are those at the throughput it reaches.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { currentRuntime } from '../runtime/choose.ts';
import { type Client, connect } from '../runtime/client.ts';
import { parseAddress } from '../transports/address.ts';
import { createTransport, naturalTransport } from '../transports/transports.ts';
import { FramePool, poolOperations } from './frames.ts';
import { Load, type Run } from './load.ts';
import type { Figures, GeneratorEvent, GeneratorPlan } from './plan.ts';
import { runScript, say } from './script.ts';
import { loading, Values, workloadHash, YCSB_B_READ_SHARE, ycsbB } from './workload.ts';

/** Operations per frame while the keys are loaded, unless the values are long. */
const LOAD_BATCH = 512;

/** Most bytes of values in one frame while the keys are loaded. */
const LOAD_FRAME_BYTES = 1024 * 1024;

/** Most bytes of values that are prepared at a time while the keys are loaded. */
const LOAD_SLICE_BYTES = 32 * LOAD_FRAME_BYTES;

const runtime = currentRuntime();

async function generate(plan: GeneratorPlan): Promise<void> {
  const { address, connections, depth, keys, seed } = plan;
  const transport = createTransport(naturalTransport(runtime.name));
  const operations = ycsbB(
    poolOperations(Math.max(...plan.batches), plan.valueBytes, 1 - YCSB_B_READ_SHARE),
    keys,
    seed,
  );
  const values = new Values(plan.valueBytes);
  const control = await connect({ address, transport: transport.name });
  const load = await Load.open({ transport, address: parseAddress(address), connections, depth });
  const startMs = performance.now();
  await loadKeys(load, keys, values);
  const stored = await control.count();
  if (stored !== keys) throw new Error(`the server has ${stored} keys after ${keys} were stored`);
  tell({ event: 'loaded', seconds: (performance.now() - startMs) / 1000, workload: workloadHash(operations) });
  for (const batch of plan.batches) {
    const figures = await measure(load, control, new FramePool(operations, batch, values), plan);
    tell({ event: 'measured', measurement: { batch, figures } });
  }
  load.close();
  await control.close();
}

/** Stores every key once. In slices, so that all the frames need not be in memory at the same time. */
async function loadKeys(load: Load, keys: number, values: Values): Promise<void> {
  const batchMax = Math.min(LOAD_BATCH, Math.max(1, Math.floor(LOAD_FRAME_BYTES / values.length)));
  const sliceMax = Math.max(1, Math.floor(LOAD_SLICE_BYTES / values.length));
  let from = 0;
  while (from < keys) {
    const slice = Math.min(keys - from, sliceMax);
    const batch = Math.min(batchMax, slice);
    // A frame has exactly `batch` operations, so the last few keys make a slice of their own.
    const to = from + slice - (slice % batch);
    await load.once(new FramePool(loading(from, to), batch, values));
    from = to;
  }
}

/**
 * The clock runs from one reply to INFO to another, both asked for under load: server, generator and operations are read
 * at the same moments. INFO tells what `getrusage` says of the server process, which counts microseconds of all its
 * threads; /proc/PID/stat counts hundredths of seconds, and schedstat knows neither all threads nor user from system time.
 */
async function measure(load: Load, control: Client, pool: FramePool, plan: GeneratorPlan): Promise<Figures> {
  const run = load.endless(pool);
  await orFailure(run, sleep(plan.warmupSeconds * 1000));
  const before = await orFailure(run, snapshot(run, control));
  run.latency.reset();
  await orFailure(run, sleep(plan.seconds * 1000));
  const after = await orFailure(run, snapshot(run, control));
  const latency = run.latency.percentiles();
  run.stop();
  await run.finished;

  const micros = after.atMicros - before.atMicros;
  const operations = (after.framesDone - before.framesDone) * pool.batch;
  if (operations === 0) throw new Error(`no reply to a frame of ${pool.batch} operations within ${plan.seconds} s`);
  const serverUserMicros = after.serverUserMicros - before.serverUserMicros;
  const serverSystemMicros = after.serverSystemMicros - before.serverSystemMicros;
  const serverMicros = serverUserMicros + serverSystemMicros;
  const generatorMicros = after.generatorMicros - before.generatorMicros;
  return {
    seconds: micros / 1e6,
    operations,
    opsPerSecond: operations / (micros / 1e6),
    ...latency,
    serverUserMicrosPerOp: serverUserMicros / operations,
    serverSystemMicrosPerOp: serverSystemMicros / operations,
    serverMicrosPerOp: serverMicros / operations,
    generatorMicrosPerOp: generatorMicros / operations,
    serverCores: serverMicros / micros,
    generatorCores: generatorMicros / micros,
    serverPeakBytes: after.serverPeakBytes,
  };
}

async function snapshot(run: Run, control: Client) {
  const info = await control.info();
  const { userMicros, systemMicros } = runtime.cpuTime();
  const figure = (name: string): number => {
    const value = info[name];
    if (typeof value !== 'number') throw new Error(`the server's INFO has no number called ${name}`);
    return value;
  };
  return {
    atMicros: performance.now() * 1000,
    framesDone: run.framesDone,
    generatorMicros: userMicros + systemMicros,
    serverUserMicros: figure('cpuUserMicros'),
    serverSystemMicros: figure('cpuSystemMicros'),
    serverPeakBytes: figure('peakResidentBytes'),
  };
}

/** Waits for the promise, or until something goes wrong in the run. */
function orFailure<T>(run: Run, promise: Promise<T>): Promise<T> {
  // A run that was not stopped does not finish, it can only fail.
  return Promise.race([promise, run.finished as Promise<never>]);
}

function tell(event: GeneratorEvent): void {
  say(JSON.stringify(event));
}

await runScript(runtime, (argument) => generate(argument as GeneratorPlan));
