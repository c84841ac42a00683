/**
 * The suite `beside`: clients that behave send at a fixed rate, alone and beside something else, in turns: hostile clients of several
 * kinds, and a snapshot that is being made. Their latency counts from the time that a frame was due.
 *
 * Goal: whether what one client does, or the server for itself, is felt by the others.
 * Non-goal: how many hostile clients a machine can bear; those here leave it cores to spare.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Context } from '../../../runtime/command/cli.ts';
import { messageOf } from '../../../runtime/command/errors.ts';
import { type FoundRuntime, scriptCommand } from '../../../runtime/find.ts';
import type { RuntimeName } from '../../../runtime/runtime.ts';
import type { TransportName } from '../../../transports/transport.ts';
import { type ChosenClient, chooseClient, type GeneratorFlags } from '../../load/choose-generator.ts';
import { WARMUP_SHARE } from '../../load/plan.ts';
import { explainCells, type FigureColumn, renderCells } from '../../results/cells-table.ts';
import type { Dimensions, Measured, ReportCell } from '../../results/report.ts';
import { runSuite, type Step } from '../../results/run.ts';
import { formatMicros, formatNumber } from '../../results/table.ts';
import { type Cell, cellLabel } from '../../servers/cell.ts';
import { Child } from '../../servers/child.ts';
import { startServerChild } from '../../servers/server.ts';
import { selectCells, survey, versionsOf } from '../../servers/survey.ts';
import {
  ALONE,
  type BesideAnswer,
  type BesideOrder,
  type BesidePlan,
  type Disturbance,
  INTRUSIONS,
  type IntrudersPlan,
  type Intrusion,
} from './beside-plan.ts';

/** Files that server and intruders have open: a thousand connections, and what else they need. */
const OPEN_FILES = 2000;

export interface BesideFlags extends GeneratorFlags {
  readonly [flag: string]: unknown;
  readonly runtimes: readonly RuntimeName[];
  readonly transports: readonly TransportName[];
  readonly beside: readonly Disturbance[];
  readonly connections: number;
  readonly rate: number;
  readonly batch: number;
  readonly keys: number;
  readonly rounds: number;
  readonly seconds: number;
  readonly seed: number;
  /** Where the data is kept, each time in a folder of its own that is removed afterwards. */
  readonly folder: string;
}

export interface BesideOptions {
  readonly flags: BesideFlags;
  /** The file for the JSON; undefined for none. */
  readonly json: string | undefined;
  readonly context: Context;
  readonly signal: AbortSignal;
}

interface Subject extends Cell {
  readonly client: ChosenClient;
}

/**
 * Resolves to the exit code. Rejects with a `CommandError` when anything goes wrong for the clients that behave: a reply that is
 * wrong or missing, a connection that is lost.
 */
export async function beside({ flags, json, context, signal }: BesideOptions): Promise<number> {
  const all = await survey(context, signal);
  const chosen = selectCells(all, flags.runtimes, flags.transports);
  const subjects = chosen.cells.map(
    (cell): Subject => ({ ...cell, client: chooseClient(all, cell.transport, flags, 'timed') }),
  );
  return runSuite({
    name: 'beside',
    flags,
    versions: versionsOf(
      all,
      subjects.flatMap(({ runtime, client }) => [runtime, client.runtime]),
    ),
    skipped: chosen.skipped,
    subjects,
    label: ({ transport, runtime }) => cellLabel(transport, runtime.name),
    phases: 2 * flags.beside.length,
    measure: (subject, step) => measureOnce(subject, flags, context.entry, step),
    order: subjects.flatMap((subject) => [ALONE, ...flags.beside].map((phase) => dimensionsOf(subject, phase, flags))),
    format: ({ cells }) => formatBeside(cells, flags),
    json,
    signal,
  });
}

async function measureOnce(subject: Subject, flags: BesideFlags, entry: string, step: Step): Promise<Measured[]> {
  const { runtime, transport } = subject;
  const { signal } = step;
  const data = await mkdtemp(join(flags.folder, 'ringkv-bench-beside-'));
  try {
    const server = await startServerChild(runtime, entry, transport, {
      signal,
      openFiles: OPEN_FILES,
      flags: ['--data', data],
    });
    await using serverChild = server.child;
    await using processes = new Processes(subject.client, server.address, flags, signal);
    const measured: Measured[] = [];
    await processes.loaded();
    const measurePhase = async (phase: string): Promise<BesideAnswer> => {
      step.onPhase(phase);
      const answer = await processes.measure(phase, serverChild.pid).catch((error: unknown) => {
        throw new Error(`${phase}: ${messageOf(error)}`);
      });
      step.onPhaseEnd();
      return answer;
    };
    for (const disturbance of flags.beside) {
      const alone = await measurePhase(ALONE);
      const beside = await measurePhase(disturbance);
      // A pair that was measured one right after the other: what else runs on the host changes from one minute to the next.
      const timesAlone = beside.percentiles.p99Micros / alone.percentiles.p99Micros;
      measured.push(
        { ...alone, dimensions: dimensionsOf(subject, ALONE, flags) },
        {
          ...beside,
          figures: { ...beside.figures, timesAlone },
          dimensions: dimensionsOf(subject, disturbance, flags),
        },
      );
    }
    return measured;
  } finally {
    await rm(data, { recursive: true, force: true });
  }
}

/** The clients that behave, and the others: a process for each. */
class Processes implements AsyncDisposable {
  readonly #generator: Child;
  readonly #intruders: Child;

  constructor({ runtime, transport }: ChosenClient, address: string, flags: BesideFlags, signal: AbortSignal) {
    const { connections, rate, batch, keys, seconds, seed } = flags;
    const warmupSeconds = seconds * WARMUP_SHARE;
    const plan: BesidePlan = { address, transport, connections, rate, batch, keys, warmupSeconds, seconds, seed };
    const intruders: IntrudersPlan = { address };
    this.#generator = start('the load generator', runtime, './beside-process.js', plan, signal);
    this.#intruders = start('the intruders', runtime, './intruders-process.js', intruders, signal);
  }

  async loaded(): Promise<void> {
    await this.#generator.line();
  }

  /** One measurement, beside what the phase is called by. */
  async measure(phase: string, serverPid: number): Promise<BesideAnswer> {
    const isIntrusion = INTRUSIONS.includes(phase as Intrusion);
    this.#intruders.tell(isIntrusion ? phase : '');
    await this.#intruders.line();
    const order: BesideOrder = { alone: !isIntrusion, ...(phase === 'snapshot' && { snapshotsOf: serverPid }) };
    this.#generator.tell(JSON.stringify(order));
    return JSON.parse(await this.#generator.line()) as BesideAnswer;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([this.#generator[Symbol.asyncDispose](), this.#intruders[Symbol.asyncDispose]()]);
  }
}

function start(name: string, runtime: FoundRuntime, script: string, plan: object, signal: AbortSignal): Child {
  const path = fileURLToPath(new URL(script, import.meta.url));
  return new Child(name, scriptCommand(runtime, path, [JSON.stringify(plan)]), signal);
}

function dimensionsOf({ runtime, transport, client }: Subject, phase: string, flags: BesideFlags): Dimensions {
  return {
    runtime: runtime.name,
    transport,
    phase,
    batch: flags.batch,
    connections: flags.connections,
    clientRuntime: client.runtime.name,
    clientTransport: client.transport,
  };
}

// For people

function formatBeside(cells: readonly ReportCell[], flags: BesideFlags): string {
  const { connections, rate, batch, keys, rounds, seconds } = flags;
  const columns: readonly FigureColumn[] = [
    { title: 'p50', figure: 'p50Micros', format: formatMicros },
    { title: 'p99', figure: 'p99Micros', format: formatMicros },
    { title: '× alone', figure: 'timesAlone', format: formatNumber },
    { title: 'p99.9', figure: 'p999Micros', format: formatMicros },
    { title: 'late p99', figure: 'lateP99Micros', format: formatMicros },
    { title: 'cores', figure: 'serverCores', format: formatNumber },
    { title: 'turns', figure: 'turns', format: formatNumber },
    { title: '≥ 5 ms', figure: 'slowTurnShare', format: formatShare },
    { title: 'snapshot', figure: 'snapshotShare', format: formatShare },
  ];
  return [
    `${connections} clients with ${rate} frames a second in all, ${batch} operations each, YCSB-A on ${keys} keys, --fsync everysec; `,
    `${rounds} round${rounds === 1 ? '' : 's'} of ${seconds} s\n\n`,
    renderCells({
      label: ({ dimensions: { transport, runtime, phase } }) => `${cellLabel(transport!, runtime!)}, ${phase}`,
      columns,
      cells,
      compared: () => false,
    }),
    '\nLatency counts from the time that a frame was due; late: how long after that the generator sent it. ≥ 5 ms: the share of the\n',
    "server's turns that took so long; p99.9 of them is below 5 ms where it is less than 0.1 %. Snapshot: the share of the time in\n",
    'which one was being made.\n',
    explainCells(cells),
  ].join('');
}

function formatShare(share: number): string {
  return `${formatNumber(share * 100)} %`;
}
