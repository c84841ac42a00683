/**
 * The suite `log`: what making writes durable costs. The same SETs under every policy, without a log, and against Redis with
 * its append-only file under the policies that it has: acknowledged writes a second, latency, CPU time per operation.
 *
 * All logs lie in the same folder, so on the same disk, whose speed decides most of `always`.
 */
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { FsyncPolicy } from '../../../core/log/committer.ts';
import { closing, makeSpare } from '../../../core/log/segments.ts';
import { ALL_SLOTS } from '../../../core/slots.ts';
import type { Context } from '../../../runtime/command/cli.ts';
import { usageError } from '../../../runtime/command/errors.ts';
import { shardDirectory } from '../../../runtime/disk/data-directory.ts';
import { DirectoryDisk } from '../../../runtime/disk/directory.ts';
import type { RuntimeName } from '../../../runtime/runtime.ts';
import type { TransportName } from '../../../transports/transport.ts';
import { type ChosenClient, chooseClient, type GeneratorFlags } from '../../load/choose-generator.ts';
import { loadDimensions, planLoad } from '../../load/client-load.ts';
import { explainCells, type FigureColumn, renderCells } from '../../results/cells-table.ts';
import type { Dimensions, Measured, Report, ReportCell } from '../../results/report.ts';
import { runSuite, type Step } from '../../results/run.ts';
import { formatMicros, formatNumber } from '../../results/table.ts';
import { type Cell, type CellOptions, type CellResult, cellLabel, measureServed } from '../../servers/cell.ts';
import { unpinned } from '../../servers/pinning.ts';
import { whyNoProcessFigures } from '../../servers/process-figures.ts';
import { startServerChild } from '../../servers/server.ts';
import { selectCells, survey, versionsOf } from '../../servers/survey.ts';
import { findPeers, startPeer } from '../peers/peer-server.ts';

/** Frames in flight on each connection. */
const DEPTH = 1;

/** More than a disk holds, so that no snapshot is made: Redis makes none either. */
const MAX_LOG = '1000000g';

/** Spare files have the index of a segment that they were; no server under this suite gets so far. */
const SPARE_INDEX = 1_000_000;

/** `none` is a server without a log. */
export type LogPolicy = FsyncPolicy | 'none';

export interface LogFlags extends GeneratorFlags {
  readonly [flag: string]: unknown;
  readonly runtimes: readonly RuntimeName[];
  readonly transports: readonly TransportName[];
  readonly policies: readonly LogPolicy[];
  readonly batches: readonly number[];
  readonly connections: readonly number[];
  readonly readShare: number;
  readonly keys: number;
  readonly valueSize: number;
  readonly rounds: number;
  readonly seconds: number;
  readonly seed: number;
  /** Where the logs are made, each in a folder of its own that is removed afterwards. */
  readonly folder: string;
  /** So many segments lie ready in each log of ours, as its own do once a snapshot has taken their place. */
  readonly spares: number;
}

/** What this suite's JSON has besides. */
export interface LogOwn {
  /** Names the sequence of operations that all of them were given. */
  readonly workload: string;
}

export type LogReport = Report & LogOwn;

export interface LogOptions {
  readonly flags: LogFlags;
  /** The file for the JSON; undefined for none. */
  readonly json: string | undefined;
  readonly context: Context;
  readonly signal: AbortSignal;
}

/** One of ours, or Redis, under a policy. */
interface Subject {
  readonly cell: Cell | undefined;
  readonly policy: LogPolicy;
  readonly connections: number;
  readonly client: ChosenClient;
}

/**
 * Resolves to the exit code. Rejects with a `CommandError` when anything goes wrong in a cell: a reply that is wrong, missing
 * or an error, a server that ends.
 */
export async function log({ flags, json, context, signal }: LogOptions): Promise<number> {
  const unreadable = whyNoProcessFigures();
  if (unreadable !== undefined) throw usageError(`bench log can't tell the CPU time of Redis: ${unreadable}`);
  const all = await survey(context, signal);
  const chosen = selectCells(all, flags.runtimes, flags.transports);
  const peers = await findPeers(['redis']);
  const cells = [...chosen.cells, ...peers.found.map(() => undefined)];
  const subjects = flags.connections.flatMap((connections) =>
    cells.flatMap((cell) =>
      flags.policies.map((policy): Subject => {
        return { cell, policy, connections, client: chooseClient(all, cell?.transport ?? 'node', flags, 'busy') };
      }),
    ),
  );
  let workload = '';
  const measure = async (subject: Subject, { onPhase, onPhaseEnd }: Step): Promise<Measured[]> => {
    const result = await measureOnce(subject, flags, {
      entry: context.entry,
      generator: subject.client.runtime,
      plan: {
        ...planLoad({ ...flags, connections: subject.connections, depth: DEPTH }, subject.client),
        mix: { readShare: flags.readShare, distribution: 'zipfian' },
        batches: flags.batches,
      },
      signal,
      onPhase,
      onPhaseEnd,
    });
    workload = result.workload;
    return result.measurements.map(({ batch, ...measured }) => ({
      dimensions: dimensionsOf(subject, batch, flags),
      ...measured,
    }));
  };
  return runSuite<Subject, LogOwn>({
    name: 'log',
    flags,
    versions: {
      ...versionsOf(
        all,
        [...chosen.cells, ...subjects.map(({ client }) => client)].map(({ runtime }) => runtime),
      ),
      ...Object.fromEntries(peers.found.map(({ name, version }) => [name, version])),
    },
    skipped: [...peers.skipped, ...chosen.skipped],
    subjects,
    label: ({ cell, policy, connections }) => `${nameOf(cell)}, ${policy}, ${connections} connections`,
    phases: 1 + flags.batches.length,
    measure,
    order: flags.batches.flatMap((batch) => subjects.map((subject) => dimensionsOf(subject, batch, flags))),
    own: () => ({ workload }),
    format: (report) => formatLog(report, flags),
    json,
    signal,
  });
}

async function measureOnce(
  { cell, policy, connections }: Subject,
  flags: LogFlags,
  options: CellOptions,
): Promise<CellResult> {
  const { entry, signal } = options;
  if (cell === undefined) {
    const { keys, valueSize: valueBytes } = flags;
    // A rewrite of the file is a process of its own, whose CPU time nobody counts. Ours makes no snapshot either: see `MAX_LOG`.
    const appending = ['--appendonly', 'yes', '--appendfsync', policy, '--auto-aof-rewrite-percentage', '0'];
    const needs = { keys, valueBytes, connections, args: policy === 'none' ? [] : appending };
    await using peer = await startPeer('redis', needs, { signal, pinning: unpinned, parent: flags.folder });
    const { address, language, pid } = peer;
    return await measureServed({ addresses: [address], language, pids: [pid], stderr: () => peer.stderr }, options);
  }
  const data = await mkdtemp(join(flags.folder, 'ringkv-bench-log-'));
  try {
    if (policy !== 'none') await makeSpares(data, flags.spares);
    const serverFlags = logFlags(policy, data);
    const { child, address } = await startServerChild(cell.runtime, entry, cell.transport, {
      signal,
      flags: serverFlags,
    });
    await using ours = child;
    return await measureServed(
      { addresses: [address], language: 'ringkv', pids: [ours.pid], stderr: () => ours.stderr },
      options,
    );
  } finally {
    await rm(data, { recursive: true, force: true });
  }
}

/** What `serve` is told for a log under a policy in a folder of its own. */
export function logFlags(policy: LogPolicy, data: string): readonly string[] {
  if (policy === 'none') return [];
  return ['--data', data, '--fsync', policy, '--max-log', MAX_LOG, '--snapshot-every', '0'];
}

async function makeSpares(data: string, count: number): Promise<void> {
  const path = shardDirectory(data, ALL_SLOTS);
  await mkdir(path);
  const disk = new DirectoryDisk(path);
  for (let index = 1; index <= count; index++) {
    const name = await makeSpare(disk, SPARE_INDEX + index);
    // Segments that were used are on the disk: nothing of these is to be written while others are measured.
    await closing(await disk.open(name), (file) => file.sync());
  }
}

function dimensionsOf({ cell, policy, connections, client }: Subject, batch: number, flags: LogFlags): Dimensions {
  return {
    ...(cell === undefined ? { peer: 'redis' } : { peer: null, runtime: cell.runtime.name, transport: cell.transport }),
    fsync: policy,
    batch,
    ...loadDimensions({ ...flags, connections, depth: DEPTH }, client),
  };
}

// For people

const columns: readonly FigureColumn[] = [
  { title: 'ops/s', figure: 'opsPerSecond', best: 'highest', format: formatNumber },
  { title: '', figure: 'opsPerSecond', bar: true, format: formatNumber },
  { title: 'p50', figure: 'p50Micros', best: 'lowest', format: formatMicros },
  { title: 'p99', figure: 'p99Micros', best: 'lowest', format: formatMicros },
  { title: 'p99.9', figure: 'p999Micros', best: 'lowest', format: formatMicros },
  { title: 'server µs/op', figure: 'serverMicrosPerOp', best: 'lowest', format: formatNumber },
  { title: 'cores', figure: 'serverCores', format: formatNumber },
];

function formatLog({ cells, workload }: LogReport, flags: LogFlags): string {
  const { keys, valueSize, rounds, seconds, readShare, folder, spares } = flags;
  const groups = flags.batches.flatMap((batch) => flags.connections.map((connections) => ({ batch, connections })));
  return [
    `${Math.round((1 - readShare) * 100)} % SET, ${keys} keys, values of ${valueSize} bytes, logs in ${folder}${spares > 0 ? ` with ${spares} spare segment${spares === 1 ? '' : 's'}` : ''}; workload ${workload}\n`,
    `${rounds} round${rounds === 1 ? '' : 's'} of ${seconds} s\n`,
    ...groups.map(({ batch, connections }) => {
      const same = cells.filter(
        ({ dimensions }) => dimensions.batch === batch && dimensions.connections === connections,
      );
      return `\nbatch ${batch}, ${connections} connections\n${renderCells({ label, columns, cells: same })}`;
    }),
    '\nOperations count when their replies are there: under always, when they are durable. Latency is per batch.\n',
    'Server: CPU time of the whole process from /proc, per operation and per time.\n',
    explainCells(cells),
  ].join('');
}

function label({ dimensions: { peer, transport, runtime, fsync } }: ReportCell): string {
  return `${peer ?? cellLabel(transport!, runtime!)}, ${fsync}`;
}

function nameOf(cell: Cell | undefined): string {
  return cell === undefined ? 'redis' : cellLabel(cell.transport, cell.runtime.name);
}
