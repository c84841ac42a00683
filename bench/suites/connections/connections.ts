/**
 * The suite `connections`: what a server does with very many of them, in each runtime and transport: CPU time while they are
 * idle, then latency while each sends one operation per second.
 *
 * Goal: whether many connections are held, what they cost, and how late the last of them is served.
 * Non-goal: throughput; the generator is far from its limit.
 */
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import type { Context } from '../../../runtime/command/cli.ts';
import { CommandError, ExitCode, messageOf, usageError } from '../../../runtime/command/errors.ts';
import { type FoundRuntime, scriptCommand } from '../../../runtime/find.ts';
import type { RuntimeName } from '../../../runtime/runtime.ts';
import type { TransportName } from '../../../transports/transport.ts';
import { chooseGenerator, type GeneratorFlags } from '../../load/choose-generator.ts';
import { WARMUP_SHARE } from '../../load/plan.ts';
import { Random } from '../../load/random.ts';
import { Progress } from '../../results/progress.ts';
import { assertWritable, formatHead, type ReportHead, reportHead, writeReport } from '../../results/report.ts';
import { type Summary, summarizeFigures } from '../../results/statistics.ts';
import {
  BEST_MARK,
  formatMicros,
  formatNumber,
  formatRange,
  renderTable,
  type Cell as TableCell,
} from '../../results/table.ts';
import { type Cell, cellLabel } from '../../servers/cell.ts';
import { Child } from '../../servers/child.ts';
import { hardLimit, withOpenFiles } from '../../servers/open-files.ts';
import { startServerChild } from '../../servers/server.ts';
import { formatSkipped, type Skipped, selectCells, survey, versionsOf } from '../../servers/survey.ts';
import type { ConnectionsFigures, ConnectionsPlan } from './connections-figures.ts';

/** Open files of a server or generator that are no connections: its own, those of its runtime, and some to spare. */
const OTHER_FILES = 100;

export interface ConnectionsFlags extends GeneratorFlags {
  readonly runtimes: readonly RuntimeName[];
  readonly transports: readonly TransportName[];
  readonly idle: number;
  readonly idleSeconds: number;
  readonly connections: number;
  readonly seconds: number;
  readonly rounds: number;
  readonly seed: number;
}

/** The suite's JSON. */
export interface ConnectionsReport extends ReportHead {
  readonly suite: 'connections';
  /** What ran the load generator. */
  readonly generator: RuntimeName;
  readonly skipped: readonly Skipped[];
  readonly rounds: readonly ConnectionsRound[];
  readonly cells: readonly ConnectionsCell[];
}

/** One cell in one round; in the order of time. */
export interface ConnectionsRound {
  /** From 1. */
  readonly round: number;
  readonly runtime: RuntimeName;
  readonly transport: TransportName;
  readonly figures: ConnectionsFigures;
}

/** One cell over all rounds. */
export interface ConnectionsCell {
  readonly runtime: RuntimeName;
  readonly transport: TransportName;
  readonly figures: Readonly<Record<keyof ConnectionsFigures, Summary>>;
}

export interface ConnectionsOptions {
  readonly flags: ConnectionsFlags;
  /** The file for the JSON; undefined for none. */
  readonly json: string | undefined;
  readonly context: Context;
  readonly signal: AbortSignal;
}

/**
 * Resolves to the exit code. Rejects with a `CommandError` when the limit of open files is too low, and when anything goes
 * wrong in a cell: a connection that is refused or lost, a reply that is wrong or missing.
 */
export async function connections({ flags, json, context, signal }: ConnectionsOptions): Promise<number> {
  if (flags.connections < flags.idle) {
    throw usageError(
      `--connections ${flags.connections}: expected at least --idle ${flags.idle}, which are among them`,
    );
  }
  await assertOpenFiles(flags.connections);
  if (json !== undefined) assertWritable(json);
  const all = await survey(context, signal);
  const chosen = selectCells(all, flags.runtimes, flags.transports);
  const generator = chooseGenerator(all, flags);
  const runtimes = [...chosen.cells.map(({ runtime }) => runtime), generator];
  const head = await reportHead('connections', versionsOf(all, runtimes), { ...flags });
  process.stdout.write(formatHead(head) + formatSkipped(chosen.skipped));
  const rounds = await measureRounds(chosen.cells, { flags, generator, context, signal });
  const report: ConnectionsReport = {
    ...head,
    suite: 'connections',
    generator: generator.name,
    skipped: chosen.skipped,
    rounds,
    cells: summarizeRounds(chosen.cells, rounds),
  };
  process.stdout.write(formatConnections(report.cells, flags));
  if (json !== undefined) writeReport(json, report);
  return ExitCode.OK;
}

/** Server and generator each have one file open per connection. Rejects with a `CommandError` when they may not. */
async function assertOpenFiles(connections: number): Promise<void> {
  const limit = await hardLimit();
  const needed = connections + OTHER_FILES;
  if (limit >= needed) return;
  throw usageError(
    `--connections ${connections} takes ${needed} open files in one process, and "ulimit -H -n" allows ${limit}: raise it ` +
      `("ulimit -n ${needed}" as root; LimitNOFILE= of systemd; nofile in /etc/security/limits.conf; --ulimit nofile= of a ` +
      `container) or take fewer, --connections ${Math.max(1, limit - OTHER_FILES)}`,
  );
}

interface Measuring {
  readonly flags: ConnectionsFlags;
  readonly generator: FoundRuntime;
  readonly context: Context;
  readonly signal: AbortSignal;
}

async function measureRounds(cells: readonly Cell[], measuring: Measuring): Promise<ConnectionsRound[]> {
  const { flags } = measuring;
  const random = new Random(flags.seed);
  const progress = new Progress(flags.rounds * cells.length);
  const rounds: ConnectionsRound[] = [];
  try {
    for (let round = 1; round <= flags.rounds; round++) {
      for (const cell of random.shuffled(cells)) {
        const { transport } = cell;
        const runtime = cell.runtime.name;
        const where = `round ${round} of ${flags.rounds}, ${cellLabel(transport, runtime)}`;
        progress.show(where);
        const figures = await measureOnce(cell, measuring).catch((error: unknown) => {
          throw new CommandError(`${where}: ${messageOf(error)}`);
        });
        rounds.push({ round, runtime, transport, figures });
        progress.advance();
      }
    }
  } finally {
    progress.clear();
  }
  return rounds;
}

async function measureOnce(cell: Cell, { flags, generator, context, signal }: Measuring): Promise<ConnectionsFigures> {
  const { idle, idleSeconds, connections, seconds, seed, clientTransport } = flags;
  const openFiles = connections + OTHER_FILES;
  const server = await startServerChild(cell.runtime, context.entry, cell.transport, signal, openFiles);
  await using serverChild = server.child;
  const plan: ConnectionsPlan = {
    address: server.address,
    ...(clientTransport === undefined ? {} : { transport: clientTransport }),
    idle,
    idleSeconds,
    connections,
    warmupSeconds: seconds * WARMUP_SHARE,
    seconds,
    seed,
  };
  const script = fileURLToPath(new URL('./connections-process.js', import.meta.url));
  const command = withOpenFiles(scriptCommand(generator, script, [JSON.stringify(plan)]), openFiles);
  await using generatorChild = new Child('the load generator', command, signal);
  try {
    return JSON.parse(await generatorChild.line()) as ConnectionsFigures;
  } catch (error) {
    throw new Error(`${messageOf(error)}; the server says: ${serverChild.stderr}`, { cause: error });
  }
}

function summarizeRounds(cells: readonly Cell[], rounds: readonly ConnectionsRound[]): ConnectionsCell[] {
  return cells.map(({ transport, runtime: { name: runtime } }) => {
    const same = rounds.filter((one) => one.runtime === runtime && one.transport === transport);
    const figures = summarizeFigures<keyof ConnectionsFigures>(same.map((one) => one.figures));
    return { runtime, transport, figures };
  });
}

// For people

interface FigureColumn {
  readonly title: string;
  readonly figure: keyof ConnectionsFigures;
  readonly best?: 'lowest';
  readonly format: (value: number) => string;
}

const columns: readonly FigureColumn[] = [
  { title: 'idle CPU', figure: 'idleServerCores', best: 'lowest', format: formatShare },
  { title: 'ops/s', figure: 'opsPerSecond', format: formatNumber },
  { title: 'p50', figure: 'p50Micros', best: 'lowest', format: formatMicros },
  { title: 'p99', figure: 'p99Micros', best: 'lowest', format: formatMicros },
  { title: 'p99.9', figure: 'p999Micros', best: 'lowest', format: formatMicros },
  { title: 'max', figure: 'maxMicros', best: 'lowest', format: formatMicros },
  { title: 'late p99', figure: 'lateP99Micros', format: formatMicros },
  { title: 'server CPU', figure: 'serverCores', best: 'lowest', format: formatShare },
  { title: 'µs/op', figure: 'serverMicrosPerOp', best: 'lowest', format: formatNumber },
  {
    title: 'KiB/connection',
    figure: 'bytesPerConnection',
    format: (bytes) => formatNumber(bytes / 1024),
  },
];

function formatConnections(cells: readonly ConnectionsCell[], flags: ConnectionsFlags): string {
  const { idle, idleSeconds, rounds, seconds, seed } = flags;
  const head = [{ title: '' }, ...columns.map(({ title, best }) => (best ? { title, best } : { title }))];
  const rows = cells.flatMap((cell) => [medianRow(cell), ...(rounds > 1 ? [rangeRow(cell)] : [])]);
  return [
    `${idle} idle connections for ${idleSeconds} s, then ${flags.connections} with one operation per second each for ${seconds} s; `,
    `${rounds} round${rounds === 1 ? '' : 's'}, seed ${seed}\n\n`,
    renderTable(head, rows),
    `\n${BEST_MARK} best of its column. CPU in percent of a core. Latency counts from the time an operation was due; ` +
      'late: how long after that the generator sent it.\n',
    ...(rounds > 1 ? ['Medians over the rounds; below each, the least and the greatest.\n'] : []),
  ].join('');
}

function medianRow({ transport, runtime, figures }: ConnectionsCell): TableCell[] {
  const cells = columns.map(({ figure, format }) => {
    const value = figures[figure].median;
    return { text: format(value), value };
  });
  return [{ text: cellLabel(transport, runtime) }, ...cells];
}

function rangeRow({ figures }: ConnectionsCell): TableCell[] {
  return [{ text: '' }, ...columns.map(({ figure, format }) => ({ text: formatRange(figures[figure], format) }))];
}

/** Of a core, in percent. */
function formatShare(cores: number): string {
  return `${formatNumber(cores * 100)} %`;
}
