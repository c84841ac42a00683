/**
 * The load generator of the suite `beside`: clients that behave, at a fixed rate. Its argument is a `BesidePlan`; that says how it
 * is talked to.
 */
import process from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import { currentRuntime } from '../../../runtime/choose.ts';
import { type Client, connect } from '../../../runtime/client.ts';
import { parseAddress } from '../../../transports/address.ts';
import { clientTransport } from '../../load/client-transport.ts';
import { FramePool, poolOperations } from '../../load/frames.ts';
import { Load } from '../../load/load.ts';
import type { PacedRun } from '../../load/paced-run.ts';
import type { ServerFigures } from '../../load/plan.ts';
import { askFor, infoFigures } from '../../load/server-figures.ts';
import { storeKeys } from '../../load/store-keys.ts';
import { warmUp } from '../../load/warm-up.ts';
import { measureWindow } from '../../load/window.ts';
import { mixed, Values } from '../../load/workload.ts';
import { nextOrder, runScript, say } from '../../servers/script.ts';
import { type BesideAnswer, type BesideFigures, type BesideOrder, type BesidePlan, LOADED } from './beside-plan.ts';

/** YCSB's workload A: half of it writes, which a snapshot is of use for. */
const MIX = { readShare: 0.5, distribution: 'zipfian' } as const;

const VALUE_BYTES = 100;

/** Frames in flight on one connection: those that are due while the server is late. */
const IN_FLIGHT_MAX = 1000;

/** How often the server is asked whether a snapshot is being made. Unit: milliseconds. */
const WATCH_EVERY_MS = 25;

/** How long those who have left may still count as connected, and a snapshot be made, and keep the server busy. Unit: milliseconds. */
const LEAVE_TIMEOUT_MS = 30_000;

async function generate(plan: BesidePlan): Promise<void> {
  const { connections, keys, batch, seed } = plan;
  const address = parseAddress(plan.address);
  const transport = clientTransport(address, plan.transport);
  const values = new Values(VALUE_BYTES);
  const client = await connect({ address: plan.address, transport: transport.name, timeoutMs: LEAVE_TIMEOUT_MS });
  const loader = await Load.open({ transport, address, connections: 1, depth: 8 });
  await storeKeys(loader, client, keys, values);
  const operations = mixed(poolOperations(batch, VALUE_BYTES, 1 - MIX.readShare), keys, seed, MIX);
  const pool = new FramePool(operations, batch, values);
  await warmUp(loader, pool);
  loader.close();
  const load = await Load.open({ transport, address, connections, depth: IN_FLIGHT_MAX });
  say(LOADED);
  for (;;) {
    const { alone, snapshotsOf } = JSON.parse(await nextOrder()) as BesideOrder;
    // The client's own is one more.
    if (alone) await untilAlone(client, connections + 1);
    const run = load.paced(pool, (connections * 1000) / plan.rate);
    say(JSON.stringify(await measure(run, new Watch(client, snapshotsOf), plan)));
  }
}

/** Waits until the others have left, and the last snapshot that was asked for is made. */
async function untilAlone(client: Client, own: number): Promise<void> {
  const isAlone = async (): Promise<boolean> => {
    const { connections, snapshotIsRunning } = await askFor(client, ['connections', 'snapshotIsRunning']);
    return connections === own && snapshotIsRunning === 0;
  };
  for (const startMs = performance.now(); !(await isAlone()); await sleep(WATCH_EVERY_MS)) {
    if (performance.now() - startMs > LEAVE_TIMEOUT_MS)
      throw new Error('the server keeps connections that are gone, or a snapshot does not end');
  }
}

async function measure(run: PacedRun, watch: Watch, plan: BesidePlan): Promise<BesideAnswer> {
  const window = { ...plan, valueBytes: VALUE_BYTES };
  const { opsPerSecond, serverMicrosPerOp, serverCores } = await measureWindow(run, window, watch.ask);
  run.stop();
  // What was due and is still unanswered counts: a server that stalls at the end must not come off well.
  await run.finished;
  const lateP99Micros = run.lateness.percentiles().p99Micros;
  return {
    figures: { opsPerSecond, lateP99Micros, serverMicrosPerOp, serverCores, ...(await watch.figures()) },
    latency: run.latency.encode(),
    percentiles: run.latency.percentiles(),
  };
}

/** What the server tells of its turns between two questions, and the asking for snapshots from the first to the second. */
class Watch {
  readonly #client: Client;
  readonly #snapshotsOf: number | undefined;
  #first: TurnFigures | undefined;
  #last: TurnFigures | undefined;
  #watching: Promise<void> = Promise.resolve();
  #looks = 0;
  #looksAtSnapshot = 0;

  constructor(client: Client, snapshotsOf: number | undefined) {
    this.#client = client;
    this.#snapshotsOf = snapshotsOf;
  }

  /** To be called at the begin and at the end of what is measured. */
  readonly ask = async (): Promise<ServerFigures> => {
    const turns = await this.#turns();
    if (this.#first === undefined) {
      this.#first = turns;
      this.#watching = this.#watch();
    } else this.#last = turns;
    return infoFigures(this.#client);
  };

  async figures(): Promise<Pick<BesideFigures, 'turns' | 'slowTurnShare' | 'snapshotShare'>> {
    await this.#watching;
    const turns = this.#last!.turns - this.#first!.turns;
    const slowTurns = this.#last!.slowTurns - this.#first!.slowTurns;
    return { turns, slowTurnShare: slowTurns / turns, snapshotShare: this.#looksAtSnapshot / this.#looks };
  }

  async #watch(): Promise<void> {
    do {
      this.#looks++;
      if ((await this.#turns()).snapshotIsRunning > 0) this.#looksAtSnapshot++;
      else if (this.#snapshotsOf !== undefined) process.kill(this.#snapshotsOf, 'SIGUSR2');
      await sleep(WATCH_EVERY_MS);
    } while (this.#last === undefined);
  }

  #turns(): Promise<TurnFigures> {
    return askFor(this.#client, ['turns', 'slowTurns', 'snapshotIsRunning']);
  }
}

interface TurnFigures {
  readonly turns: number;
  readonly slowTurns: number;
  readonly snapshotIsRunning: number;
}

await runScript(currentRuntime(), (argument) => generate(argument as BesidePlan));
