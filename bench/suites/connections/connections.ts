/**
 * The suite `connections`: what a server does with very many of them, in each runtime and transport: CPU time while they are
 * idle, then latency while each sends one operation per second.
 *
 * Goal: whether many connections are held, what they cost, and how late the last of them is served.
 * Non-goal: throughput; the generator is far from its limit.
 */
import { fileURLToPath } from 'node:url';
import type { Context } from '../../../runtime/command/cli.ts';
import { messageOf, usageError } from '../../../runtime/command/errors.ts';
import { scriptCommand } from '../../../runtime/find.ts';
import type { RuntimeName } from '../../../runtime/runtime.ts';
import type { TransportName } from '../../../transports/transport.ts';
import { type ChosenClient, chooseClient, type GeneratorFlags } from '../../load/choose-generator.ts';
import { WARMUP_SHARE } from '../../load/plan.ts';
import { explainCells, type FigureColumn, renderCells } from '../../results/cells-table.ts';
import type { Measured, ReportCell } from '../../results/report.ts';
import { runSuite } from '../../results/run.ts';
import { formatMicros, formatNumber } from '../../results/table.ts';
import { type Cell, cellLabel } from '../../servers/cell.ts';
import { Child } from '../../servers/child.ts';
import { hardLimit, withOpenFiles } from '../../servers/open-files.ts';
import { startServerChild } from '../../servers/server.ts';
import { selectCells, survey, versionsOf } from '../../servers/survey.ts';
import type { ConnectionsAnswer, ConnectionsPlan } from './connections-figures.ts';

/** Open files of a server or generator that are no connections: its own, those of its runtime, and some to spare. */
const OTHER_FILES = 100;

export interface ConnectionsFlags extends GeneratorFlags {
  readonly [flag: string]: unknown;
  readonly runtimes: readonly RuntimeName[];
  readonly transports: readonly TransportName[];
  readonly idle: number;
  readonly idleSeconds: number;
  readonly connections: number;
  readonly seconds: number;
  readonly rounds: number;
  readonly seed: number;
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
  const all = await survey(context, signal);
  const chosen = selectCells(all, flags.runtimes, flags.transports);
  const subjects = chosen.cells.map(
    (cell): Subject => ({ ...cell, client: chooseClient(all, cell.transport, flags, 'timed') }),
  );
  return runSuite({
    name: 'connections',
    flags,
    versions: versionsOf(
      all,
      subjects.flatMap(({ runtime, client }) => [runtime, client.runtime]),
    ),
    skipped: chosen.skipped,
    subjects,
    label: ({ transport, runtime }) => cellLabel(transport, runtime.name),
    measure: async (subject) => [await measureOnce(subject, flags, context.entry, signal)],
    format: ({ cells }) => formatConnections(cells, flags),
    json,
    signal,
  });
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

interface Subject extends Cell {
  readonly client: ChosenClient;
}

async function measureOnce(
  { runtime, transport, client }: Subject,
  flags: ConnectionsFlags,
  entry: string,
  signal: AbortSignal,
): Promise<Measured> {
  const { idle, idleSeconds, connections, seconds, seed } = flags;
  const openFiles = connections + OTHER_FILES;
  const server = await startServerChild(runtime, entry, transport, { signal, openFiles });
  await using serverChild = server.child;
  const plan: ConnectionsPlan = {
    address: server.address,
    transport: client.transport,
    idle,
    idleSeconds,
    connections,
    warmupSeconds: seconds * WARMUP_SHARE,
    seconds,
    seed,
  };
  const script = fileURLToPath(new URL('./connections-process.js', import.meta.url));
  const command = withOpenFiles(scriptCommand(client.runtime, script, [JSON.stringify(plan)]), openFiles);
  await using generatorChild = new Child('the load generator', command, signal);
  try {
    const answer = JSON.parse(await generatorChild.line()) as ConnectionsAnswer;
    return {
      dimensions: {
        runtime: runtime.name,
        transport,
        connections,
        clientRuntime: client.runtime.name,
        clientTransport: client.transport,
      },
      ...answer,
    };
  } catch (error) {
    throw new Error(`${messageOf(error)}; the server says: ${serverChild.stderr}`, { cause: error });
  }
}

// For people

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

function formatConnections(cells: readonly ReportCell[], flags: ConnectionsFlags): string {
  const { idle, idleSeconds, rounds, seconds } = flags;
  return [
    `${idle} idle connections for ${idleSeconds} s, then ${flags.connections} with one operation per second each for ${seconds} s; `,
    `${rounds} round${rounds === 1 ? '' : 's'}\n\n`,
    renderCells({
      label: ({ dimensions: { transport, runtime } }) => cellLabel(transport!, runtime!),
      columns,
      cells,
    }),
    '\nCPU in percent of a core. Latency counts from the time an operation was due; late: how long after that the generator ',
    'sent it.\n',
    explainCells(cells),
  ].join('');
}

/** Of a core, in percent. */
function formatShare(cores: number): string {
  return `${formatNumber(cores * 100)} %`;
}
