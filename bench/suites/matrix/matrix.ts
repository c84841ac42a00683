/**
 * The suite `matrix`: which transport, in which runtime, for which client. Every cell gets a fresh server process in every
 * round, and the rounds go over all cells in an order of their own, so that what changes slowly on the machine meets all of
 * them alike.
 *
 * Beside every cell stands its control: the same transport without engine and protocol.
 *
 * Goal: server CPU time per operation, which can be compared even where the generator is the limit.
 * Non-goals: latency at a given rate (the suite `rate` has it), other stores (`peers`).
 */
import type { Context } from '../../../runtime/command/cli.ts';
import { usageError } from '../../../runtime/command/errors.ts';
import type { RuntimeName } from '../../../runtime/runtime.ts';
import type { TransportName } from '../../../transports/transport.ts';
import { type ChosenClient, chooseClients } from '../../load/choose-generator.ts';
import { loadDimensions, planLoad } from '../../load/client-load.ts';
import type { Measurement } from '../../load/plan.ts';
import type { Dimensions, Measured, Report } from '../../results/report.ts';
import { runSuite, type Step } from '../../results/run.ts';
import { measureCell, type Subject, subjectLabel } from '../../servers/cell.ts';
import { pinned, unpinned } from '../../servers/pinning.ts';
import { selectCells, survey, versionsOf } from '../../servers/survey.ts';
import { formatMatrix } from './matrix-table.ts';

export interface MatrixFlags {
  readonly [flag: string]: unknown;
  readonly runtimes: readonly RuntimeName[];
  readonly transports: readonly TransportName[];
  readonly batches: readonly number[];
  /** Whether the control of every cell is measured too, or instead. */
  readonly controls: Controls;
  readonly connections: readonly number[];
  readonly depth: number;
  readonly keys: number;
  readonly valueSize: number;
  readonly rounds: number;
  readonly seconds: number;
  readonly seed: number;
  /** What runs the load generators; undefined for the fastest there is. */
  readonly generator: RuntimeName | undefined;
  /** What carries their bytes to servers that are not reached by WebSocket; undefined for what `chooseClient` says. */
  readonly clientTransports: readonly TransportName[] | undefined;
  readonly generators: number;
  readonly pin: boolean;
}

export type Controls = 'on' | 'off' | 'only';

/** What this suite's JSON has besides. */
export interface MatrixOwn {
  /** Names the sequence of operations that all cells were given. */
  readonly workload: string;
}

export type MatrixReport = Report & MatrixOwn;

export interface MatrixOptions {
  readonly flags: MatrixFlags;
  /** The file for the JSON; undefined for none. */
  readonly json: string | undefined;
  readonly context: Context;
  readonly signal: AbortSignal;
}

/** One row of the matrix: a server or its control, and who asks it. All batch sizes are measured on the same processes. */
interface MatrixSubject extends Subject {
  readonly connections: number;
  readonly client: ChosenClient;
}

/** Resolves to the exit code. Rejects with a `CommandError` when a cell fails: its figures would be worth nothing. */
export async function matrix({ flags, json, context, signal }: MatrixOptions): Promise<number> {
  const few = flags.connections.find((count) => count < flags.generators);
  if (few !== undefined) throw usageError(`--generators ${flags.generators}: expected at most --connections ${few}`);
  const pinning = flags.pin ? pinned(1, flags.generators) : unpinned;
  const all = await survey(context, signal);
  const chosen = selectCells(all, flags.runtimes, flags.transports);
  const subjects = chosen.cells.flatMap((cell) =>
    chooseClients(all, cell.transport, flags).flatMap((client) =>
      flags.connections.flatMap((connections): MatrixSubject[] => [
        ...(flags.controls === 'only' ? [] : [{ ...cell, client, connections, control: false }]),
        ...(flags.controls === 'off' ? [] : [{ ...cell, client, connections, control: true }]),
      ]),
    ),
  );
  let workload = '';
  const measure = async (subject: MatrixSubject, { onPhase, onPhaseEnd }: Step): Promise<Measured[]> => {
    const { connections, client } = subject;
    const result = await measureCell(subject, {
      entry: context.entry,
      generator: client.runtime,
      generators: flags.generators,
      pinning,
      plan: {
        ...planLoad({ ...flags, connections }, client),
        batches: flags.batches,
      },
      signal,
      onPhase,
      onPhaseEnd,
    });
    workload = result.workload;
    return result.measurements.map(({ batch, ...measured }: Measurement) => ({
      dimensions: dimensionsOf(subject, batch, flags),
      ...measured,
    }));
  };
  return runSuite<MatrixSubject, MatrixOwn>({
    name: 'matrix',
    flags,
    versions: versionsOf(all, [
      ...chosen.cells.map(({ runtime }) => runtime),
      ...subjects.map(({ client }) => client.runtime),
    ]),
    skipped: chosen.skipped,
    subjects,
    label: matrixLabel,
    phases: 1 + flags.batches.length,
    measure,
    order: flags.batches.flatMap((batch) => subjects.map((subject) => dimensionsOf(subject, batch, flags))),
    own: () => ({ workload }),
    format: (report) => formatMatrix(report, flags),
    json,
    signal,
  });
}

function matrixLabel(subject: MatrixSubject): string {
  return `${subjectLabel(subject)}, ${subject.connections} connections from ${subject.client.transport}`;
}

function dimensionsOf(subject: MatrixSubject, batch: number, flags: MatrixFlags): Dimensions {
  const { runtime, transport, control, connections, client } = subject;
  return {
    runtime: runtime.name,
    transport,
    control,
    batch,
    ...loadDimensions({ ...flags, connections }, client),
    generators: flags.generators,
  };
}
