/**
 * The load generator of the suite `rate`: stores the keys, then climbs through the rates with one batch size after the other.
 * Its argument is a `RatePlan`, its output `RateEvent`s.
 */
import { clearTimeout, setTimeout } from 'node:timers';
import { currentRuntime } from '../../../runtime/choose.ts';
import { poolOperations } from '../../load/frames.ts';
import { Load } from '../../load/load.ts';
import type { PacedRun } from '../../load/paced-run.ts';
import type { Pool } from '../../load/pool.ts';
import { openServers, type Servers } from '../../load/servers.ts';
import { warmUp } from '../../load/warm-up.ts';
import { measureWindow } from '../../load/window.ts';
import { Values, workloadHash, YCSB_B_READ_SHARE, ycsbB } from '../../load/workload.ts';
import { runScript, say } from '../../servers/script.ts';
import { climb, climbThrough, type Verdict } from './rate-ladder.ts';
import { CLOSED_DEPTH, isSaturated, type RateEvent, type RatePlan } from './rate-plan.ts';

/** What is still unanswered after the time of a measurement, at least this, is given up. Unit: seconds. */
const SETTLE_SECONDS_MIN = 1;

async function generate(plan: RatePlan): Promise<void> {
  const { address, transport, connections, keys, valueBytes } = plan;
  const servers = await openServers({ addresses: [address], language: 'ringkv', transport });
  const values = new Values(valueBytes);
  const count = poolOperations(Math.max(...plan.batches), valueBytes, 1 - YCSB_B_READ_SHARE);
  const operations = ycsbB(count, keys, plan.seed);
  await servers.storeKeys(keys, values, { connections, depth: CLOSED_DEPTH });
  tell({ event: 'loaded', workload: workloadHash(operations) });
  for (const batch of plan.batches) {
    const pool = servers.makePool(operations, batch, values);
    const capacity = await measureClosed(servers, pool, plan);
    const measure = (rate: number): Promise<Verdict> => measureRate(servers, pool, plan, rate);
    const { rates } = plan;
    const highest = rates === undefined ? await climb(capacity, measure) : await climbThrough(rates, measure);
    tell({ event: 'highest', batch, opsPerSecond: highest ?? 0 });
  }
  await servers.close();
}

/** What a closed loop reaches. Unit: operations per second. */
async function measureClosed({ transport, address, figures: ask }: Servers, pool: Pool, plan: RatePlan) {
  const load = await Load.open({ transport, address, connections: plan.connections, depth: CLOSED_DEPTH });
  await warmUp(load, pool);
  const run = load.endless(pool);
  const figures = await measureWindow(run, plan, ask);
  const recorded = { latency: run.latency.encode(), percentiles: run.latency.percentiles() };
  run.stop();
  await run.finished;
  load.close();
  tell({ event: 'measured', batch: pool.batch, rate: null, figures, ...recorded });
  return figures.opsPerSecond;
}

async function measureRate(servers: Servers, pool: Pool, plan: RatePlan, rate: number): Promise<Verdict> {
  const { transport, address } = servers;
  const { connections, depth } = plan;
  const load = await Load.open({ transport, address, connections, depth });
  const run = load.paced(pool, (connections * pool.batch * 1000) / rate);
  const { generatorMicrosPerOp, generatorCores, ...figures } = await measureWindow(run, plan, servers.figures);
  await settle(run, Math.max(plan.seconds, SETTLE_SECONDS_MIN));
  load.close();
  const percentiles = run.latency.percentiles();
  const lateP99Micros = run.lateness.percentiles().p99Micros;
  tell({
    event: 'measured',
    batch: pool.batch,
    rate,
    figures: { ...figures, lateP99Micros },
    latency: run.latency.encode(),
    percentiles,
  });
  const saturated = isSaturated({ ...figures, rate, batch: pool.batch, connections });
  return { saturated, met: !saturated && percentiles.p99Micros < plan.limitMicros };
}

/** Ends the run: what was due and is still unanswered counts with all the time that it takes, or has taken until it is given up. */
async function settle(run: PacedRun, seconds: number): Promise<void> {
  run.stop();
  const givingUp = setTimeout(() => run.abandon(), seconds * 1000);
  await run.finished;
  clearTimeout(givingUp);
}

function tell(event: RateEvent): void {
  say(JSON.stringify(event));
}

await runScript(currentRuntime(), (argument) => generate(argument as RatePlan));
