/**
 * The suite `matrix`: which transport, in which runtime. Every cell gets a fresh server process in every round, and the
 * rounds go over all cells in an order of their own, so that what changes slowly on the machine meets all of them alike.
 *
 * Goal: server CPU time per operation, which can be compared even where the generator is the limit.
 * Non-goals: latency at a given rate, sizes of values, other stores.
 */
import process from 'node:process';
import type { Context } from '../runtime/command/cli.ts';
import { CommandError, ExitCode, messageOf, usageError } from '../runtime/command/errors.ts';
import type { FoundRuntime } from '../runtime/find.ts';
import type { RuntimeName } from '../runtime/runtime.ts';
import type { TransportName } from '../transports/transport.ts';
import { naturalTransport } from '../transports/transports.ts';
import { type Cell, cellLabel, measureCell } from './cell.ts';
import { formatMatrix } from './matrix-table.ts';
import { type Figures, GENERATOR_LIMIT_CORES, type GeneratorPlan, WARMUP_SHARE } from './plan.ts';
import { Progress } from './progress.ts';
import { Random } from './random.ts';
import { assertWritable, formatHead, type ReportHead, reportHead, writeReport } from './report.ts';
import { type Summary, summarizeFigures } from './statistics.ts';
import { type Skipped, type Survey, selectCells, survey, versionsOf } from './survey.ts';

export interface MatrixFlags {
  readonly runtimes: readonly RuntimeName[];
  readonly transports: readonly TransportName[];
  readonly batches: readonly number[];
  readonly connections: number;
  readonly depth: number;
  readonly keys: number;
  readonly valueSize: number;
  readonly rounds: number;
  readonly seconds: number;
  readonly seed: number;
  /** What runs the load generator; undefined for the fastest there is. */
  readonly generator: RuntimeName | undefined;
}

/** The suite's JSON. */
export interface MatrixReport extends ReportHead {
  readonly suite: 'matrix';
  /** Names the sequence of operations that all cells were given. */
  readonly workload: string;
  /** What ran the load generator. */
  readonly generator: string;
  readonly skipped: readonly Skipped[];
  readonly rounds: readonly MatrixRound[];
  readonly cells: readonly MatrixCell[];
}

/** One cell at one batch size in one round, as it was measured; in the order of time. */
export interface MatrixRound {
  /** From 1. */
  readonly round: number;
  readonly runtime: RuntimeName;
  readonly transport: TransportName;
  readonly batch: number;
  readonly figures: Figures;
}

/** One cell at one batch size over all rounds. */
export interface MatrixCell {
  readonly runtime: RuntimeName;
  readonly transport: TransportName;
  readonly batch: number;
  /** The generator was busy all the time: what throughput and latency say of the server is a bound. */
  readonly generatorLimited: boolean;
  readonly figures: Readonly<Record<keyof Figures, Summary>>;
}

/** The fastest first. */
const GENERATOR_CHOICE: readonly RuntimeName[] = ['bun', 'node', 'deno'];

export interface MatrixOptions {
  readonly flags: MatrixFlags;
  /** The file for the JSON; undefined for none. */
  readonly json: string | undefined;
  readonly context: Context;
  readonly signal: AbortSignal;
}

/** Resolves to the exit code. Rejects with a `CommandError` when a cell fails: its figures would be worth nothing. */
export async function matrix({ flags, json, context, signal }: MatrixOptions): Promise<number> {
  if (json !== undefined) assertWritable(json);
  const all = await survey(context, signal);
  const chosen = selectCells(all, flags.runtimes, flags.transports);
  const generator = chooseGenerator(all, flags.generator);
  const runtimes = [...chosen.cells.map(({ runtime }) => runtime), generator];
  const head = await reportHead('matrix', versionsOf(all, runtimes), { ...flags });
  process.stdout.write(formatHead(head));
  const { workload, rounds } = await measureRounds(chosen.cells, { flags, generator, context, signal });
  const report: MatrixReport = {
    ...head,
    suite: 'matrix',
    workload,
    generator: generator.name,
    skipped: chosen.skipped,
    rounds,
    cells: summarizeRounds(chosen.cells, flags.batches, rounds),
  };
  process.stdout.write(formatMatrix(report, flags));
  if (json !== undefined) writeReport(json, report);
  return ExitCode.OK;
}

interface Measuring {
  readonly flags: MatrixFlags;
  readonly generator: FoundRuntime;
  readonly context: Context;
  readonly signal: AbortSignal;
}

async function measureRounds(cells: readonly Cell[], { flags, generator, context, signal }: Measuring) {
  const { connections, depth, keys, valueSize, batches, seconds, seed } = flags;
  const plan: Omit<GeneratorPlan, 'address'> = {
    connections,
    depth,
    keys,
    valueBytes: valueSize,
    batches,
    warmupSeconds: seconds * WARMUP_SHARE,
    seconds,
    seed,
  };
  const random = new Random(seed);
  const progress = new Progress(flags.rounds * cells.length * (1 + batches.length));
  const rounds: MatrixRound[] = [];
  let workload = '';
  try {
    for (let round = 1; round <= flags.rounds; round++) {
      for (const cell of random.shuffled(cells)) {
        const { transport } = cell;
        const runtime = cell.runtime.name;
        const where = `round ${round} of ${flags.rounds}, ${cellLabel(transport, runtime)}`;
        const result = await measureCell(cell, {
          entry: context.entry,
          generator,
          plan,
          signal,
          onPhase: (what) => progress.show(`${where}, ${what}`),
          onPhaseEnd: () => progress.advance(),
        }).catch((error: unknown) => {
          throw new CommandError(`${where}: ${messageOf(error)}`);
        });
        workload = result.workload;
        for (const { batch, figures } of result.measurements)
          rounds.push({ round, runtime, transport, batch, figures });
      }
    }
  } finally {
    progress.clear();
  }
  return { workload, rounds };
}

/** The rounds of each batch size and cell together. */
function summarizeRounds(
  cells: readonly Cell[],
  batches: readonly number[],
  rounds: readonly MatrixRound[],
): MatrixCell[] {
  return batches.flatMap((batch) =>
    cells.map((cell) => {
      const { transport } = cell;
      const runtime = cell.runtime.name;
      const same = rounds.filter(
        (one) => one.batch === batch && one.runtime === runtime && one.transport === transport,
      );
      const figures = summarizeFigures<keyof Figures>(same.map((one) => one.figures));
      const generatorLimited = figures.generatorCores.median >= GENERATOR_LIMIT_CORES;
      return { runtime, transport, batch, generatorLimited, figures };
    }),
  );
}

function chooseGenerator({ cells }: Survey, asked: RuntimeName | undefined): FoundRuntime {
  const natural = cells.filter(({ runtime, transport }) => transport === naturalTransport(runtime.name));
  const usable = natural.map(({ runtime }) => runtime);
  for (const name of asked === undefined ? GENERATOR_CHOICE : [asked]) {
    const found = usable.find((one) => one.name === name);
    if (found !== undefined) return found;
  }
  throw usageError(`the load generator can't run on ${asked ?? GENERATOR_CHOICE.join(', ')}; "ringkv doctor" says why`);
}
