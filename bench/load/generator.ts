/**
 * The load generator: a program of its own, so that its work is not mistaken for the server's. Loads the keys through the
 * protocol, then measures one batch size after the other, each when it is told to. Its argument is a `GeneratorPlan`, its
 * output `GeneratorEvent`s.
 *
 * Non-goal: fixed rates. It is a closed loop, so its latencies are those at the throughput it reaches. `rate-process.ts`,
 * `connections-process.ts` and `beside-process.ts` have the open ones.
 */
import { currentRuntime } from '../../runtime/choose.ts';
import { nextOrder, runScript, say } from '../servers/script.ts';
import { poolOperations } from './frames.ts';
import { loopbackBytes } from './loopback.ts';
import { PartedLoad } from './parted-load.ts';
import type { GeneratorEvent, GeneratorPlan } from './plan.ts';
import type { Pool } from './pool.ts';
import { openServers } from './servers.ts';
import { warmUp } from './warm-up.ts';
import { measureWindow } from './window.ts';
import { mixed, Values, workloadHash, YCSB_B } from './workload.ts';

async function generate(plan: GeneratorPlan): Promise<void> {
  const { connections, depth } = plan;
  const servers = await openServers(plan);
  const values = new Values(plan.valueBytes);
  const { mix = YCSB_B } = plan;
  const count = poolOperations(Math.max(...plan.batches), plan.valueBytes, 1 - mix.readShare);
  // Each generator asks for keys of its own choice.
  const operations = mixed(count, plan.keys, plan.seed + plan.index, mix);
  const startMs = performance.now();
  if (plan.index === 0) await servers.storeKeys(plan.keys, values, { connections, depth });
  const load = await PartedLoad.open(servers.parts, { transport: servers.transport, connections, depth });
  tell({ event: 'loaded', seconds: (performance.now() - startMs) / 1000, workload: workloadHash(operations) });
  const makePools = (batch: number): readonly Pool[] => load.makePools(servers.makePool, operations, batch, values);
  let pools = makePools(plan.batches[0]!);
  await nextOrder();
  await warmUp(load, pools, servers.young);
  tell({ event: 'warm' });
  for (const batch of plan.batches) {
    // The same size again gets the same pool: to make one takes a while.
    if (pools[0]!.batch !== batch) pools = makePools(batch);
    tell({ event: 'ready' });
    await nextOrder();
    const run = load.endless(pools);
    // What the device carries is read at the same two moments as the figures.
    const carried: number[] = [];
    const figures = await measureWindow(run, plan, async () => {
      const told = await servers.figures();
      if (plan.countLoopback === true) carried.push(loopbackBytes());
      return told;
    });
    const recorded = run.recorded();
    run.stop();
    await run.finished;
    const [before, after] = carried;
    const loopback =
      before === undefined || after === undefined ? {} : { loopbackBytesPerSecond: (after - before) / figures.seconds };
    tell({ event: 'measured', measurement: { batch, figures, ...recorded, ...loopback } });
  }
  load.close();
  await servers.close();
}

function tell(event: GeneratorEvent): void {
  say(JSON.stringify(event));
}

await runScript(currentRuntime(), (argument) => generate(argument as GeneratorPlan));
