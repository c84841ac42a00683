/**
 * One operation after the other, each begun when the one before is done: on a store in this process, or through a client on
 * a server. Its argument is a `SequentialPlan`, its output `SequentialEvent`s.
 *
 * The store is used as a user uses it, through `ringkv/store`, and so is the server, through `ringkv/client`: keys and values
 * are texts, which are encoded and decoded. A loop that takes the time of every operation takes longer, for the clock's
 * sake, so the throughput comes from one that does not.
 */
import { currentRuntime } from '../../runtime/choose.ts';
import { connect } from '../../runtime/client.ts';
import { openStore, type Store } from '../../runtime/store.ts';
import { parseAddress } from '../../transports/address.ts';
import { Moments } from '../results/moments.ts';
import { runScript, say } from '../servers/script.ts';
import { clientTransport } from './client-transport.ts';
import { LatencyHistogram } from './latency.ts';
import { Load } from './load.ts';
import type {
  SequentialEvent,
  SequentialFigures,
  SequentialMeasurement,
  SequentialOperation,
  SequentialPlan,
  ServerTarget,
  StoreTarget,
} from './sequential-plan.ts';
import { type Check, type Do, keyName, Work } from './sequential-work.ts';
import { infoFigures } from './server-figures.ts';
import { storeKeys } from './store-keys.ts';
import { WARMUP_FRAMES_MIN, WARMUP_SECONDS_MAX } from './warm-up.ts';
import { LOADED_VERSION } from './workload.ts';

/** While the throughput is measured, the clock is read once in so many operations. */
const OPERATIONS_PER_LOOK = 64;

/** Keys in one batch while a store is filled. */
const STORING_BATCH = 512;

/** How often nothing is measured, to know what that takes. */
const CLOCK_SAMPLES = 100_000;

/** Connections that fill a server. */
const STORING_CONNECTIONS = 4;

const runtime = currentRuntime();

async function measureAll(plan: SequentialPlan): Promise<void> {
  const work = new Work(plan);
  if ('engine' in plan.target) await measureStore(plan, plan.target, work);
  else await measureServer(plan, plan.target, work);
}

async function measureStore(plan: SequentialPlan, { engine }: StoreTarget, work: Work): Promise<void> {
  using store = openStore({ engine });
  const startMs = performance.now();
  fill(store, plan.keys, work);
  tell({ event: 'stored', seconds: secondsSince(startMs) });
  for (const operation of plan.operations) {
    await warmUp(plan, () => loop(work.act(operation, store, both), work.check(operation), plan.warmupSeconds / 2));
    loopTimed(work.act(operation, store, both), work.check(operation), plan.warmupSeconds / 2, new Timed());
  }
  for (const operation of plan.operations) {
    const act = work.act(operation, store, both);
    const check = work.check(operation);
    const cpuBefore = cpuMicros();
    const throughput = loop(act, check, plan.seconds / 2);
    const generatorMicros = cpuMicros() - cpuBefore;
    const timed = new Timed();
    loopTimed(act, check, plan.seconds / 2, timed);
    tellMeasured(operation, timed, {
      opsPerSecond: throughput.operations / throughput.seconds,
      generatorMicrosPerOp: generatorMicros / throughput.operations,
      serverMicrosPerOp: 0,
      storeBytes: store.info().usedBytes,
    });
  }
  checkCount(store.count(), plan.keys);
}

async function measureServer(plan: SequentialPlan, target: ServerTarget, work: Work): Promise<void> {
  const address = parseAddress(target.address);
  const transport = clientTransport(address, target.transport);
  const client = await connect({ address: target.address, transport: transport.name });
  const startMs = performance.now();
  const load = await Load.open({ transport, address, connections: STORING_CONNECTIONS, depth: 1 });
  await storeKeys(load, client, plan.keys, work.values);
  load.close();
  tell({ event: 'stored', seconds: secondsSince(startMs) });
  for (const operation of plan.operations) {
    await warmUp(plan, () =>
      loopAwaiting(work.act(operation, client, bothAwaited), work.check(operation), plan.warmupSeconds / 2),
    );
    await loopTimedAwaiting(
      work.act(operation, client, bothAwaited),
      work.check(operation),
      plan.warmupSeconds / 2,
      new Timed(),
    );
  }
  for (const operation of plan.operations) {
    const act = work.act(operation, client, bothAwaited);
    const check = work.check(operation);
    const cpuBefore = cpuMicros();
    const serverBefore = await infoFigures(client);
    const throughput = await loopAwaiting(act, check, plan.seconds / 2);
    const serverAfter = await infoFigures(client);
    const generatorMicros = cpuMicros() - cpuBefore;
    const timed = new Timed();
    await loopTimedAwaiting(act, check, plan.seconds / 2, timed);
    const serverUserMicros = serverAfter.cpuUserMicros - serverBefore.cpuUserMicros;
    const serverSystemMicros = serverAfter.cpuSystemMicros - serverBefore.cpuSystemMicros;
    tellMeasured(operation, timed, {
      opsPerSecond: throughput.operations / throughput.seconds,
      generatorMicrosPerOp: generatorMicros / throughput.operations,
      serverMicrosPerOp: (serverUserMicros + serverSystemMicros) / throughput.operations,
      storeBytes: serverAfter.residentBytes,
    });
  }
  checkCount(await client.count(), plan.keys);
  await client.close();
}

function both(first: unknown, second: () => unknown): unknown {
  return first === true && second();
}

async function bothAwaited(first: Promise<unknown>, second: () => Promise<unknown>): Promise<unknown> {
  return (await first) === true && (await second());
}

// Keys

function fill(store: Store, keys: number, work: Work): void {
  for (let from = 0; from < keys; from += STORING_BATCH) {
    const batch = store.batch<boolean[]>();
    for (let number = from; number < Math.min(keys, from + STORING_BATCH); number++) {
      batch.set(keyName(number), work.value(number, LOADED_VERSION));
    }
    batch.send();
  }
  checkCount(store.count(), keys);
}

function checkCount(found: number, expected: number): void {
  if (found !== expected) throw new Error(`there are ${found} keys instead of ${expected}`);
}

// Measuring

interface Looped {
  readonly operations: number;
  readonly seconds: number;
}

function loop(act: Do<unknown>, check: Check, seconds: number): Looped {
  const startMs = performance.now();
  const endMs = startMs + seconds * 1000;
  let operations = 0;
  do {
    for (let i = 0; i < OPERATIONS_PER_LOOK; i++, operations++) check(operations, act(operations));
  } while (performance.now() < endMs);
  return { operations, seconds: secondsSince(startMs) };
}

async function loopAwaiting(act: Do<Promise<unknown>>, check: Check, seconds: number): Promise<Looped> {
  const startMs = performance.now();
  const endMs = startMs + seconds * 1000;
  let operations = 0;
  do {
    check(operations, await act(operations));
    operations++;
  } while (performance.now() < endMs);
  return { operations, seconds: secondsSince(startMs) };
}

/** Repeats an operation's loop until it has come to its share of what a warm-up takes, or too much time has passed. */
async function warmUp({ operations }: SequentialPlan, loopOnce: () => Looped | Promise<Looped>): Promise<void> {
  const startMs = performance.now();
  let left = WARMUP_FRAMES_MIN / operations.length;
  do left -= (await loopOnce()).operations;
  while (left > 0 && secondsSince(startMs) < WARMUP_SECONDS_MAX);
}

/** Times that were taken one by one. */
class Timed {
  readonly latency = new LatencyHistogram();
  readonly moments = new Moments();

  record(millis: number): void {
    this.latency.record(millis);
    this.moments.add(millis * 1000);
  }
}

function loopTimed(act: Do<unknown>, check: Check, seconds: number, timed: Timed): void {
  const endMs = performance.now() + seconds * 1000;
  let nowMs = 0;
  for (let i = 0; nowMs < endMs; i++) {
    const startMs = performance.now();
    const result = act(i);
    nowMs = performance.now();
    check(i, result);
    timed.record(nowMs - startMs);
  }
}

async function loopTimedAwaiting(
  act: Do<Promise<unknown>>,
  check: Check,
  seconds: number,
  timed: Timed,
): Promise<void> {
  const endMs = performance.now() + seconds * 1000;
  let nowMs = 0;
  for (let i = 0; nowMs < endMs; i++) {
    const startMs = performance.now();
    const result = await act(i);
    nowMs = performance.now();
    check(i, result);
    timed.record(nowMs - startMs);
  }
}

/** What the clock says of nothing: the mean, and the smallest difference that it knows. Unit: microseconds. */
function measureNothing(): Pick<SequentialFigures, 'clockMicros' | 'clockStepMicros'> {
  const moments = new Moments();
  let stepMs = Number.POSITIVE_INFINITY;
  for (let i = 0; i < CLOCK_SAMPLES; i++) {
    const startMs = performance.now();
    const millis = performance.now() - startMs;
    moments.add(millis * 1000);
    if (millis > 0 && millis < stepMs) stepMs = millis;
  }
  return { clockMicros: moments.mean, clockStepMicros: stepMs * 1000 };
}

type FiguresBesideTimes = Pick<
  SequentialFigures,
  'opsPerSecond' | 'generatorMicrosPerOp' | 'serverMicrosPerOp' | 'storeBytes'
>;

function tellMeasured(operation: SequentialOperation, { latency, moments }: Timed, beside: FiguresBesideTimes): void {
  const measurement: SequentialMeasurement = {
    operation,
    figures: {
      ...beside,
      meanMicros: moments.mean,
      standardDeviationMicros: moments.standardDeviation,
      minMicros: moments.min,
      maxMicros: moments.max,
      samples: moments.count,
      ...measureNothing(),
    },
    latency: latency.encode(),
    percentiles: latency.percentiles(),
  };
  tell({ event: 'measured', measurement });
}

function secondsSince(startMs: number): number {
  return (performance.now() - startMs) / 1000;
}

function cpuMicros(): number {
  const { userMicros, systemMicros } = runtime.cpuTime();
  return userMicros + systemMicros;
}

function tell(event: SequentialEvent): void {
  say(JSON.stringify(event));
}

await runScript(runtime, (argument) => measureAll(argument as SequentialPlan));
