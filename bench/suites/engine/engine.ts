/**
 * The suite `engine`: what an engine does without a network, in each runtime: operations per second, memory beyond keys and
 * values, and what growing costs, while it lasts and afterwards.
 */
import { fileURLToPath } from 'node:url';
import type { Context } from '../../../runtime/command/cli.ts';
import { usageError } from '../../../runtime/command/errors.ts';
import type { EngineName } from '../../../runtime/engine.ts';
import { type FoundRuntime, scriptCommand } from '../../../runtime/find.ts';
import type { RuntimeName } from '../../../runtime/runtime.ts';
import { WARMUP_SHARE } from '../../load/plan.ts';
import { explainCells, type FigureColumn, renderCells } from '../../results/cells-table.ts';
import type { Measured, ReportCell } from '../../results/report.ts';
import { runSuite } from '../../results/run.ts';
import { formatMicros, formatNumber } from '../../results/table.ts';
import { Child } from '../../servers/child.ts';
import { selectRuntimes, survey, versionsOf } from '../../servers/survey.ts';
import { type EngineAnswer, type EnginePlan, MEMORY_VALUE_BYTES } from './engine-figures.ts';

export interface EngineFlags {
  readonly [flag: string]: unknown;
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
  const all = selectRuntimes(await survey(context, signal), flags.runtimes);
  return runSuite<Subject>({
    name: 'engine',
    flags,
    versions: versionsOf(all, all.runtimes),
    skipped: all.skipped,
    subjects: all.runtimes.flatMap((runtime) => flags.engines.map((name): Subject => ({ runtime, engine: name }))),
    label: ({ engine: name, runtime }) => `${name} on ${runtime.name}`,
    measure: (subject) => measureOnce(subject, flags, signal),
    format: ({ cells }) => formatEngines(cells, flags),
    json,
    signal,
  });
}

async function measureOnce(
  { runtime, engine: name }: Subject,
  flags: EngineFlags,
  signal: AbortSignal,
): Promise<readonly Measured[]> {
  const { keys, growTo, batch, seconds, seed, valueSize } = flags;
  const plan: EnginePlan = {
    engine: name,
    keys,
    ...(name === 'swiss' ? { growTo } : {}),
    valueBytes: valueSize,
    batch,
    seconds,
    warmupSeconds: seconds * WARMUP_SHARE,
    seed,
  };
  const script = fileURLToPath(new URL('./engine-process.js', import.meta.url));
  await using child = new Child('the engine', scriptCommand(runtime, script, [JSON.stringify(plan)]), signal);
  const { run, growth } = JSON.parse(await child.line()) as EngineAnswer;
  const own = { runtime: runtime.name, engine: name, batch, valueSize };
  const ran: Measured = { dimensions: { ...own, phase: 'run', keys, control: false }, figures: run };
  if (growth === null) return [ran];
  const grown = { ...own, phase: 'growth', keys: growTo };
  return [
    ran,
    { dimensions: { ...grown, control: false }, figures: growth.figures, ...growth.turns },
    { dimensions: { ...grown, control: true }, figures: {}, ...growth.idleTurns },
  ];
}

// For people

const runColumns: readonly FigureColumn[] = [
  { title: 'ops/s', figure: 'opsPerSecond', best: 'highest', format: formatNumber },
  { title: '', figure: 'opsPerSecond', bar: true, format: formatNumber },
  { title: 'bytes per key', figure: 'overheadBytesPerKey', best: 'lowest', format: formatNumber },
  { title: 'reserved', figure: 'reservedOverheadBytesPerKey', best: 'lowest', format: formatNumber },
];

const growthColumns: readonly FigureColumn[] = [
  { title: 'SET/s', figure: 'setsPerSecond', best: 'highest', format: formatNumber },
  { title: 'turn p50', figure: 'p50Micros', best: 'lowest', format: formatMicros },
  { title: 'p99', figure: 'p99Micros', best: 'lowest', format: formatMicros },
  { title: 'p99.9', figure: 'p999Micros', best: 'lowest', format: formatMicros },
  { title: 'max', figure: 'maxMicros', best: 'lowest', format: formatMicros },
  { title: 'ops/s after', figure: 'opsPerSecond', best: 'highest', format: formatNumber },
  { title: 'slower by', figure: 'slowdown', format: (share) => `${Math.round(share * 100)} %` },
];

function formatEngines(cells: readonly ReportCell[], flags: EngineFlags): string {
  const { keys, growTo, valueSize, batch, rounds, seconds } = flags;
  const run = cells.filter(({ dimensions }) => dimensions.phase === 'run');
  const growth = cells.filter(({ dimensions }) => dimensions.phase === 'growth');
  return [
    `YCSB-B, batch ${batch}, ${keys} keys, values of ${valueSize} bytes; ${rounds} × ${seconds} s\n\n`,
    renderCells({ label: engineLabel, columns: runColumns, cells: run }),
    `\nBytes per key: memory beyond keys of 16 and values of ${MEMORY_VALUE_BYTES} bytes, in use and taken from the system.\n`,
    ...(growth.length === 0
      ? []
      : [
          `\ngrowing to ${growTo} keys\n`,
          renderCells({ label: engineLabel, columns: growthColumns, cells: growth }),
          '\nIdle control: what turns that do nothing took on the machine meanwhile.\n',
        ]),
    `A turn is one frame of ${batch} operations.\n`,
    explainCells(cells),
  ].join('');
}

function engineLabel({ dimensions: { engine: name, runtime, control } }: ReportCell): string {
  return control === true ? '  idle control' : `${name} on ${runtime}`;
}
