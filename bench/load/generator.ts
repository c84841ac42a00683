/**
 * The load generator: a program of its own, so that its work is not mistaken for the server's. Loads the keys through the
 * protocol, then measures one batch size after the other, each when it is told to. Its argument is a `GeneratorPlan`, its
 * output `GeneratorEvent`s.
 *
 * Non-goal: fixed rates. It is a closed loop, so its latencies are those at the throughput it reaches. `rate-process.ts` and
 * `connections-process.ts` are the open ones.
 */
import { currentRuntime } from '../../runtime/choose.ts';
import { nextOrder, runScript, say } from '../servers/script.ts';
import { poolOperations } from './frames.ts';
import { Load } from './load.ts';
import type { GeneratorEvent, GeneratorPlan } from './plan.ts';
import type { Pool } from './pool.ts';
import { openServers } from './servers.ts';
import { measureWindow } from './window.ts';
import { Values, workloadHash, YCSB_B_READ_SHARE, ycsbB } from './workload.ts';

async function generate(plan: GeneratorPlan): Promise<void> {
  const { connections, depth } = plan;
  const servers = await openServers(plan);
  const values = new Values(plan.valueBytes);
  const operations = ycsbB(
    poolOperations(Math.max(...plan.batches), plan.valueBytes, 1 - YCSB_B_READ_SHARE),
    plan.keys,
    // Each generator asks for keys of its own choice.
    plan.seed + plan.index,
  );
  const startMs = performance.now();
  if (plan.index === 0) await servers.storeKeys(plan.keys, values, { connections, depth });
  const { transport, address } = servers;
  const load = await Load.open({ transport, address, connections, depth });
  tell({ event: 'loaded', seconds: (performance.now() - startMs) / 1000, workload: workloadHash(operations) });
  let pool: Pool | undefined;
  for (const batch of plan.batches) {
    // The same size again gets the same pool: to make one takes a while.
    if (pool?.batch !== batch) pool = servers.makePool(operations, batch, values);
    tell({ event: 'ready' });
    await nextOrder();
    const run = load.endless(pool);
    const figures = await measureWindow(run, plan, servers.figures);
    const latency = run.latency.encode();
    const percentiles = run.latency.percentiles();
    run.stop();
    await run.finished;
    tell({ event: 'measured', measurement: { batch, figures, latency, percentiles } });
  }
  load.close();
  await servers.close();
}

function tell(event: GeneratorEvent): void {
  say(JSON.stringify(event));
}

await runScript(currentRuntime(), (argument) => generate(argument as GeneratorPlan));
