/** A closed loop on all parts of the servers at once, each with connections of its own. */
import { type Latency, LatencyHistogram } from './latency.ts';
import { Load, type LoadOptions, type Run } from './load.ts';
import type { Pool } from './pool.ts';
import type { Part } from './shards.ts';
import type { MakePool } from './store-keys.ts';
import type { MeasuredRun } from './window.ts';
import { type Operations, only, type Values } from './workload.ts';

export class PartedLoad {
  readonly #parts: readonly Part[];
  readonly #loads: readonly Load[];

  private constructor(parts: readonly Part[], loads: readonly Load[]) {
    this.#parts = parts;
    this.#loads = loads;
  }

  /** The parts share the connections evenly. Rejects when there are fewer than parts, or one can't be opened. */
  static async open(parts: readonly Part[], options: Omit<LoadOptions, 'address'>): Promise<PartedLoad> {
    const { connections } = options;
    if (connections < parts.length)
      throw new Error(`${connections} connections are too few for ${parts.length} shards`);
    const loads: Load[] = [];
    for (const [at, { address }] of parts.entries()) {
      const share = Math.floor(connections / parts.length) + (at < connections % parts.length ? 1 : 0);
      loads.push(await Load.open({ ...options, address, connections: share }));
    }
    return new PartedLoad(parts, loads);
  }

  /** For each part, requests of those of the operations that are its own. Throws an `Error` when they fill no frame. */
  makePools(makePool: MakePool, operations: Operations, batch: number, values: Values): readonly Pool[] {
    return this.#parts.map(({ owns }) => {
      const pool = makePool(owns === undefined ? operations : only(operations, owns), batch, values);
      if (pool.length === 0) throw new Error(`no ${batch} operations are those of one shard`);
      return pool;
    });
  }

  /** Each part gets its pool, round and round, until what this returns is stopped. */
  endless(pools: readonly Pool[]): PartedRun {
    return new PartedRun(this.#loads.map((load, at) => load.endless(pools[at]!)));
  }

  close(): void {
    for (const load of this.#loads) load.close();
  }
}

/** What goes on on all parts, as if it were one run. */
export class PartedRun implements MeasuredRun {
  /** Resolves when it was stopped and all replies are there; rejects as soon as one of them is wrong or missing. */
  readonly finished: Promise<void>;
  readonly #runs: readonly Run[];

  constructor(runs: readonly Run[]) {
    this.#runs = runs;
    this.finished = Promise.all(runs.map(({ finished }) => finished)).then(() => {});
    // Whoever awaits `finished` still sees the rejection; it may come before anybody does.
    this.finished.catch(() => {});
  }

  get pool(): Pool {
    return this.#runs[0]!.pool;
  }

  get framesDone(): number {
    return this.#runs.reduce((sum, { framesDone }) => sum + framesDone, 0);
  }

  startRecording(): void {
    for (const run of this.#runs) run.startRecording();
  }

  stop(): void {
    for (const run of this.#runs) run.stop();
  }

  /** Of the frames of all parts: the encoded histogram and its percentiles. */
  recorded(): { readonly latency: string; readonly percentiles: Latency } {
    const [first, ...others] = this.#runs.map(({ latency }) => latency);
    const all = others.length === 0 ? first! : LatencyHistogram.sum([first!, ...others]);
    return { latency: all.encode(), percentiles: all.percentiles() };
  }
}
