/**
 * The suite `ycsb`: the core workloads of the Yahoo! Cloud Serving Benchmark, on every transport in every runtime. Each
 * server is fresh, gets the records in the load phase, and then one workload after the other in the order that YCSB
 * recommends: A, B, C, F, D, the one that inserts last.
 *
 * Source: Cooper, Silberstein, Tam, Ramakrishnan, Sears, "Benchmarking Cloud Serving Systems with YCSB", SoCC 2010.
 *
 * Non-goals: workload E, which scans in the order of keys; batches, which YCSB has none of.
 */
import { fileURLToPath } from 'node:url';
import type { Context } from '../../../runtime/command/cli.ts';
import { scriptCommand } from '../../../runtime/find.ts';
import type { RuntimeName } from '../../../runtime/runtime.ts';
import type { TransportName } from '../../../transports/transport.ts';
import { type ChosenClient, chooseClient } from '../../load/choose-generator.ts';
import { WARMUP_SHARE } from '../../load/plan.ts';
import type { Dimensions, Measured, Report } from '../../results/report.ts';
import { runSuite, type Step } from '../../results/run.ts';
import { type Cell, cellLabel } from '../../servers/cell.ts';
import { Child } from '../../servers/child.ts';
import { pinned, unpinned } from '../../servers/pinning.ts';
import { startServerChild } from '../../servers/server.ts';
import { selectCells, survey, versionsOf } from '../../servers/survey.ts';
import { Records } from './records.ts';
import type { DistributionName, OperationName, WorkloadName } from './workload-names.ts';
import { workloads } from './workloads.ts';
import type { PhaseReport, WriteBack, YcsbPlan } from './ycsb-plan.ts';
import { formatYcsb } from './ycsb-table.ts';

export interface YcsbFlags {
  readonly [flag: string]: unknown;
  readonly runtimes: readonly RuntimeName[];
  readonly transports: readonly TransportName[];
  readonly workloads: readonly WorkloadName[];
  readonly records: number;
  readonly fields: number;
  readonly fieldSize: number;
  readonly distribution: DistributionName | undefined;
  readonly writeBack: WriteBack;
  readonly connections: number;
  readonly rounds: number;
  readonly seconds: number;
  readonly seed: number;
  readonly generator: RuntimeName | undefined;
  readonly clientTransport: TransportName | undefined;
  readonly pin: boolean;
}

/** What this suite's JSON has besides. */
export interface YcsbOwn {
  /** Names the operations that were drawn in each workload: the same for every server of a run. */
  readonly drawn: Readonly<Partial<Record<WorkloadName, string>>>;
}

export type YcsbReport = Report & YcsbOwn;

export interface YcsbOptions {
  readonly flags: YcsbFlags;
  /** The file for the JSON; undefined for none. */
  readonly json: string | undefined;
  readonly context: Context;
  readonly signal: AbortSignal;
}

interface YcsbSubject extends Cell {
  readonly client: ChosenClient;
}

/** In the dimension `operation`: the figures of all operations together. */
export const ALL_OPERATIONS = 'all';

/** YCSB's own order, so that records are inserted when nobody needs their number any more. */
const RUN_ORDER: readonly WorkloadName[] = ['A', 'B', 'C', 'F', 'D'];

/** Resolves to the exit code. Rejects with a `CommandError` when a server fails, and when a reply is wrong or missing. */
export async function ycsb({ flags, json, context, signal }: YcsbOptions): Promise<number> {
  const all = await survey(context, signal);
  const chosen = selectCells(all, flags.runtimes, flags.transports);
  const subjects = chosen.cells.map(
    (cell): YcsbSubject => ({ ...cell, client: chooseClient(all, cell.transport, flags, 'busy') }),
  );
  const run = RUN_ORDER.filter((name) => flags.workloads.includes(name));
  const drawn: Partial<Record<WorkloadName, string>> = {};
  const measure = async (subject: YcsbSubject, step: Step): Promise<Measured[]> => {
    const reports = await measureServer(subject, { flags, run, entry: context.entry, step });
    for (const { workload, drawn: hash } of reports) if (workload !== null) drawn[workload] = hash;
    return reports.flatMap((report) => measuredOf(subject, report, flags));
  };
  return runSuite<YcsbSubject, YcsbOwn>({
    name: 'ycsb',
    flags,
    versions: versionsOf(all, [
      ...chosen.cells.map(({ runtime }) => runtime),
      ...subjects.map(({ client }) => client.runtime),
    ]),
    skipped: chosen.skipped,
    subjects,
    label: ({ transport, runtime }) => cellLabel(transport, runtime.name),
    phases: 1 + run.length,
    measure,
    order: [null, ...flags.workloads].flatMap((workload) =>
      subjects.flatMap((subject) =>
        ([ALL_OPERATIONS, ...operationsOf(workload)] as const).map((operation) =>
          dimensionsOf(subject, workload, operation, flags),
        ),
      ),
    ),
    own: () => ({ drawn }),
    format: (report) => formatYcsb(report, flags),
    json,
    signal,
  });
}

interface Measuring {
  readonly flags: YcsbFlags;
  readonly run: readonly WorkloadName[];
  readonly entry: string;
  readonly step: Step;
}

/** The load phase and all workloads, on a fresh server. */
async function measureServer(subject: YcsbSubject, { flags, run, entry, step }: Measuring): Promise<PhaseReport[]> {
  const { runtime, transport, client } = subject;
  const { signal } = step;
  const pinning = flags.pin ? pinned() : unpinned;
  step.onPhase('loading');
  const server = await startServerChild(runtime, entry, transport, { signal, pinning });
  await using serverChild = server.child;
  const plan: YcsbPlan = {
    address: server.address,
    transport: client.transport,
    connections: flags.connections,
    records: flags.records,
    fields: flags.fields,
    fieldBytes: flags.fieldSize,
    workloads: run,
    distribution: flags.distribution,
    writeBack: flags.writeBack,
    warmupSeconds: flags.seconds * WARMUP_SHARE,
    seconds: flags.seconds,
    seed: flags.seed,
  };
  const script = fileURLToPath(new URL('./ycsb-process.js', import.meta.url));
  const command = pinning.generator(scriptCommand(client.runtime, script, [JSON.stringify(plan)]));
  await using generator = new Child('the load generator', command, signal);
  const reports: PhaseReport[] = [];
  try {
    for (const name of [undefined, ...run]) {
      if (name !== undefined) step.onPhase(`workload ${name}`);
      reports.push(JSON.parse(await generator.line()) as PhaseReport);
      step.onPhaseEnd();
    }
  } catch (error) {
    throw new Error(`${(error as Error).message}; the server says: ${serverChild.stderr}`, { cause: error });
  }
  return reports;
}

/** A phase as cells: one of all operations with the CPU times, and one of each kind with its latencies. */
function measuredOf(subject: YcsbSubject, report: PhaseReport, flags: YcsbFlags): Measured[] {
  const { workload, figures, lostPerReadModifyWrite, operations } = report;
  const lost = workload !== null && 'readModifyWrite' in workloads[workload].shares ? { lostPerReadModifyWrite } : {};
  return [
    { dimensions: dimensionsOf(subject, workload, ALL_OPERATIONS, flags), figures: { ...figures, ...lost } },
    ...operationsOf(workload).flatMap((operation): Measured[] => {
      const measured = operations[operation];
      return measured === undefined
        ? []
        : [{ dimensions: dimensionsOf(subject, workload, operation, flags), ...measured }];
    }),
  ];
}

/** Kinds of operations that a workload, or null for the load phase, has latencies of: requests of others among them. */
export function operationsOf(workload: WorkloadName | null): readonly OperationName[] {
  if (workload === null) return ['insert'];
  const { shares } = workloads[workload];
  return 'readModifyWrite' in shares ? ['read', 'update', 'readModifyWrite'] : (Object.keys(shares) as OperationName[]);
}

function dimensionsOf(
  { runtime, transport, client }: YcsbSubject,
  workload: WorkloadName | null,
  operation: OperationName | typeof ALL_OPERATIONS,
  { connections, records, fields, fieldSize }: YcsbFlags,
): Dimensions {
  return {
    workload: workloadLabel(workload),
    phase: workload === null ? 'load' : 'run',
    operation,
    runtime: runtime.name,
    transport,
    clientRuntime: client.runtime.name,
    clientTransport: client.transport,
    connections,
    keys: records,
    valueSize: new Records(fields, fieldSize).bytes,
  };
}

/** The dimension `workload`: `ycsb-a`; of the load phase, which all have in common, `ycsb`. */
export function workloadLabel(workload: WorkloadName | null): string {
  return workload === null ? 'ycsb' : `ycsb-${workload.toLowerCase()}`;
}
