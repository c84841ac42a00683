/**
 * The load generator: a program of its own, so that its work is not mistaken for the server's. Loads the keys through the
 * protocol, then measures one batch size after the other, each when it is told to. Its argument is a `GeneratorPlan`, its output `GeneratorEvent`s.
 *
 * Non-goal: fixed rates. It is a closed loop, so its latencies are those at the throughput it reaches. `connections-process.ts`
 * is the open one.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { currentRuntime } from '../../runtime/choose.ts';
import { connect } from '../../runtime/client.ts';
import { parseAddress } from '../../transports/address.ts';
import type { Transport } from '../../transports/transport.ts';
import { EchoControl, EchoPool } from '../servers/echo-protocol.ts';
import { nextOrder, runScript, say } from '../servers/script.ts';
import { clientTransport } from './client-transport.ts';
import { FramePool, poolOperations } from './frames.ts';
import { Load, orFailure, type Run } from './load.ts';
import type { Figures, GeneratorEvent, GeneratorPlan, ServerFigures } from './plan.ts';
import type { Pool } from './pool.ts';
import { infoFigures } from './server-figures.ts';
import { storeKeys } from './store-keys.ts';
import { type Operations, Values, workloadHash, YCSB_B_READ_SHARE, ycsbB } from './workload.ts';

const runtime = currentRuntime();

/** What asks the server for its figures. */
type AskFigures = () => Promise<ServerFigures>;

async function generate(plan: GeneratorPlan): Promise<void> {
  const transport = clientTransport(parseAddress(plan.address), plan.transport);
  const operations = ycsbB(
    poolOperations(Math.max(...plan.batches), plan.valueBytes, 1 - YCSB_B_READ_SHARE),
    plan.keys,
    // Each generator asks for keys of its own choice.
    plan.seed + plan.index,
  );
  await (plan.control ? driveControl : driveServer)(plan, transport, operations);
}

async function driveServer(plan: GeneratorPlan, transport: Transport, operations: Operations): Promise<void> {
  const { address, connections, depth, keys } = plan;
  const values = new Values(plan.valueBytes);
  const client = await connect({ address, transport: transport.name });
  const load = await Load.open({ transport, address: parseAddress(address), connections, depth });
  const startMs = performance.now();
  if (plan.index === 0) await storeKeys(load, client, keys, values);
  tell({ event: 'loaded', seconds: (performance.now() - startMs) / 1000, workload: workloadHash(operations) });
  for (const batch of plan.batches) {
    await measure(load, new FramePool(operations, batch, values), plan, () => infoFigures(client));
  }
  load.close();
  await client.close();
}

async function driveControl(plan: GeneratorPlan, transport: Transport, operations: Operations): Promise<void> {
  const { connections, depth } = plan;
  const address = parseAddress(plan.address);
  const values = new Values(plan.valueBytes);
  const control = await EchoControl.open(transport, address);
  const load = await Load.open({ transport, address, connections, depth });
  tell({ event: 'loaded', seconds: 0, workload: workloadHash(operations) });
  for (const batch of plan.batches) {
    await measure(load, new EchoPool(operations, batch, values), plan, () => control.figures());
  }
  load.close();
  control.close();
}

/**
 * The clock runs from one answer with the server's figures to another, both asked for under load: server, generator and
 * operations are read at the same moments. The figures are what `getrusage` says of the server process, which counts
 * microseconds of all its threads; /proc/PID/stat counts hundredths of seconds, and schedstat knows neither all threads nor
 * user from system time.
 */
async function measure(load: Load, pool: Pool, plan: GeneratorPlan, askFigures: AskFigures): Promise<void> {
  const { batch } = pool;
  tell({ event: 'ready' });
  await nextOrder();
  const run = load.endless(pool);
  await orFailure(run, sleep(plan.warmupSeconds * 1000));
  const before = await orFailure(run, snapshot(run, askFigures));
  run.latency.reset();
  await orFailure(run, sleep(plan.seconds * 1000));
  const after = await orFailure(run, snapshot(run, askFigures));
  const latency = run.latency.encode();
  const percentiles = run.latency.percentiles();
  run.stop();
  await run.finished;

  const micros = after.atMicros - before.atMicros;
  const operations = (after.framesDone - before.framesDone) * batch;
  if (operations === 0) throw new Error(`no reply to a frame of ${batch} operations within ${plan.seconds} s`);
  const opsPerSecond = operations / (micros / 1e6);
  const serverUserMicros = after.cpuUserMicros - before.cpuUserMicros;
  const serverSystemMicros = after.cpuSystemMicros - before.cpuSystemMicros;
  const serverMicros = serverUserMicros + serverSystemMicros;
  const generatorMicros = after.generatorMicros - before.generatorMicros;
  const figures: Figures = {
    seconds: micros / 1e6,
    operations,
    opsPerSecond,
    // Each operation brings one value: a GET in its reply, a SET in its request.
    valueBytesPerSecond: opsPerSecond * plan.valueBytes,
    serverUserMicrosPerOp: serverUserMicros / operations,
    serverSystemMicrosPerOp: serverSystemMicros / operations,
    serverMicrosPerOp: serverMicros / operations,
    generatorMicrosPerOp: generatorMicros / operations,
    serverCores: serverMicros / micros,
    generatorCores: generatorMicros / micros,
    serverPeakBytes: after.peakResidentBytes,
  };
  tell({ event: 'measured', measurement: { batch, figures, latency, percentiles } });
}

async function snapshot(run: Run, askFigures: AskFigures) {
  const figures = await askFigures();
  const { userMicros, systemMicros } = runtime.cpuTime();
  return {
    ...figures,
    atMicros: performance.now() * 1000,
    framesDone: run.framesDone,
    generatorMicros: userMicros + systemMicros,
  };
}

function tell(event: GeneratorEvent): void {
  say(JSON.stringify(event));
}

await runScript(runtime, (argument) => generate(argument as GeneratorPlan));
