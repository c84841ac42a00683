/**
 * The suite `rate`: how late a server answers at a given load. An open loop sends at fixed rates, one after the other up to
 * saturation, and latency counts from the time an operation was due (see `paced-run.ts`).
 *
 * Goal: the curve of latency against throughput, and the highest rate whose p99 stays below a limit.
 * Non-goal: the most that a server can do; `matrix` has that.
 */
import { fileURLToPath } from 'node:url';
import type { Context } from '../../../runtime/command/cli.ts';
import { messageOf } from '../../../runtime/command/errors.ts';
import { scriptCommand } from '../../../runtime/find.ts';
import type { RuntimeName } from '../../../runtime/runtime.ts';
import type { TransportName } from '../../../transports/transport.ts';
import { type ChosenClient, chooseClient, type GeneratorFlags } from '../../load/choose-generator.ts';
import { loadDimensions, planLoad } from '../../load/client-load.ts';
import { cellValue } from '../../results/cells-table.ts';
import type { Dimensions, Measured, Report, ReportCell } from '../../results/report.ts';
import { runSuite, type Step } from '../../results/run.ts';
import { type Cell, cellLabel } from '../../servers/cell.ts';
import { Child } from '../../servers/child.ts';
import { type Pinning, pinned, unpinned } from '../../servers/pinning.ts';
import { startServerChild } from '../../servers/server.ts';
import { selectCells, survey, versionsOf } from '../../servers/survey.ts';
import { CLOSED_DEPTH, isGeneratorLate, isSaturated, type RateEvent, type RatePlan } from './rate-plan.ts';
import { formatRate } from './rate-table.ts';

export interface RateFlags extends GeneratorFlags {
  readonly [flag: string]: unknown;
  readonly runtimes: readonly RuntimeName[];
  readonly transports: readonly TransportName[];
  readonly batches: readonly number[];
  readonly rates: readonly number[] | undefined;
  readonly limitMs: number;
  readonly connections: number;
  readonly depth: number;
  readonly keys: number;
  readonly valueSize: number;
  readonly rounds: number;
  readonly seconds: number;
  readonly seed: number;
  readonly pin: boolean;
}

/** What this suite's JSON has besides. */
export interface RateOwn {
  /** Names the sequence of operations that all cells were given. */
  readonly workload: string;
}

export type RateReport = Report & RateOwn;

export interface RateOptions {
  readonly flags: RateFlags;
  /** The file for the JSON; undefined for none. */
  readonly json: string | undefined;
  readonly context: Context;
  readonly signal: AbortSignal;
}

/** The phase of the cells that tell the highest rate. */
export const HIGHEST_PHASE = 'highest';

interface Subject extends Cell {
  readonly client: ChosenClient;
}

/** Resolves to the exit code. Rejects with a `CommandError` when a cell fails: its figures would be worth nothing. */
export async function rate({ flags, json, context, signal }: RateOptions): Promise<number> {
  const pinning = flags.pin ? pinned() : unpinned;
  const all = await survey(context, signal);
  const chosen = selectCells(all, flags.runtimes, flags.transports);
  const subjects = chosen.cells.map(
    (cell): Subject => ({ ...cell, client: chooseClient(all, cell.transport, flags, 'timed') }),
  );
  let workload = '';
  return runSuite<Subject, RateOwn>({
    name: 'rate',
    flags,
    versions: versionsOf(
      all,
      subjects.flatMap(({ runtime, client }) => [runtime, client.runtime]),
    ),
    skipped: chosen.skipped,
    subjects,
    label: ({ transport, runtime }) => cellLabel(transport, runtime.name),
    phases: 1 + flags.batches.length,
    async measure(subject, step) {
      const result = await measureOnce(subject, { flags, entry: context.entry, pinning, step });
      workload = result.workload;
      return result.measured;
    },
    conclude: (cells) => concludeRates(orderCells(cells, flags, subjects)),
    own: () => ({ workload }),
    format: (report) => formatRate(report, flags),
    json,
    signal,
  });
}

interface Measuring {
  readonly flags: RateFlags;
  readonly entry: string;
  readonly pinning: Pinning;
  readonly step: Step;
}

async function measureOnce(subject: Subject, { flags, entry, pinning, step }: Measuring) {
  const { runtime, transport, client } = subject;
  const { signal } = step;
  step.onPhase('loading');
  const server = await startServerChild(runtime, entry, transport, { signal, pinning });
  await using serverChild = server.child;
  const plan: RatePlan = {
    address: server.address,
    ...planLoad(flags, client),
    batches: flags.batches,
    rates: flags.rates,
    limitMicros: flags.limitMs * 1000,
  };
  const script = fileURLToPath(new URL('./rate-process.js', import.meta.url));
  const command = pinning.generator(scriptCommand(client.runtime, script, [JSON.stringify(plan)]));
  await using generator = new Child('the load generator', command, signal);
  const measured: Measured[] = [];
  let workload = '';
  try {
    for (let batchesLeft = flags.batches.length; batchesLeft > 0; ) {
      const event = JSON.parse(await generator.line()) as RateEvent;
      if (event.event === 'loaded') {
        workload = event.workload;
        step.onPhaseEnd();
      } else if (event.event === 'measured') {
        const { batch, rate, figures, latency, percentiles } = event;
        const depth = rate === null ? CLOSED_DEPTH : flags.depth;
        const dimensions = { ...dimensionsOf(subject, batch, { ...flags, depth }), rate };
        measured.push({ dimensions, figures, latency, percentiles });
        step.onPhase(`batch ${batch}, ${rate === null ? 'closed loop' : `${rate} ops/s`}`);
      } else {
        const dimensions = { ...dimensionsOf(subject, event.batch, flags), phase: HIGHEST_PHASE };
        measured.push({ dimensions, figures: { highestOpsPerSecond: event.opsPerSecond } });
        step.onPhaseEnd();
        batchesLeft--;
      }
    }
  } catch (error) {
    throw new Error(`${messageOf(error)}; the server says: ${serverChild.stderr}`, { cause: error });
  }
  return { workload, measured };
}

function dimensionsOf({ runtime, transport, client }: Subject, batch: number, flags: RateFlags): Dimensions {
  return {
    runtime: runtime.name,
    transport,
    batch,
    ...loadDimensions(flags, client),
  };
}

/** Batch sizes, then cells as they were chosen, then the closed loop, the rates, and the highest. */
function orderCells(
  cells: readonly ReportCell[],
  { batches }: RateFlags,
  subjects: readonly Subject[],
): readonly ReportCell[] {
  const place = ({ dimensions }: ReportCell): readonly number[] => [
    batches.indexOf(dimensions.batch!),
    subjects.findIndex(({ runtime, transport }) => {
      return runtime.name === dimensions.runtime && transport === dimensions.transport;
    }),
    dimensions.phase === HIGHEST_PHASE ? Number.POSITIVE_INFINITY : (dimensions.rate ?? 0),
  ];
  return [...cells].sort((a, b) => {
    const [placeA, placeB] = [place(a), place(b)];
    const differing = placeA.findIndex((value, at) => value !== placeB[at]);
    return differing === -1 ? 0 : placeA[differing]! - placeB[differing]!;
  });
}

/** Whose fault it is where a rate was not reached, and that no higher one was found. */
export function concludeRates(cells: readonly ReportCell[]): readonly ReportCell[] {
  const rated = cells.map(concludeRate);
  return rated.map((cell) => (cell.dimensions.phase === HIGHEST_PHASE ? concludeHighest(cell, rated) : cell));
}

/** Where the generator was the limit at the next rate above, the server may be good for more than the highest that was found. */
function concludeHighest(cell: ReportCell, rated: readonly ReportCell[]): ReportCell {
  const { runtime, transport, batch } = cell.dimensions;
  const highest = cellValue(cell, 'highestOpsPerSecond')!;
  const [next] = rated
    .filter(({ dimensions }) => {
      const same = dimensions.runtime === runtime && dimensions.transport === transport && dimensions.batch === batch;
      return same && (dimensions.rate ?? 0) > highest;
    })
    .sort((a, b) => a.dimensions.rate! - b.dimensions.rate!);
  return next?.notes?.limit === 'generator' ? { ...cell, generatorLimited: true, notes: { limit: 'generator' } } : cell;
}

/** Whether the rate was reached, and whose fault it is if not. */
function concludeRate(cell: ReportCell): ReportCell {
  const { rate, batch, connections } = cell.dimensions;
  if (rate === undefined || rate === null) return cell;
  const value = (name: string): number => cellValue(cell, name)!;
  const saturated = isSaturated({
    rate,
    batch: batch!,
    connections: connections!,
    seconds: value('seconds'),
    opsPerSecond: value('opsPerSecond'),
  });
  const late = isGeneratorLate(value('lateP99Micros'), value('p99Micros'));
  if (!saturated && !late) return cell;
  return { ...cell, generatorLimited: saturated && late, notes: { limit: late ? 'generator' : 'server' } };
}
