/**
 * The suite `sweep`: how cost grows with one thing alone, be it the keys, the length of values, connections, batch or shards.
 * Every point of the curve gets a fresh server in every round, in an order that the seed shuffles, so that neither a server's
 * age nor the hour of the measurement looks like growth.
 */
import type { Context } from '../../../runtime/command/cli.ts';
import { usageError } from '../../../runtime/command/errors.ts';
import type { RuntimeName } from '../../../runtime/runtime.ts';
import type { TransportName } from '../../../transports/transport.ts';
import { type ChosenClient, chooseClient } from '../../load/choose-generator.ts';
import { WARMUP_SHARE } from '../../load/plan.ts';
import { whyTooLarge } from '../../load/store-sizes.ts';
import { explainCells, renderCells } from '../../results/cells-table.ts';
import { clientMark } from '../../results/clients.ts';
import { type Curve, curveOf, curvesOf, formatGrowth } from '../../results/growth.ts';
import { loadColumns } from '../../results/load-table.ts';
import type { Dimensions, Measured, Report, ReportCell } from '../../results/report.ts';
import { runSuite, type Step } from '../../results/run.ts';
import { type Cell, cellLabel, measureCell } from '../../servers/cell.ts';
import { hardLimit } from '../../servers/open-files.ts';
import { pinned, unpinned } from '../../servers/pinning.ts';
import { selectCells, selectOwnCells, survey, versionsOf } from '../../servers/survey.ts';
import { type Over, type Swept, swept } from './points.ts';

export interface SweepFlags {
  readonly [flag: string]: unknown;
  readonly over: Over;
  readonly points: readonly number[];
  readonly runtimes: readonly RuntimeName[];
  /** Undefined for what `ringkv serve` takes by itself. */
  readonly transports: readonly TransportName[] | undefined;
  readonly keys: number;
  readonly valueSize: number;
  readonly connections: number;
  readonly batch: number;
  readonly shards: number;
  readonly rounds: number;
  readonly seconds: number;
  readonly seed: number;
  readonly generator: RuntimeName | undefined;
  readonly clientTransport: TransportName | undefined;
  readonly generators: number;
  readonly pin: boolean;
}

/** What this suite's JSON has besides. */
export interface SweepOwn {
  /** For each server, how server µs/op grows with each tenfold of what was swept over. */
  readonly growth: readonly Curve[];
}

export interface SweepOptions {
  readonly flags: SweepFlags;
  /** The file for the JSON; undefined for none. */
  readonly json: string | undefined;
  readonly context: Context;
  readonly signal: AbortSignal;
}

/** What is the same, or not, at a point of the curve. */
type Setting = Readonly<Record<Swept['dimension'], number>>;

interface SweepSubject extends Cell {
  readonly client: ChosenClient;
  readonly setting: Setting;
}

/** Open files that a process needs beside one for each connection. */
const OTHER_FILES = 100;

/** Resolves to the exit code. Rejects with a `CommandError` when a server or a generator fails, or a reply is wrong. */
export async function sweep({ flags, json, context, signal }: SweepOptions): Promise<number> {
  const { over, points, generators, seconds, seed } = flags;
  const { dimension } = swept[over];
  const settings = points.map((point): Setting => {
    const { keys, valueSize, connections, batch, shards } = flags;
    return { keys, valueSize, connections, batch, shards, [dimension]: point };
  });
  await assertPossible(settings, flags);
  const all = await survey(context, signal);
  const chosen =
    flags.transports === undefined
      ? selectOwnCells(all, flags.runtimes)
      : selectCells(all, flags.runtimes, flags.transports);
  // Before anything is measured, for it may refuse.
  const pinnings = new Map(
    settings.map((setting) => [setting, flags.pin ? pinned(1, generators, setting.shards) : unpinned]),
  );
  const fitting = settings.map((setting) => ({
    setting,
    reason: whyTooLarge('swiss', setting.keys, setting.valueSize),
  }));
  const tooLarge = fitting.flatMap(({ setting, reason }) =>
    reason === undefined ? [] : [{ label: `${over} ${setting[dimension]}`, reason }],
  );
  const subjects = chosen.cells.flatMap((cell) =>
    fitting
      .filter(({ reason }) => reason === undefined)
      .map(
        ({ setting }): SweepSubject => ({ ...cell, client: chooseClient(all, cell.transport, flags, 'busy'), setting }),
      ),
  );
  if (subjects.length === 0) throw usageError(`--over ${over}: ${tooLarge.map(({ reason }) => reason).join('; ')}`);
  const measure = async (subject: SweepSubject, { onPhase, onPhaseEnd }: Step): Promise<Measured[]> => {
    const { client, setting } = subject;
    const { measurements } = await measureCell(
      { ...subject, control: false },
      {
        entry: context.entry,
        generator: client.runtime,
        generators,
        pinning: pinnings.get(setting)!,
        serverFlags: setting.shards === 1 ? [] : ['--shards', String(setting.shards)],
        openFiles: openFilesOf(setting),
        plan: {
          transport: client.transport,
          connections: setting.connections,
          depth: 1,
          keys: setting.keys,
          valueBytes: setting.valueSize,
          batches: [setting.batch],
          warmupSeconds: seconds * WARMUP_SHARE,
          seconds,
          seed,
        },
        signal,
        onPhase,
        onPhaseEnd,
      },
    );
    return measurements.map(({ batch, ...figures }) => ({ dimensions: dimensionsOf(subject, flags), ...figures }));
  };
  return runSuite<SweepSubject, SweepOwn>({
    name: 'sweep',
    flags,
    versions: versionsOf(all, [
      ...chosen.cells.map(({ runtime }) => runtime),
      ...subjects.map(({ client }) => client.runtime),
    ]),
    skipped: [...chosen.skipped, ...tooLarge],
    subjects,
    label: ({ transport, runtime, setting }) => `${cellLabel(transport, runtime.name)}, ${over} ${setting[dimension]}`,
    phases: 2,
    measure,
    order: subjects.map((subject) => dimensionsOf(subject, flags)),
    own: (rounds) => ({ growth: curvesOf(rounds, dimension, COST) }),
    format: (report) => formatSweep(report, flags),
    json,
    signal,
  });
}

/** The figure whose growth is told. */
const COST = 'serverMicrosPerOp';

/** Throws a `CommandError` before anything is measured that would fail later. */
async function assertPossible(settings: readonly Setting[], { generators }: SweepFlags): Promise<void> {
  for (const setting of settings) {
    const { connections, shards } = setting;
    if (connections < shards * generators) {
      throw usageError(
        `${connections} connections: expected at least ${shards * generators}, one to each of --shards for each of --generators`,
      );
    }
    const openFiles = openFilesOf(setting) ?? 0;
    const limit = openFiles === 0 ? 0 : await hardLimit();
    if (openFiles > limit) {
      throw usageError(`${connections} connections take ${openFiles} open files, and "ulimit -H -n" allows ${limit}`);
    }
  }
}

/** What a process's limit has to be for so many connections; undefined when any will do. */
function openFilesOf({ connections }: Setting): number | undefined {
  return connections > OTHER_FILES ? connections + OTHER_FILES : undefined;
}

function dimensionsOf({ runtime, transport, client, setting }: SweepSubject, { generators }: SweepFlags): Dimensions {
  return {
    runtime: runtime.name,
    transport,
    clientRuntime: client.runtime.name,
    clientTransport: client.transport,
    generators,
    ...setting,
  };
}

// For people

function formatSweep({ cells, growth }: Report & SweepOwn, flags: SweepFlags): string {
  const { over, rounds, seconds, keys, valueSize, connections, batch, shards } = flags;
  const { dimension } = swept[over];
  const fixed = { keys, 'value size': valueSize, connections, batch, shards };
  const others = Object.entries(fixed).filter(([name]) => name.replace(' ', '-') !== over);
  const clientOf = clientMark(cells);
  const labelOf = (cell: ReportCell): string => `${serverLabel(cell)}${clientOf(cell)}`;
  const labels = [...new Set(cells.map(labelOf))];
  return [
    `YCSB-B over ${over}; ${others.map(([name, value]) => `${name} ${value}`).join(', ')}; ${rounds} × ${seconds} s\n`,
    ...labels.map((label) => {
      const curve = cells.filter((cell) => labelOf(cell) === label);
      return `\n${label}\n${formatCurve(curve, dimension, growth)}`;
    }),
    '\nLatency is per frame. Behind a factor: its 95 % confidence interval.\n',
    explainCells(cells),
  ].join('');
}

function serverLabel({ dimensions }: ReportCell): string {
  return cellLabel(dimensions.transport!, dimensions.runtime!);
}

function formatCurve(cells: readonly ReportCell[], dimension: Swept['dimension'], growth: readonly Curve[]): string {
  const table = renderCells({
    label: ({ dimensions }) => String(dimensions[dimension]),
    columns: loadColumns,
    cells,
  });
  const points = cells.map(({ dimensions }) => dimensions[dimension]!);
  const far = Math.max(...points) >= 10 * Math.min(...points);
  const fitted = far ? curveOf(cells[0]!, growth, COST) : undefined;
  return fitted === undefined ? table : `${table}with each tenfold: server µs/op ${formatGrowth(fitted)}\n`;
}
