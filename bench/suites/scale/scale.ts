/**
 * The suite `scale`: what more processes bring, servers and load generators. Every server is an independent one and holds all
 * keys, so that an operation costs the same in all cells; every generator has connections to all of them.
 *
 * Non-goal: shards, which are threads of one server behind one address.
 */
import type { Context } from '../../../runtime/command/cli.ts';
import { usageError } from '../../../runtime/command/errors.ts';
import type { RuntimeName } from '../../../runtime/runtime.ts';
import type { TransportName } from '../../../transports/transport.ts';
import { type ChosenClient, chooseClient, type GeneratorFlags } from '../../load/choose-generator.ts';
import { loadDimensions, planLoad } from '../../load/client-load.ts';
import { whyNoLoopback } from '../../load/loopback.ts';
import { cellValue, explainCells, type FigureColumn, renderCells } from '../../results/cells-table.ts';
import { clientMark } from '../../results/clients.ts';
import type { Dimensions, Measured, Report, ReportCell } from '../../results/report.ts';
import { runSuite, type Step } from '../../results/run.ts';
import { formatMicros, formatNumber } from '../../results/table.ts';
import { type Cell, cellLabel, measureServed } from '../../servers/cell.ts';
import { type Pinning, pinned, unpinned } from '../../servers/pinning.ts';
import { type ServerChild, startServerChild } from '../../servers/server.ts';
import { selectCells, survey, versionsOf } from '../../servers/survey.ts';

export interface ScaleFlags extends GeneratorFlags {
  readonly [flag: string]: unknown;
  readonly runtimes: readonly RuntimeName[];
  readonly transports: readonly TransportName[];
  readonly servers: readonly number[];
  readonly generators: readonly number[];
  readonly batch: number;
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
export interface ScaleOwn {
  /** Names the sequence of operations that the first generator of each cell was given. */
  readonly workload: string;
}

export type ScaleReport = Report & ScaleOwn;

export interface ScaleOptions {
  readonly flags: ScaleFlags;
  /** The file for the JSON; undefined for none. */
  readonly json: string | undefined;
  readonly context: Context;
  readonly signal: AbortSignal;
}

interface Subject extends Cell {
  readonly client: ChosenClient;
  readonly servers: number;
  readonly generators: number;
}

/** Resolves to the exit code. Rejects with a `CommandError` when a cell fails: its figures would be worth nothing. */
export async function scale({ flags, json, context, signal }: ScaleOptions): Promise<number> {
  const pairs = Math.max(...flags.servers) * Math.max(...flags.generators);
  if (flags.connections < pairs) {
    throw usageError(
      `--connections ${flags.connections}: expected at least ${pairs}, one of each generator to each server`,
    );
  }
  const all = await survey(context, signal);
  const chosen = selectCells(all, flags.runtimes, flags.transports);
  const subjects = chosen.cells.flatMap((cell) =>
    flags.servers.flatMap((servers) =>
      flags.generators.map((generators): Subject => {
        return { ...cell, client: chooseClient(all, cell.transport, flags, 'busy'), servers, generators };
      }),
    ),
  );
  const noLoopback = whyNoLoopback();
  let workload = '';
  return runSuite<Subject, ScaleOwn>({
    name: 'scale',
    flags,
    versions: versionsOf(
      all,
      subjects.flatMap(({ runtime, client }) => [runtime, client.runtime]),
    ),
    skipped: [
      ...chosen.skipped,
      ...(noLoopback === undefined ? [] : [{ label: 'loopback bytes', reason: noLoopback }]),
    ],
    subjects,
    label: ({ transport, runtime, servers, generators }) =>
      `${cellLabel(transport, runtime.name)}, ${servers} × ${generators}`,
    phases: 2,
    async measure(subject, step) {
      const pinning = flags.pin ? pinned(subject.servers, subject.generators) : unpinned;
      const result = await measureOnce(subject, { flags, entry: context.entry, pinning, step });
      workload = result.workload;
      return [{ dimensions: dimensionsOf(subject, flags), ...result.measured }];
    },
    order: subjects.map((subject) => dimensionsOf(subject, flags)),
    conclude: (cells) => concludeCells(cells, context.runtime.parallelism),
    own: () => ({ workload }),
    format: (report) => formatScale(report, flags, context.runtime.parallelism),
    json,
    signal,
  });
}

interface Measuring {
  readonly flags: ScaleFlags;
  readonly entry: string;
  readonly pinning: Pinning;
  readonly step: Step;
}

async function measureOnce(subject: Subject, { flags, entry, pinning, step }: Measuring) {
  const { client, generators } = subject;
  const { signal, onPhase, onPhaseEnd } = step;
  onPhase('starting');
  await using servers = await startServers(subject, entry, pinning, signal);
  const { workload, measurements } = await measureServed(
    {
      addresses: servers.all.map(({ address }) => address),
      language: 'ringkv',
      stderr: () => servers.all.map(({ child }) => child.stderr).join('\n'),
    },
    {
      entry,
      generator: client.runtime,
      generators,
      pinning,
      plan: {
        ...planLoad(flags, client),
        batches: [flags.batch],
        countLoopback: whyNoLoopback() === undefined,
      },
      signal,
      onPhase,
      onPhaseEnd,
    },
  );
  const { figures, latency, percentiles, loopbackBytesPerSecond } = measurements[0]!;
  const measured: Omit<Measured, 'dimensions'> = {
    figures: {
      ...figures,
      opsPerServerCoreSecond: figures.opsPerSecond / figures.serverCores,
      opsPerCoreSecond: figures.opsPerSecond / (figures.serverCores + figures.generatorCores),
      ...(loopbackBytesPerSecond === undefined
        ? {}
        : { loopbackBytesPerSecond, loopbackBytesPerOp: loopbackBytesPerSecond / figures.opsPerSecond }),
    },
    latency,
    percentiles,
  };
  return { workload, measured };
}

/** Starts all servers of a cell; disposing of what it resolves to ends them. */
async function startServers(
  { runtime, transport, servers }: Subject,
  entry: string,
  pinning: Pinning,
  signal: AbortSignal,
) {
  const starts = Array.from({ length: servers }, (_, index) =>
    startServerChild(runtime, entry, transport, { signal, pinning, index }),
  );
  const started = await Promise.allSettled(starts);
  const all = started.flatMap((one): ServerChild[] => (one.status === 'fulfilled' ? [one.value] : []));
  const end = async (): Promise<void> => {
    await Promise.all(all.map(({ child }) => child[Symbol.asyncDispose]()));
  };
  const failed = started.find((one) => one.status === 'rejected');
  if (failed !== undefined) {
    await end();
    throw failed.reason;
  }
  return { all, [Symbol.asyncDispose]: end };
}

function dimensionsOf({ runtime, transport, client, servers, generators }: Subject, flags: ScaleFlags): Dimensions {
  return {
    runtime: runtime.name,
    transport,
    servers,
    generators,
    batch: flags.batch,
    ...loadDimensions(flags, client),
  };
}

/**
 * Efficiency is the throughput as a share of what it would be if every server brought as much as the only one does with the
 * only generator. More busy processes than cores can't be linear, so these cells are marked.
 */
function concludeCells(cells: readonly ReportCell[], cores: number): readonly ReportCell[] {
  return cells.map((cell) => {
    const efficiency = efficiencyOf(cell, cells);
    const processes = cell.dimensions.servers! + cell.dimensions.generators!;
    const notes = {
      ...(efficiency === undefined ? {} : { efficiency: efficiency.toFixed(3) }),
      ...(processes > cores ? { cores: `${processes} processes on ${cores} cores` } : {}),
    };
    return { ...cell, notes };
  });
}

function efficiencyOf(cell: ReportCell, cells: readonly ReportCell[]): number | undefined {
  const { runtime, transport, servers } = cell.dimensions;
  const single = cells.find(({ dimensions }) => {
    const same = dimensions.runtime === runtime && dimensions.transport === transport;
    return same && dimensions.servers === 1 && dimensions.generators === 1;
  });
  if (single === undefined) return undefined;
  return cellValue(cell, 'opsPerSecond')! / (servers! * cellValue(single, 'opsPerSecond')!);
}

// For people

/** Stands behind the name of a cell with more processes than cores. */
const CROWDED_MARK = '!';

const columns: readonly FigureColumn[] = [
  { title: 'ops/s', figure: 'opsPerSecond', best: 'highest', format: formatNumber },
  { title: '', figure: 'opsPerSecond', bar: true, format: formatNumber },
  { title: 'efficiency', figure: ({ notes }) => numberOf(notes?.efficiency), format: formatPercent },
  { title: 'ops/s per server core', figure: 'opsPerServerCoreSecond', best: 'highest', format: formatNumber },
  { title: 'per core', figure: 'opsPerCoreSecond', best: 'highest', format: formatNumber },
  { title: 'server cores', figure: 'serverCores', format: formatNumber },
  { title: 'client cores', figure: 'generatorCores', format: formatNumber },
  { title: 'p99', figure: 'p99Micros', best: 'lowest', format: formatMicros },
  { title: 'peak MiB', figure: 'serverPeakBytes', format: (bytes) => String(Math.round(bytes / 2 ** 20)) },
  { title: 'loopback GB/s', figure: 'loopbackBytesPerSecond', format: (bytes) => formatNumber(bytes / 1e9) },
  { title: 'B/op', figure: 'loopbackBytesPerOp', format: formatNumber },
];

function formatScale({ cells, workload }: ScaleReport, flags: ScaleFlags, cores: number): string {
  const { connections, depth, keys, valueSize, batch, rounds, seconds } = flags;
  const clientOf = clientMark(cells);
  const titleOf = (cell: ReportCell): string => `${serverLabel(cell)}${clientOf(cell)}`;
  const titles = [...new Set(cells.map(titleOf))];
  return [
    `YCSB-B in batches of ${batch}, ${keys} keys in each server, values of ${valueSize} bytes, ${connections} connections in all with `,
    `${depth} frame${depth === 1 ? '' : 's'} in flight; workload ${workload}\n`,
    `${rounds} round${rounds === 1 ? '' : 's'} of ${seconds} s, ${cores} cores\n`,
    ...titles.map((title) => {
      const same = cells.filter((cell) => titleOf(cell) === title);
      return `\n${title}, servers × load generators\n${renderCells({ label, columns, cells: same })}`;
    }),
    '\nEfficiency: of as many servers as there are, each with the throughput of 1 × 1. Per core: operations per second of CPU time, of ',
    'the servers\nor of all processes. Peak: memory of all servers together. Loopback: of the whole machine.\n',
    `${CROWDED_MARK} More processes than the ${cores} cores: they take time from each other, and nothing here can be linear.\n`,
    explainCells(cells),
  ].join('');
}

function serverLabel({ dimensions: { transport, runtime } }: ReportCell): string {
  return cellLabel(transport!, runtime!);
}

function label({ dimensions: { servers, generators }, notes }: ReportCell): string {
  return `${servers} × ${generators}${notes?.cores === undefined ? '' : ` ${CROWDED_MARK}`}`;
}

function numberOf(text: string | undefined): number | undefined {
  return text === undefined ? undefined : Number(text);
}

function formatPercent(share: number): string {
  return `${Math.round(share * 100)} %`;
}
