/**
 * The suite `writes`: what a write costs by the size of the store. Every operation is a SET of a key that is there, drawn from
 * all keys alike. A line through the logarithms of size and cost tells by which factor a write gets dearer with each tenfold of
 * the keys.
 *
 * Non-goals: writing to every key of a large store (frames are made beforehand and go round and round; the tables say of how many
 * keys they are), new keys (the suite `engine` grows a store), one write after the other (`direct` and `tcp` have it).
 */
import type { Context } from '../../../runtime/command/cli.ts';
import { usageError } from '../../../runtime/command/errors.ts';
import type { RuntimeName } from '../../../runtime/runtime.ts';
import type { TransportName } from '../../../transports/transport.ts';
import { type ChosenClient, chooseClient } from '../../load/choose-generator.ts';
import { poolOperations } from '../../load/frames.ts';
import { WARMUP_SHARE } from '../../load/plan.ts';
import { whyTooLarge } from '../../load/store-sizes.ts';
import type { Mix } from '../../load/workload.ts';
import { explainCells, renderCells } from '../../results/cells-table.ts';
import { type Curve, curveOf, curvesOf, formatGrowth } from '../../results/growth.ts';
import { loadColumns } from '../../results/load-table.ts';
import type { Dimensions, Measured, Report } from '../../results/report.ts';
import { runSuite, type Step } from '../../results/run.ts';
import { formatNumber } from '../../results/table.ts';
import { type Cell, cellLabel, measureCell } from '../../servers/cell.ts';
import { pinned, unpinned } from '../../servers/pinning.ts';
import { selectCells, selectOwnCells, survey, versionsOf } from '../../servers/survey.ts';

export interface WritesFlags {
  readonly [flag: string]: unknown;
  readonly runtimes: readonly RuntimeName[];
  /** Undefined for what `ringkv serve` takes by itself. */
  readonly transports: readonly TransportName[] | undefined;
  readonly sizes: readonly number[];
  readonly batches: readonly number[];
  readonly connections: number;
  readonly valueSize: number;
  readonly rounds: number;
  readonly seconds: number;
  readonly seed: number;
  readonly generator: RuntimeName | undefined;
  readonly clientTransport: TransportName | undefined;
  readonly pin: boolean;
}

/** What this suite's JSON has besides. */
export interface WritesOwn {
  /** For each server and batch size, how server µs/op and operations per second change with each tenfold of the keys. */
  readonly degradation: readonly Curve[];
}

export interface WritesOptions {
  readonly flags: WritesFlags;
  /** The file for the JSON; undefined for none. */
  readonly json: string | undefined;
  readonly context: Context;
  readonly signal: AbortSignal;
}

interface WritesSubject extends Cell {
  readonly client: ChosenClient;
  readonly keys: number;
}

const WRITES: Mix = { readShare: 0, distribution: 'uniform' };

/** What is told of by tenfold of the keys. */
const DEGRADING = ['serverMicrosPerOp', 'opsPerSecond'] as const;

/** Resolves to the exit code. Rejects with a `CommandError` when a server or a generator fails, or a reply is wrong. */
export async function writes({ flags, json, context, signal }: WritesOptions): Promise<number> {
  const { batches, connections, valueSize, seconds, seed } = flags;
  const empty = flags.sizes.find((keys) => keys === 0);
  if (empty !== undefined) throw usageError('--sizes 0: expected at least 1, for what is written has to be there');
  const all = await survey(context, signal);
  const chosen =
    flags.transports === undefined
      ? selectOwnCells(all, flags.runtimes)
      : selectCells(all, flags.runtimes, flags.transports);
  const pinning = flags.pin ? pinned() : unpinned;
  const sizes = flags.sizes.map((keys) => ({ keys, reason: whyTooLarge('swiss', keys, valueSize) }));
  const tooLarge = sizes.flatMap(({ keys, reason }) =>
    reason === undefined ? [] : [{ label: `${keys} keys`, reason }],
  );
  const subjects = sizes
    .filter(({ reason }) => reason === undefined)
    .flatMap(({ keys }) =>
      chosen.cells.map(
        (cell): WritesSubject => ({ ...cell, client: chooseClient(all, cell.transport, flags, 'busy'), keys }),
      ),
    );
  if (subjects.length === 0)
    throw usageError(`--sizes ${flags.sizes}: ${tooLarge.map(({ reason }) => reason).join('; ')}`);
  const measure = async (subject: WritesSubject, { onPhase, onPhaseEnd }: Step): Promise<Measured[]> => {
    const { client, keys } = subject;
    const plan = {
      transport: client.transport,
      connections,
      depth: 1,
      keys,
      valueBytes: valueSize,
      mix: WRITES,
      batches,
      warmupSeconds: seconds * WARMUP_SHARE,
      seconds,
      seed,
    };
    const options = { entry: context.entry, generator: client.runtime, pinning, plan, signal, onPhase, onPhaseEnd };
    const { measurements } = await measureCell({ ...subject, control: false }, options);
    return measurements.map(({ batch, ...figures }) => ({
      dimensions: dimensionsOf(subject, batch, flags),
      ...figures,
    }));
  };
  return runSuite<WritesSubject, WritesOwn>({
    name: 'writes',
    flags,
    versions: versionsOf(all, [
      ...chosen.cells.map(({ runtime }) => runtime),
      ...subjects.map(({ client }) => client.runtime),
    ]),
    skipped: [...chosen.skipped, ...tooLarge],
    subjects,
    label: ({ transport, runtime, keys }) => `${cellLabel(transport, runtime.name)}, ${keys} keys`,
    phases: 1 + batches.length,
    measure,
    order: batches.flatMap((batch) =>
      chosen.cells.flatMap(({ runtime, transport }) =>
        subjects
          .filter((subject) => subject.runtime === runtime && subject.transport === transport)
          .map((subject) => dimensionsOf(subject, batch, flags)),
      ),
    ),
    own: (rounds) => ({ degradation: DEGRADING.flatMap((figure) => curvesOf(rounds, 'keys', figure)) }),
    format: (report) => formatWrites(report, flags),
    json,
    signal,
  });
}

function dimensionsOf(
  { runtime, transport, client, keys }: WritesSubject,
  batch: number,
  { connections, valueSize }: WritesFlags,
): Dimensions {
  return {
    workload: 'set',
    runtime: runtime.name,
    transport,
    clientRuntime: client.runtime.name,
    clientTransport: client.transport,
    batch,
    connections,
    keys,
    valueSize,
  };
}

// For people

function formatWrites({ cells, degradation }: Report & WritesOwn, flags: WritesFlags): string {
  const { batches, connections, valueSize, rounds, seconds } = flags;
  const tables = batches.map((batch) => {
    const shown = cells.filter(({ dimensions }) => dimensions.batch === batch);
    const table = renderCells({
      label: ({ dimensions }) => `${cellLabel(dimensions.transport!, dimensions.runtime!)}, ${dimensions.keys} keys`,
      columns: loadColumns,
      cells: shown,
    });
    const lines = new Map(
      shown.flatMap((cell) => {
        const [cost, throughput] = DEGRADING.map((figure) => curveOf(cell, degradation, figure));
        if (cost === undefined || throughput === undefined) return [];
        const { transport, runtime } = cell.dimensions;
        const growths = `server µs/op ${formatGrowth(cost)}, ops/s ${formatGrowth(throughput)}`;
        return [[cellLabel(transport!, runtime!), growths] as const];
      }),
    );
    const told = [...lines].map(([label, growths]) => `${label}, with each tenfold of the keys: ${growths}\n`);
    return `\nbatch ${batch}\n${table}${told.join('')}`;
  });
  return [
    `SET of keys that are there, all alike; values of ${valueSize} bytes, ${connections} connections; ${rounds} × ${seconds} s\n`,
    formatWritten(flags),
    ...tables,
    '\nBehind a factor: its 95 % confidence interval. Latency is per frame.\n',
    explainCells(cells),
  ].join('');
}

/** Of how many keys the frames are that go round and round. */
export function formatWritten({
  batches,
  sizes,
  valueSize,
}: Pick<WritesFlags, 'batches' | 'sizes' | 'valueSize'>): string {
  const drawn = poolOperations(Math.max(...batches), valueSize, 1 - WRITES.readShare);
  const written = sizes.map((keys) => `${formatNumber(100 * drawnShare(keys, drawn))} % of ${keys}`);
  return `${formatNumber(drawn)} writes are drawn, and sent round and round; of the keys, they are to ${written.join(', ')}\n`;
}

/** The share of the keys that so many drawings from all alike are expected to hit. */
function drawnShare(keys: number, drawn: number): number {
  return -Math.expm1(drawn * Math.log1p(-1 / keys));
}
