/**
 * The suite `tcp`: what a program waits that has one client and does one operation after the other, through every transport
 * in every runtime. Nothing is in flight meanwhile, so this is the round trip, and throughput follows from it.
 *
 * Non-goal: load. `matrix` has many connections.
 */
import type { Context } from '../../../runtime/command/cli.ts';
import { usageError } from '../../../runtime/command/errors.ts';
import type { RuntimeName } from '../../../runtime/runtime.ts';
import type { TransportName } from '../../../transports/transport.ts';
import { type ChosenClient, chooseClient } from '../../load/choose-generator.ts';
import { WARMUP_SHARE } from '../../load/plan.ts';
import { operationsOn, type SequentialOperation } from '../../load/sequential-plan.ts';
import { whyTooLarge } from '../../load/store-sizes.ts';
import { explainCells, renderCells } from '../../results/cells-table.ts';
import type { Dimensions, Measured, Report } from '../../results/report.ts';
import { runSuite, type Step } from '../../results/run.ts';
import { explainSequential, sequentialColumns, titleOf } from '../../results/sequential-table.ts';
import { formatNumber } from '../../results/table.ts';
import { type Cell, cellLabel } from '../../servers/cell.ts';
import { pinned, unpinned } from '../../servers/pinning.ts';
import { measureThroughClient, sequentialPhases } from '../../servers/sequential.ts';
import { selectCells, survey, versionsOf } from '../../servers/survey.ts';

export interface TcpFlags {
  readonly [flag: string]: unknown;
  readonly runtimes: readonly RuntimeName[];
  readonly transports: readonly TransportName[];
  readonly sizes: readonly number[];
  readonly operations: readonly SequentialOperation[];
  readonly valueSize: number;
  readonly rounds: number;
  readonly seconds: number;
  readonly seed: number;
  readonly generator: RuntimeName | undefined;
  readonly clientTransport: TransportName | undefined;
  readonly pin: boolean;
}

export interface TcpOptions {
  readonly flags: TcpFlags;
  /** The file for the JSON; undefined for none. */
  readonly json: string | undefined;
  readonly context: Context;
  readonly signal: AbortSignal;
}

/** A server with so many keys, and its only client. */
interface TcpSubject extends Cell {
  readonly client: ChosenClient;
  readonly keys: number;
}

/** Resolves to the exit code. Rejects with a `CommandError` when a server or a client fails, or a reply is wrong. */
export async function tcp({ flags, json, context, signal }: TcpOptions): Promise<number> {
  const { valueSize, seconds, seed } = flags;
  const all = await survey(context, signal);
  const chosen = selectCells(all, flags.runtimes, flags.transports);
  const pinning = flags.pin ? pinned() : unpinned;
  const sizes = flags.sizes.map((keys) => ({ keys, reason: whyTooLarge('swiss', keys, valueSize) }));
  const tooLarge = sizes.flatMap(({ keys, reason }) =>
    reason === undefined ? [] : [{ label: `${keys} keys`, reason }],
  );
  const subjects = sizes
    .filter(({ keys, reason }) => reason === undefined && operationsOn(keys, flags.operations).length > 0)
    .flatMap(({ keys }) =>
      chosen.cells.map(
        (cell): TcpSubject => ({ ...cell, client: chooseClient(all, cell.transport, flags, 'timed'), keys }),
      ),
    );
  if (subjects.length === 0) {
    const why = tooLarge.map(({ reason }) => reason).join('; ') || `there is nothing of ${flags.operations} to do`;
    throw usageError(`--sizes ${flags.sizes}: ${why}`);
  }
  const measure = async (subject: TcpSubject, step: Step): Promise<Measured[]> => {
    const { keys, client } = subject;
    const operations = operationsOn(keys, flags.operations);
    const plan = { keys, valueBytes: valueSize, operations, warmupSeconds: seconds * WARMUP_SHARE, seconds, seed };
    const measurements = await measureThroughClient(subject, client, { entry: context.entry, plan, pinning, step });
    return measurements.map(({ operation, ...measured }) => ({
      dimensions: dimensionsOf(subject, operation, valueSize),
      ...measured,
    }));
  };
  return runSuite({
    name: 'tcp',
    flags,
    versions: versionsOf(all, [
      ...chosen.cells.map(({ runtime }) => runtime),
      ...subjects.map(({ client }) => client.runtime),
    ]),
    skipped: [...chosen.skipped, ...tooLarge],
    subjects,
    label: ({ transport, runtime, keys }) => `${cellLabel(transport, runtime.name)}, ${keys} keys`,
    phases: sequentialPhases(flags),
    measure,
    order: flags.operations.flatMap((operation) =>
      subjects.map((subject) => dimensionsOf(subject, operation, valueSize)),
    ),
    format: (report) => formatTcp(report, flags),
    json,
    signal,
  });
}

function dimensionsOf(
  { runtime, transport, client, keys }: TcpSubject,
  operation: SequentialOperation,
  valueSize: number,
): Dimensions {
  return {
    store: 'tcp',
    runtime: runtime.name,
    transport,
    clientRuntime: client.runtime.name,
    clientTransport: client.transport,
    workload: operation,
    keys,
    valueSize,
  };
}

// For people

function formatTcp({ cells }: Report, { operations, sizes, valueSize, rounds, seconds }: TcpFlags): string {
  const tables = operations.flatMap((operation) =>
    sizes.flatMap((keys) => {
      const shown = cells.filter(({ dimensions }) => dimensions.workload === operation && dimensions.keys === keys);
      if (shown.length === 0) return [];
      const table = renderCells({
        label: ({ dimensions }) => cellLabel(dimensions.transport as TransportName, dimensions.runtime!),
        columns: [
          ...sequentialColumns,
          { title: 'server µs/op', figure: 'serverMicrosPerOp', best: 'lowest', format: formatNumber },
          { title: 'client µs/op', figure: 'generatorMicrosPerOp', format: formatNumber },
        ],
        cells: shown,
      });
      return [`\n${titleOf(operation)}, ${keys} keys\n${table}`];
    }),
  );
  return [
    `one client, one operation after the other, values of ${valueSize} bytes; ${rounds} × ${seconds} s\n`,
    ...tables,
    '\nServer and client: CPU time per operation.\n',
    explainSequential(cells),
    explainCells(cells),
  ].join('');
}
