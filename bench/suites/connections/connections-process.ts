/**
 * Many connections to one server, in a process of their own: first some that are idle, then all of them with an operation each
 * second. Its argument is a `ConnectionsPlan`, its answer one line, the `ConnectionsAnswer`.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { currentRuntime } from '../../../runtime/choose.ts';
import { type Client, connect } from '../../../runtime/client.ts';
import { parseAddress } from '../../../transports/address.ts';
import { clientTransport } from '../../load/client-transport.ts';
import { FramePool } from '../../load/frames.ts';
import { Load } from '../../load/load.ts';
import type { PacedRun } from '../../load/paced-run.ts';
import { REPLY_TIMEOUT_MS } from '../../load/peer.ts';
import { WARMUP_SHARE } from '../../load/plan.ts';
import { infoFigures } from '../../load/server-figures.ts';
import { storeKeys } from '../../load/store-keys.ts';
import { warmUp } from '../../load/warm-up.ts';
import { measureWindow } from '../../load/window.ts';
import { Values, ycsbB } from '../../load/workload.ts';
import { runScript, say } from '../../servers/script.ts';
import { type ConnectionsAnswer, type ConnectionsPlan, OPERATION_EVERY_MS } from './connections-figures.ts';

/** What is asked for matters little here: a set of keys that fits the processor's caches. */
const KEYS = 10_000;
const VALUE_BYTES = 100;
const OPERATIONS = 2 ** 16;

/** Frames in flight on one connection: those that are due until a reply counts as missing. */
const IN_FLIGHT_MAX = REPLY_TIMEOUT_MS / OPERATION_EVERY_MS;

/** How long the server may take until it counts all connections. Unit: milliseconds. */
const ACCEPT_TIMEOUT_MS = 30_000;

const runtime = currentRuntime();

async function measure(plan: ConnectionsPlan): Promise<void> {
  const { idle, idleSeconds, connections } = plan;
  const address = parseAddress(plan.address);
  const transport = clientTransport(address, plan.transport);
  const values = new Values(VALUE_BYTES);
  const client = await connect({ address: plan.address, transport: transport.name });
  const loader = await Load.open({ transport, address, connections: 1, depth: 8 });
  await storeKeys(loader, client, KEYS, values);
  const pool = new FramePool(ycsbB(OPERATIONS, KEYS, plan.seed), 1, values);
  await warmUp(loader, pool);
  loader.close();
  const { residentBytes } = await infoFigures(client);

  const load = await Load.open({ transport, address, connections: idle, depth: IN_FLIGHT_MAX });
  await accepted(client, idle);
  await sleep(idleSeconds * WARMUP_SHARE * 1000);
  const idleServerCores = await serverCores(client, idleSeconds);

  await load.grow(connections);
  const held = await accepted(client, connections);
  const run = load.paced(pool, OPERATION_EVERY_MS);
  const { figures, ...latency } = await measureRun(run, client, plan);
  const answer: ConnectionsAnswer = {
    figures: {
      idleServerCores,
      bytesPerConnection: (held.residentBytes - residentBytes) / connections,
      ...figures,
    },
    ...latency,
  };
  say(JSON.stringify(answer));
}

/** Waits until the server has so many connections, besides the client's: the kernel opens them before it accepts them. */
async function accepted(client: Client, connections: number) {
  const startMs = performance.now();
  for (;;) {
    const figures = await infoFigures(client);
    const own = figures.connections - 1;
    // Connections that were closed before may still be among them for a moment.
    if (own === connections) return figures;
    if (performance.now() - startMs > ACCEPT_TIMEOUT_MS) {
      throw new Error(`the server has ${own} connections after ${connections} were opened`);
    }
    await sleep(10);
  }
}

/** CPU time of the server per time that passes. The two INFO that this takes are all there is to do. */
async function serverCores(client: Client, seconds: number): Promise<number> {
  const before = await serverMicros(client);
  const beforeMs = performance.now();
  await sleep(seconds * 1000);
  const after = await serverMicros(client);
  return (after - before) / ((performance.now() - beforeMs) * 1000);
}

async function serverMicros(client: Client): Promise<number> {
  const { cpuUserMicros, cpuSystemMicros } = await infoFigures(client);
  return cpuUserMicros + cpuSystemMicros;
}

async function measureRun(run: PacedRun, client: Client, plan: ConnectionsPlan) {
  const window = { ...plan, valueBytes: VALUE_BYTES };
  const { operations, opsPerSecond, serverMicrosPerOp, serverCores } = await measureWindow(run, window, () =>
    infoFigures(client),
  );
  run.stop();
  // What was due and is still unanswered counts: a server that stalls at the end must not come off well.
  await run.finished;
  return {
    figures: {
      operations,
      opsPerSecond,
      lateP99Micros: run.lateness.percentiles().p99Micros,
      serverMicrosPerOp,
      serverCores,
    },
    latency: run.latency.encode(),
    percentiles: run.latency.percentiles(),
  };
}

await runScript(runtime, (argument) => measure(argument as ConnectionsPlan));
