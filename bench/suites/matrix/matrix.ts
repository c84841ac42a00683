/**
 * The suite `matrix`: which transport, in which runtime. Every cell gets a fresh server process in every round, and the
 * rounds go over all cells in an order of their own, so that what changes slowly on the machine meets all of them alike.
 *
 * Beside every cell stands its control: the same transport without engine and protocol.
 *
 * Goal: server CPU time per operation, which can be compared even where the generator is the limit.
 * Non-goals: latency at a given rate (the suite `connections` has one), other stores.
 */
import process from 'node:process';
import type { Context } from '../../../runtime/command/cli.ts';
import { CommandError, ExitCode, messageOf } from '../../../runtime/command/errors.ts';
import type { FoundRuntime } from '../../../runtime/find.ts';
import type { RuntimeName } from '../../../runtime/runtime.ts';
import type { TransportName } from '../../../transports/transport.ts';
import { naturalTransport } from '../../../transports/transports.ts';
import { chooseGenerator, type GeneratorFlags } from '../../load/choose-generator.ts';
import { type Figures, GENERATOR_LIMIT_CORES, type GeneratorPlan, WARMUP_SHARE } from '../../load/plan.ts';
import { Random } from '../../load/random.ts';
import { Progress } from '../../results/progress.ts';
import { assertWritable, formatHead, type ReportHead, reportHead, writeReport } from '../../results/report.ts';
import { type Summary, summarizeFigures } from '../../results/statistics.ts';
import { measureCell, type Subject, subjectLabel } from '../../servers/cell.ts';
import { type Skipped, selectCells, survey, versionsOf } from '../../servers/survey.ts';
import { formatMatrix } from './matrix-table.ts';

export interface MatrixFlags extends GeneratorFlags {
  readonly runtimes: readonly RuntimeName[];
  readonly transports: readonly TransportName[];
  readonly batches: readonly number[];
  /** Whether the control of every cell is measured too. */
  readonly controls: OnOff;
  readonly connections: number;
  readonly depth: number;
  readonly keys: number;
  readonly valueSize: number;
  readonly rounds: number;
  readonly seconds: number;
  readonly seed: number;
}

export type OnOff = 'on' | 'off';

/** The suite's JSON. */
export interface MatrixReport extends ReportHead {
  readonly suite: 'matrix';
  /** Names the sequence of operations that all cells were given. */
  readonly workload: string;
  /** What ran the load generator. */
  readonly generator: RuntimeName;
  /** What carried its bytes to servers that are not reached by WebSocket. */
  readonly clientTransport: TransportName;
  readonly skipped: readonly Skipped[];
  readonly rounds: readonly MatrixRound[];
  readonly cells: readonly MatrixCell[];
}

/** One cell or control at one batch size in one round, as it was measured; in the order of time. */
export interface MatrixRound {
  /** From 1. */
  readonly round: number;
  readonly runtime: RuntimeName;
  readonly transport: TransportName;
  readonly control: boolean;
  readonly batch: number;
  readonly figures: Figures;
}

/** One cell or control at one batch size over all rounds. */
export interface MatrixCell {
  readonly runtime: RuntimeName;
  readonly transport: TransportName;
  readonly control: boolean;
  readonly batch: number;
  /** The generator was busy all the time: what throughput and latency say of the server is a bound. */
  readonly generatorLimited: boolean;
  readonly figures: Readonly<Record<keyof Figures, Summary>>;
}

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
  const generator = chooseGenerator(all, flags);
  const runtimes = [...chosen.cells.map(({ runtime }) => runtime), generator];
  const head = await reportHead('matrix', versionsOf(all, runtimes), { ...flags });
  process.stdout.write(formatHead(head));
  const subjects = chosen.cells.flatMap((cell): Subject[] => [
    { ...cell, control: false },
    ...(flags.controls === 'on' ? [{ ...cell, control: true }] : []),
  ]);
  const { workload, rounds } = await measureRounds(subjects, { flags, generator, context, signal });
  const report: MatrixReport = {
    ...head,
    suite: 'matrix',
    workload,
    generator: generator.name,
    clientTransport: flags.clientTransport ?? naturalTransport(generator.name),
    skipped: chosen.skipped,
    rounds,
    cells: summarizeRounds(subjects, flags.batches, rounds),
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

async function measureRounds(subjects: readonly Subject[], { flags, generator, context, signal }: Measuring) {
  const { connections, depth, keys, valueSize, batches, seconds, seed, clientTransport } = flags;
  const plan: Omit<GeneratorPlan, 'address' | 'control'> = {
    ...(clientTransport === undefined ? {} : { transport: clientTransport }),
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
  const progress = new Progress(flags.rounds * subjects.length * (1 + batches.length));
  const rounds: MatrixRound[] = [];
  let workload = '';
  try {
    for (let round = 1; round <= flags.rounds; round++) {
      for (const subject of random.shuffled(subjects)) {
        const { transport, control } = subject;
        const runtime = subject.runtime.name;
        const where = `round ${round} of ${flags.rounds}, ${subjectLabel(subject)}`;
        const result = await measureCell(subject, {
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
        for (const { batch, figures } of result.measurements) {
          rounds.push({ round, runtime, transport, control, batch, figures });
        }
      }
    }
  } finally {
    progress.clear();
  }
  return { workload, rounds };
}

/** The rounds of each batch size and subject together. */
function summarizeRounds(
  subjects: readonly Subject[],
  batches: readonly number[],
  rounds: readonly MatrixRound[],
): MatrixCell[] {
  return batches.flatMap((batch) =>
    subjects.map((subject) => {
      const { transport, control } = subject;
      const runtime = subject.runtime.name;
      const same = rounds.filter(
        (one) =>
          one.batch === batch && one.runtime === runtime && one.transport === transport && one.control === control,
      );
      const figures = summarizeFigures<keyof Figures>(same.map((one) => one.figures));
      const generatorLimited = figures.generatorCores.median >= GENERATOR_LIMIT_CORES;
      return { runtime, transport, control, batch, generatorLimited, figures };
    }),
  );
}
