/**
 * The suite `engine`: what an engine does without a network, in each runtime: operations per second, memory beyond keys and
 * values, and what growing costs, while it lasts and afterwards.
 */
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import type { Context } from '../../../runtime/command/cli.ts';
import { CommandError, ExitCode, messageOf, usageError } from '../../../runtime/command/errors.ts';
import type { EngineName } from '../../../runtime/engine.ts';
import { type FoundRuntime, scriptCommand } from '../../../runtime/find.ts';
import type { RuntimeName } from '../../../runtime/runtime.ts';
import { WARMUP_SHARE } from '../../load/plan.ts';
import { Random } from '../../load/random.ts';
import { Progress } from '../../results/progress.ts';
import { assertWritable, formatHead, type ReportHead, reportHead, writeReport } from '../../results/report.ts';
import { type Summary, summarize, summarizeFigures } from '../../results/statistics.ts';
import {
  BEST_MARK,
  type Cell,
  type Column,
  formatMicros,
  formatNumber,
  formatRange,
  renderTable,
} from '../../results/table.ts';
import { Child } from '../../servers/child.ts';
import { formatSkipped, type Skipped, selectRuntimes, survey, versionsOf } from '../../servers/survey.ts';
import { type EngineFigures, type EnginePlan, type GrowthFigures, MEMORY_VALUE_BYTES } from './engine-figures.ts';

export interface EngineFlags {
  readonly runtimes: readonly RuntimeName[];
  readonly engines: readonly EngineName[];
  readonly keys: number;
  /** Only the engine `swiss` is made to grow this far: `map` would not fit into the heap that some runtimes allow. */
  readonly growTo: number;
  readonly valueSize: number;
  readonly batch: number;
  readonly rounds: number;
  readonly seconds: number;
  readonly seed: number;
}

/** The suite's JSON. */
export interface EngineReport extends ReportHead {
  readonly suite: 'engine';
  readonly skipped: readonly Skipped[];
  readonly rounds: readonly EngineRound[];
  readonly cells: readonly EngineCell[];
}

/** One engine in one runtime in one round; in the order of time. */
export interface EngineRound {
  /** From 1. */
  readonly round: number;
  readonly runtime: RuntimeName;
  readonly engine: EngineName;
  readonly figures: EngineFigures;
}

/** One engine in one runtime over all rounds. */
export interface EngineCell {
  readonly runtime: RuntimeName;
  readonly engine: EngineName;
  readonly figures: Readonly<Record<Exclude<keyof EngineFigures, 'growth'>, Summary>>;
  readonly growth: Readonly<Record<keyof GrowthFigures, Summary>> | null;
}

export interface EngineOptions {
  readonly flags: EngineFlags;
  /** The file for the JSON; undefined for none. */
  readonly json: string | undefined;
  readonly context: Context;
  readonly signal: AbortSignal;
}

interface Subject {
  readonly runtime: FoundRuntime;
  readonly engine: EngineName;
}

/** Resolves to the exit code. Rejects with a `CommandError` when an engine fails, or answers wrong. */
export async function engine({ flags, json, context, signal }: EngineOptions): Promise<number> {
  if (flags.growTo <= flags.keys)
    throw usageError(`--grow-to ${flags.growTo}: expected more than --keys ${flags.keys}`);
  if (json !== undefined) assertWritable(json);
  const all = selectRuntimes(await survey(context, signal), flags.runtimes);
  const { runtimes, skipped } = all;
  const head = await reportHead('engine', versionsOf(all, runtimes), { ...flags });
  process.stdout.write(formatHead(head) + formatSkipped(skipped));
  const subjects = runtimes.flatMap((runtime) => flags.engines.map((name): Subject => ({ runtime, engine: name })));
  const rounds = await measureRounds(subjects, flags, signal);
  const report: EngineReport = { ...head, suite: 'engine', skipped, rounds, cells: summarizeRounds(subjects, rounds) };
  process.stdout.write(formatEngines(report.cells, flags));
  if (json !== undefined) writeReport(json, report);
  return ExitCode.OK;
}

async function measureRounds(
  subjects: readonly Subject[],
  flags: EngineFlags,
  signal: AbortSignal,
): Promise<EngineRound[]> {
  const random = new Random(flags.seed);
  const progress = new Progress(flags.rounds * subjects.length);
  const rounds: EngineRound[] = [];
  try {
    for (let round = 1; round <= flags.rounds; round++) {
      for (const subject of random.shuffled(subjects)) {
        const where = `round ${round} of ${flags.rounds}, ${subject.engine} on ${subject.runtime.name}`;
        progress.show(where);
        const figures = await measureOnce(subject, flags, signal).catch((error: unknown) => {
          throw new CommandError(`${where}: ${messageOf(error)}`);
        });
        rounds.push({ round, runtime: subject.runtime.name, engine: subject.engine, figures });
        progress.advance();
      }
    }
  } finally {
    progress.clear();
  }
  return rounds;
}

async function measureOnce(subject: Subject, flags: EngineFlags, signal: AbortSignal): Promise<EngineFigures> {
  const { keys, growTo, batch, seconds, seed, valueSize } = flags;
  const plan: EnginePlan = {
    engine: subject.engine,
    keys,
    ...(subject.engine === 'swiss' ? { growTo } : {}),
    valueBytes: valueSize,
    batch,
    seconds,
    warmupSeconds: seconds * WARMUP_SHARE,
    seed,
  };
  const script = fileURLToPath(new URL('./engine-process.js', import.meta.url));
  await using child = new Child('the engine', scriptCommand(subject.runtime, script, [JSON.stringify(plan)]), signal);
  return JSON.parse(await child.line()) as EngineFigures;
}

function summarizeRounds(subjects: readonly Subject[], rounds: readonly EngineRound[]): EngineCell[] {
  return subjects.map(({ runtime: { name: runtime }, engine: name }) => {
    const same = rounds.filter((one) => one.runtime === runtime && one.engine === name).map(({ figures }) => figures);
    const growths = same.flatMap(({ growth }) => growth ?? []);
    return {
      runtime,
      engine: name,
      figures: {
        opsPerSecond: summarize(same.map(({ opsPerSecond }) => opsPerSecond)),
        overheadBytesPerKey: summarize(same.map(({ overheadBytesPerKey }) => overheadBytesPerKey)),
        reservedOverheadBytesPerKey: summarize(same.map((one) => one.reservedOverheadBytesPerKey)),
      },
      growth: growths.length === 0 ? null : summarizeFigures<keyof GrowthFigures>(growths),
    };
  });
}

// For people

function formatEngines(cells: readonly EngineCell[], flags: EngineFlags): string {
  const { keys, growTo, valueSize, batch, rounds, seconds, seed } = flags;
  const grown = cells.flatMap((cell) => (cell.growth === null ? [] : [{ ...cell, growth: cell.growth }]));
  return [
    `YCSB-B, batch ${batch}, ${keys} keys, values of ${valueSize} bytes; ${rounds} × ${seconds} s, seed ${seed}\n\n`,
    renderTable(
      [
        { title: '' },
        { title: 'ops/s', best: 'highest' },
        { title: 'range' },
        { title: 'bytes per key', best: 'lowest' },
        { title: 'reserved', best: 'lowest' },
      ],
      cells.map(({ runtime, engine: name, figures }) => [
        { text: `${name} on ${runtime}` },
        numberCell(figures.opsPerSecond, formatNumber),
        { text: formatRange(figures.opsPerSecond, formatNumber) },
        numberCell(figures.overheadBytesPerKey, formatNumber),
        numberCell(figures.reservedOverheadBytesPerKey, formatNumber),
      ]),
    ),
    `\nBytes per key: memory beyond keys of 16 and values of ${MEMORY_VALUE_BYTES} bytes, in use and taken from the system.\n`,
    ...(grown.length === 0
      ? []
      : [`\ngrowing to ${growTo} keys\n`, renderTable(growthColumns, grown.flatMap(growthRows))]),
    `\n${BEST_MARK} best of its column. Medians over the rounds; a turn is one frame of ${batch} operations.\n`,
  ].join('');
}

const growthColumns: readonly Column[] = [
  { title: '' },
  { title: 'SET/s', best: 'highest' },
  { title: 'turn p50', best: 'lowest' },
  { title: 'p99', best: 'lowest' },
  { title: 'p99.9', best: 'lowest' },
  { title: 'max', best: 'lowest' },
  { title: 'ops/s after', best: 'highest' },
  { title: 'slower by' },
];

/** What the engine did, and below it what turns that do nothing took on the machine meanwhile. */
function growthRows({
  runtime,
  engine: name,
  growth,
}: EngineCell & { growth: NonNullable<EngineCell['growth']> }): Cell[][] {
  const idle = [growth.idleP50Micros, growth.idleP99Micros, growth.idleP999Micros, growth.idleMaxMicros];
  return [
    [
      { text: `${name} on ${runtime}` },
      numberCell(growth.setsPerSecond, formatNumber),
      numberCell(growth.turnP50Micros, formatMicros),
      numberCell(growth.turnP99Micros, formatMicros),
      numberCell(growth.turnP999Micros, formatMicros),
      numberCell(growth.turnMaxMicros, formatMicros),
      numberCell(growth.opsPerSecond, formatNumber),
      { text: `${Math.round(growth.slowdown.median * 100)} %` },
    ],
    [
      { text: '  idle control' },
      { text: '' },
      ...idle.map(({ median }) => ({ text: formatMicros(median) })),
      { text: '' },
      { text: '' },
    ],
  ];
}

function numberCell({ median }: Summary, format: (value: number) => string): Cell {
  return { text: format(median), value: median };
}
