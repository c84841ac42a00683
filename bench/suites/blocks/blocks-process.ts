/**
 * The client of the suite `blocks`: a program of its own. For each length it stores the keys, then sends and asks for blocks in
 * a closed loop, and tells what both sides needed for it.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { currentRuntime } from '../../../runtime/choose.ts';
import { connect } from '../../../runtime/client.ts';
import { parseAddress } from '../../../transports/address.ts';
import { createTransport } from '../../../transports/transports.ts';
import { FramePool } from '../../load/frames.ts';
import { Load, orFailure, type Run } from '../../load/load.ts';
import type { ServerFigures } from '../../load/plan.ts';
import { infoFigures } from '../../load/server-figures.ts';
import { storeKeys } from '../../load/store-keys.ts';
import { warmUp } from '../../load/warm-up.ts';
import { loading, type Operations, READ, Values } from '../../load/workload.ts';
import { EchoControl, EchoPool } from '../../servers/echo-protocol.ts';
import { runScript, say } from '../../servers/script.ts';
import { measureCopying } from './memory-copy.ts';
import type { BlockMeasurement, BlockOperation, BlocksPlan } from './plan.ts';

const runtime = currentRuntime();

/** A server or its control, as this program needs them. */
interface Subject {
  /** Asks it for its figures. */
  readonly figures: () => Promise<ServerFigures>;
  /** Stores the keys, with values of this length. */
  readonly store: (load: Load, values: Values) => Promise<void>;
  readonly close: () => unknown;
}

async function measureBlocks(plan: BlocksPlan): Promise<void> {
  const transport = createTransport(plan.transport);
  const address = parseAddress(plan.address);
  const subject = await (plan.control ? openControl : openServer)(plan);
  const load = await Load.open({ transport, address, connections: plan.connections, depth: plan.depth });
  const Pool = plan.control ? EchoPool : FramePool;
  for (const [at, size] of plan.sizes.entries()) {
    const values = new Values(size);
    await subject.store(load, values);
    const copyBytesPerSecond = measureCopying(size);
    for (const operation of plan.operations) {
      const pool = new Pool(operationsOn(operation, plan.keys), 1, values);
      if (at === 0) await warmUp(load, pool);
      const measured = await measure(load, pool, plan, subject.figures);
      const measurement: BlockMeasurement = {
        size,
        operation,
        figures: { ...measured.figures, copyBytesPerSecond },
        latency: measured.latency,
      };
      say(JSON.stringify(measurement));
    }
  }
  load.close();
  await subject.close();
}

async function openServer({ address, transport, keys }: BlocksPlan): Promise<Subject> {
  const client = await connect({ address, transport });
  return {
    figures: () => infoFigures(client),
    store: (load, values) => storeKeys(load, client, keys, values),
    close: () => client.close(),
  };
}

async function openControl({ address, transport }: BlocksPlan): Promise<Subject> {
  const control = await EchoControl.open(createTransport(transport), parseAddress(address));
  return { figures: () => control.figures(), store: async () => {}, close: () => control.close() };
}

/** Every key once, in order. */
function operationsOn(operation: BlockOperation, keys: number): Operations {
  const sets = loading(0, keys);
  return operation === 'set' ? sets : { ...sets, versions: new Uint8Array(keys).fill(READ) };
}

/** As the load generator measures: from one answer with the server's figures to another, both asked for under load. */
async function measure(load: Load, pool: FramePool, plan: BlocksPlan, askFigures: Subject['figures']) {
  const run = load.endless(pool);
  await orFailure(run, sleep(plan.warmupSeconds * 1000));
  const before = await orFailure(run, snapshot(run, askFigures));
  run.latency.reset();
  await orFailure(run, sleep(plan.seconds * 1000));
  const after = await orFailure(run, snapshot(run, askFigures));
  const { meanMicros, deviationMicros } = run.latency.moments();
  const latency = run.latency.encode();
  run.stop();
  await run.finished;

  const micros = after.atMicros - before.atMicros;
  const operations = after.framesDone - before.framesDone;
  if (operations === 0) throw new Error(`no reply to a block of ${pool.values.length} bytes within ${plan.seconds} s`);
  const opsPerSecond = operations / (micros / 1e6);
  const serverUser = after.cpuUserMicros - before.cpuUserMicros;
  const serverSystem = after.cpuSystemMicros - before.cpuSystemMicros;
  const clientUser = after.client.userMicros - before.client.userMicros;
  const clientSystem = after.client.systemMicros - before.client.systemMicros;
  return {
    latency,
    figures: {
      seconds: micros / 1e6,
      operations,
      opsPerSecond,
      valueBytesPerSecond: opsPerSecond * pool.values.length,
      sendMeanMicros: meanMicros,
      sendDeviationMicros: deviationMicros,
      serverUserMicrosPerOp: serverUser / operations,
      serverSystemMicrosPerOp: serverSystem / operations,
      serverMicrosPerOp: (serverUser + serverSystem) / operations,
      clientUserMicrosPerOp: clientUser / operations,
      clientSystemMicrosPerOp: clientSystem / operations,
      generatorMicrosPerOp: (clientUser + clientSystem) / operations,
      serverCores: (serverUser + serverSystem) / micros,
      generatorCores: (clientUser + clientSystem) / micros,
    },
  };
}

async function snapshot(run: Run, askFigures: Subject['figures']) {
  const figures = await askFigures();
  const client = runtime.cpuTime();
  return { ...figures, client, atMicros: performance.now() * 1000, framesDone: run.framesDone };
}

await runScript(runtime, (argument) => measureBlocks(argument as BlocksPlan));
