/**
 * The suite `direct`: what the store costs without a network. A program uses `ringkv/store` in its own process, one operation
 * after the other; beside it, another does the same through `ringkv/client` with a server of its own, over TCP and the
 * runtime's own sockets. How many times faster the first is, is what the network costs.
 *
 * Non-goals: batches (the suite `engine` has them), other transports (the suite `tcp` has them).
 */
import type { Context } from '../../../runtime/command/cli.ts';
import { usageError } from '../../../runtime/command/errors.ts';
import type { EngineName } from '../../../runtime/engine.ts';
import type { FoundRuntime } from '../../../runtime/find.ts';
import type { RuntimeName } from '../../../runtime/runtime.ts';
import { naturalTransport } from '../../../transports/transports.ts';
import { WARMUP_SHARE } from '../../load/plan.ts';
import { operationsOn, type SequentialOperation } from '../../load/sequential-plan.ts';
import { whyTooLarge } from '../../load/store-sizes.ts';
import type { Dimensions, Measured, ReportCell, Skipped } from '../../results/report.ts';
import { runSuite, type Step } from '../../results/run.ts';
import type { Summary } from '../../results/statistics.ts';
import { pinned, unpinned } from '../../servers/pinning.ts';
import { measureStore, measureThroughClient, sequentialPhases } from '../../servers/sequential.ts';
import { selectRuntimes, survey, versionsOf } from '../../servers/survey.ts';
import { formatDirect } from './direct-table.ts';

export interface DirectFlags {
  readonly [flag: string]: unknown;
  readonly runtimes: readonly RuntimeName[];
  readonly engines: readonly EngineName[];
  readonly sizes: readonly number[];
  readonly operations: readonly SequentialOperation[];
  readonly valueSize: number;
  readonly rounds: number;
  readonly seconds: number;
  readonly seed: number;
  readonly pin: boolean;
}

export interface DirectOptions {
  readonly flags: DirectFlags;
  /** The file for the JSON; undefined for none. */
  readonly json: string | undefined;
  readonly context: Context;
  readonly signal: AbortSignal;
}

/** A store of one size, and how it is reached. */
interface DirectSubject {
  readonly runtime: FoundRuntime;
  readonly store: 'direct' | 'tcp';
  readonly engine: EngineName;
  readonly keys: number;
}

/** What `ringkv serve` holds its keys in by itself. */
const SERVER_ENGINE: EngineName = 'swiss';

/** Resolves to the exit code. Rejects with a `CommandError` when a store or a server fails, or gives something wrong. */
export async function direct({ flags, json, context, signal }: DirectOptions): Promise<number> {
  const { sizes, engines, valueSize, seconds, seed } = flags;
  const all = selectRuntimes(await survey(context, signal), flags.runtimes);
  const pinning = flags.pin ? pinned() : unpinned;
  const reasons = new Map<string, string>();
  const fits = (engine: EngineName, keys: number): boolean => {
    const reason = whyTooLarge(engine, keys, valueSize);
    if (reason !== undefined) reasons.set(`${engine}, ${keys} keys`, reason);
    return reason === undefined;
  };
  const worthwhile = sizes.filter((keys) => operationsOn(keys, flags.operations).length > 0);
  const subjects = worthwhile.flatMap((keys) =>
    all.runtimes.flatMap((runtime): DirectSubject[] => [
      ...engines
        .filter((engine) => fits(engine, keys))
        .map((engine) => ({ runtime, store: 'direct' as const, engine, keys })),
      ...(fits(SERVER_ENGINE, keys) ? [{ runtime, store: 'tcp' as const, engine: SERVER_ENGINE, keys }] : []),
    ]),
  );
  if (subjects.length === 0) {
    const why = [...reasons.values()].join('; ') || `there is nothing of ${flags.operations} to do`;
    throw usageError(`--sizes ${sizes}: ${why}`);
  }
  const measure = async (subject: DirectSubject, step: Step): Promise<Measured[]> => {
    const { runtime, store, engine, keys } = subject;
    const operations = operationsOn(keys, flags.operations);
    const plan = { keys, valueBytes: valueSize, operations, warmupSeconds: seconds * WARMUP_SHARE, seconds, seed };
    const options = { entry: context.entry, plan, pinning, step };
    const natural = { runtime, transport: naturalTransport(runtime.name) };
    const measurements =
      store === 'direct'
        ? await measureStore(runtime, { engine }, options)
        : await measureThroughClient(natural, natural, options);
    return measurements.map(({ operation, ...measured }) => ({
      dimensions: dimensionsOf(subject, operation, valueSize),
      ...measured,
    }));
  };
  return runSuite({
    name: 'direct',
    flags,
    versions: versionsOf(all, all.runtimes),
    skipped: [...all.skipped, ...Array.from(reasons, ([label, reason]): Skipped => ({ label, reason }))],
    subjects,
    label: ({ runtime, store, engine, keys }) => `${store === 'tcp' ? 'tcp' : engine} on ${runtime.name}, ${keys} keys`,
    phases: sequentialPhases(flags),
    measure,
    order: flags.operations.flatMap((operation) =>
      subjects.map((subject) => dimensionsOf(subject, operation, valueSize)),
    ),
    conclude: withNetworkFactors,
    format: (report) => formatDirect(report, flags),
    json,
    signal,
  });
}

function dimensionsOf(
  { runtime, store, engine, keys }: DirectSubject,
  operation: SequentialOperation,
  valueSize: number,
): Dimensions {
  const transport = store === 'tcp' ? { transport: naturalTransport(runtime.name) } : {};
  return { store, runtime: runtime.name, engine, ...transport, workload: operation, keys, valueSize };
}

/**
 * Gives every store its `networkFactor`: how many times more operations a second it does than the server of the same runtime,
 * with as many keys, through its client. The ends of its interval are the worst case of both.
 */
function withNetworkFactors(cells: readonly ReportCell[]): readonly ReportCell[] {
  return cells.map((cell) => {
    const { store, runtime, keys, workload } = cell.dimensions;
    const same = ({ dimensions }: ReportCell): boolean =>
      dimensions.store === 'tcp' &&
      dimensions.runtime === runtime &&
      dimensions.keys === keys &&
      dimensions.workload === workload;
    const tcp = store === 'direct' ? cells.find(same) : undefined;
    if (tcp === undefined) return cell;
    const networkFactor = ratio(cell.figures.opsPerSecond!, tcp.figures.opsPerSecond!);
    return { ...cell, figures: { ...cell.figures, networkFactor } };
  });
}

function ratio(above: Summary, below: Summary): Summary {
  return {
    median: above.median / below.median,
    low: above.low / below.high,
    high: above.high / below.low,
    min: above.min / below.max,
    max: above.max / below.min,
  };
}
