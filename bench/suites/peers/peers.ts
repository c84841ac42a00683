/**
 * The suite `peers`: ringkv against the stores that people use. All get the same YCSB-B operations, as pipelines of their own
 * protocol where ringkv gets frames, from the same load generator, in one run and one shuffled order.
 *
 * The CPU time of all of them comes from /proc, since what INFO tells is ringkv's alone.
 *
 * Non-goals: what these stores can do beyond GET and SET, and with more than one thread for requests.
 */
import type { Context } from '../../../runtime/command/cli.ts';
import { usageError } from '../../../runtime/command/errors.ts';
import type { RuntimeName } from '../../../runtime/runtime.ts';
import type { TransportName } from '../../../transports/transport.ts';
import { type ChosenClient, chooseClient, type GeneratorFlags } from '../../load/choose-generator.ts';
import { loadDimensions, planLoad } from '../../load/client-load.ts';
import { explainCells, type FigureColumn, renderCells } from '../../results/cells-table.ts';
import type { Dimensions, Measured, Report, ReportCell } from '../../results/report.ts';
import { runSuite, type Step } from '../../results/run.ts';
import { formatMicros, formatNumber } from '../../results/table.ts';
import { type Cell, type CellOptions, type CellResult, cellLabel, measureServed } from '../../servers/cell.ts';
import { pinned, unpinned } from '../../servers/pinning.ts';
import { whyNoProcessFigures } from '../../servers/process-figures.ts';
import { startServerChild } from '../../servers/server.ts';
import { selectCells, survey, versionsOf } from '../../servers/survey.ts';
import type { PeerName } from './peer-names.ts';
import { type FoundPeer, findPeers, startPeer } from './peer-server.ts';

export interface PeersFlags extends GeneratorFlags {
  readonly [flag: string]: unknown;
  readonly peers: readonly PeerName[];
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
  readonly generators: number;
  readonly pin: boolean;
}

/** What this suite's JSON has besides. */
export interface PeersOwn {
  /** Names the sequence of operations that all of them were given. */
  readonly workload: string;
}

export type PeersReport = Report & PeersOwn;

export interface PeersOptions {
  readonly flags: PeersFlags;
  /** The file for the JSON; undefined for none. */
  readonly json: string | undefined;
  readonly context: Context;
  readonly signal: AbortSignal;
}

/** What is measured: one of ours, or another store. */
interface Subject {
  readonly server: Cell | FoundPeer;
  readonly client: ChosenClient;
}

/**
 * Resolves to the exit code. Rejects with a `CommandError` when none of the other stores is here, and when anything goes wrong
 * in a cell: a reply that is wrong, missing or an error, a server that ends.
 */
export async function peers({ flags, json, context, signal }: PeersOptions): Promise<number> {
  const unreadable = whyNoProcessFigures();
  if (unreadable !== undefined) throw usageError(`bench peers can't tell the CPU time of other servers: ${unreadable}`);
  if (flags.connections < flags.generators) {
    throw usageError(`--generators ${flags.generators}: expected at most --connections ${flags.connections}`);
  }
  const others = await findPeers(flags.peers);
  if (others.found.length === 0) {
    const reasons = others.skipped.map(({ label, reason }) => `${label}: ${reason}`);
    throw usageError(`there is nothing to compare with; ${reasons.join('; ')}`);
  }
  const all = await survey(context, signal);
  const chosen = selectCells(all, flags.runtimes, flags.transports);
  const subjects = [
    ...chosen.cells.map(
      (cell): Subject => ({ server: cell, client: chooseClient(all, cell.transport, flags, 'busy') }),
    ),
    ...others.found.map((peer): Subject => ({ server: peer, client: chooseClient(all, 'node', flags, 'busy') })),
  ];
  const pinning = flags.pin ? pinned(1, flags.generators) : unpinned;
  let workload = '';
  const measure = async (subject: Subject, { onPhase, onPhaseEnd }: Step): Promise<Measured[]> => {
    const result = await measureOnce(subject, flags, {
      entry: context.entry,
      generator: subject.client.runtime,
      generators: flags.generators,
      pinning,
      plan: {
        ...planLoad(flags, subject.client),
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
  return runSuite<Subject, PeersOwn>({
    name: 'peers',
    flags,
    versions: {
      ...versionsOf(all, [
        ...chosen.cells.map(({ runtime }) => runtime),
        ...subjects.map(({ client }) => client.runtime),
      ]),
      ...Object.fromEntries(others.found.map(({ name, version }) => [name, version])),
    },
    skipped: [...others.skipped, ...chosen.skipped],
    subjects,
    label: ({ server }) => ('name' in server ? server.name : cellLabel(server.transport, server.runtime.name)),
    phases: 1 + flags.batches.length,
    measure,
    order: flags.batches.flatMap((batch) => subjects.map((subject) => dimensionsOf(subject, batch, flags))),
    own: () => ({ workload }),
    format: (report) => formatPeers(report, flags),
    json,
    signal,
  });
}

async function measureOnce({ server }: Subject, flags: PeersFlags, options: CellOptions): Promise<CellResult> {
  const { signal, pinning = unpinned } = options;
  if ('name' in server) {
    const needs = { keys: flags.keys, valueBytes: flags.valueSize, connections: flags.connections };
    await using peer = await startPeer(server.name, needs, { signal, pinning });
    const { address, language, pid } = peer;
    return await measureServed({ addresses: [address], language, pids: [pid], stderr: () => peer.stderr }, options);
  }
  const { child, address } = await startServerChild(server.runtime, options.entry, server.transport, {
    signal,
    pinning,
  });
  await using ours = child;
  return await measureServed(
    { addresses: [address], language: 'ringkv', pids: [ours.pid], stderr: () => ours.stderr },
    options,
  );
}

function dimensionsOf({ server, client }: Subject, batch: number, flags: PeersFlags): Dimensions {
  return {
    ...('name' in server
      ? { peer: server.name }
      : { peer: null, runtime: server.runtime.name, transport: server.transport }),
    batch,
    ...loadDimensions(flags, client),
    generators: flags.generators,
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
  { title: 'client µs/op', figure: 'generatorMicrosPerOp', format: formatNumber },
  {
    title: 'peak MiB',
    figure: 'serverPeakBytes',
    best: 'lowest',
    format: (bytes) => String(Math.round(bytes / 2 ** 20)),
  },
];

function formatPeers({ cells, workload }: PeersReport, flags: PeersFlags): string {
  const { connections, depth, keys, valueSize, rounds, seconds } = flags;
  return [
    `YCSB-B, ${keys} keys, values of ${valueSize} bytes, ${connections} connections with ${depth} in flight each; workload ${workload}\n`,
    `${rounds} round${rounds === 1 ? '' : 's'} of ${seconds} s\n`,
    ...flags.batches.map((batch) => {
      const same = cells.filter(({ dimensions }) => dimensions.batch === batch);
      return `\nbatch ${batch}, which is the pipeline depth of the others\n${renderCells({ label, columns, cells: same })}`;
    }),
    '\nLatency is per batch. Server: CPU time of the whole process from /proc, per operation and per time; client: that of the ',
    'load generator.\nThe others have one thread for requests and persistence off.\n',
    explainCells(cells),
  ].join('');
}

function label({ dimensions: { peer, transport, runtime } }: ReportCell): string {
  return peer ?? cellLabel(transport!, runtime!);
}
