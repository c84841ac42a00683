/**
 * The suite `durability`: what is left of acknowledged writes when the server is killed, or the machine loses its power, at a
 * random write. Every cell is tested under every policy, and without a log, where all must be lost: a test that can't see a
 * loss proves nothing.
 */
import type { Context } from '../../../runtime/command/cli.ts';
import { CommandError, ExitCode } from '../../../runtime/command/errors.ts';
import type { RuntimeName } from '../../../runtime/runtime.ts';
import type { TransportName } from '../../../transports/transport.ts';
import type { Dimensions, Measured, Report, ReportCell } from '../../results/report.ts';
import { runSuite } from '../../results/run.ts';
import { formatNumber, renderTable } from '../../results/table.ts';
import { type Cell, cellLabel } from '../../servers/cell.ts';
import { selectCells, survey, versionsOf } from '../../servers/survey.ts';
import { noPowerLoss } from './power-loss.ts';
import { type Death, type Policy, type TrialFigures, trial } from './trial.ts';

/**
 * Most that `everysec` may lose when power does: a second between two syncs, and what the sync itself may take. Unit:
 * milliseconds.
 */
export const EVERYSEC_LOSS_MS_MAX = 1100;

export interface DurabilityFlags {
  readonly [flag: string]: unknown;
  readonly runtimes: readonly RuntimeName[];
  readonly transports: readonly TransportName[];
  readonly policies: readonly Policy[];
  readonly writes: number;
  /** Tests of each cell under each policy. */
  readonly rounds: number;
  readonly powerLoss: boolean;
  readonly seed: number;
}

export interface DurabilityOptions {
  readonly flags: DurabilityFlags;
  /** The file for the JSON; undefined for none. */
  readonly json: string | undefined;
  readonly context: Context;
  readonly signal: AbortSignal;
}

interface Subject {
  readonly cell: Cell;
  readonly policy: Policy;
}

/**
 * Resolves to the exit code, which is 1 when a policy has lost what it promised to keep. Rejects with a `CommandError` when
 * power can't be lost here, or a server does not start again.
 */
export async function durability({ flags, json, context, signal }: DurabilityOptions): Promise<number> {
  const death: Death = flags.powerLoss ? 'power-loss' : 'kill';
  if (death === 'power-loss') {
    const reason = await noPowerLoss();
    if (reason !== undefined) throw new CommandError(`--power-loss: ${reason}`);
  }
  const chosen = selectCells(await survey(context, signal), flags.runtimes, flags.transports);
  const subjects = chosen.cells.flatMap((cell) => flags.policies.map((policy): Subject => ({ cell, policy })));
  let broken: readonly string[] = [];
  const exitCode = await runSuite({
    name: 'durability',
    flags,
    versions: versionsOf(
      chosen,
      chosen.cells.map(({ runtime }) => runtime),
    ),
    skipped: chosen.skipped,
    subjects,
    label: ({ cell, policy }) => `${cellLabel(cell.transport, cell.runtime.name)}, ${policy}`,
    measure: async ({ cell, policy }, { round }): Promise<readonly Measured[]> => {
      const { writes, seed } = flags;
      const moment = { writes };
      const figures = await trial({ entry: context.entry, cell, policy, death, moment, seed: seed + round, signal });
      return [{ dimensions: dimensionsOf({ cell, policy }), figures }];
    },
    order: subjects.map(dimensionsOf),
    format(report) {
      broken = brokenPromises(report, death);
      return formatDurability(report, death, broken);
    },
    json,
    signal,
  });
  return broken.length > 0 ? ExitCode.FAILED : exitCode;
}

function dimensionsOf({ cell, policy }: Subject): Dimensions {
  return { runtime: cell.runtime.name, transport: cell.transport, fsync: policy };
}

/** Of all tests of a cell, in words: which of them lost what the policy promises to keep. */
export function brokenPromises({ rounds, cells }: Pick<Report, 'rounds' | 'cells'>, death: Death): string[] {
  return cells.flatMap(({ dimensions }) => {
    const label = `${cellLabel(dimensions.transport as TransportName, dimensions.runtime!)}, ${dimensions.fsync}`;
    return rounds.flatMap((round) => {
      if (!isSame(round, dimensions)) return [];
      const figures = round.figures as TrialFigures;
      const broken = breach(dimensions.fsync as Policy, figures, death);
      return broken === undefined ? [] : [`${label}, test ${round.round}: ${broken}`];
    });
  });
}

function breach(
  policy: Policy,
  { acknowledged, lost, lostSpanMillis }: TrialFigures,
  death: Death,
): string | undefined {
  if (policy === 'none') {
    return lost < acknowledged ? `${acknowledged - lost} writes are there although nothing kept them` : undefined;
  }
  if (lost === 0 || (death === 'power-loss' && policy === 'no')) return undefined;
  if (death === 'power-loss' && policy === 'everysec' && lostSpanMillis <= EVERYSEC_LOSS_MS_MAX) return undefined;
  return `${lost} acknowledged writes are lost, the first of them ${Math.round(lostSpanMillis)} ms old`;
}

function isSame(round: Report['rounds'][number], dimensions: ReportCell['dimensions']): boolean {
  const { runtime, transport, fsync } = round.dimensions;
  return runtime === dimensions.runtime && transport === dimensions.transport && fsync === dimensions.fsync;
}

function formatDurability({ rounds, cells, flags }: Report, death: Death, broken: readonly string[]): string {
  const columns = ['', 'successful', 'persisted', 'lost', 'loss rate', 'written ms', 'most lost, ms', 'restart ms'];
  const table = renderTable(
    columns.map((title) => ({ title })),
    cells.map((cell) => {
      const tests = rounds.filter((round) => isSame(round, cell.dimensions)).map(({ figures }) => figures);
      const sum = (name: keyof TrialFigures): number => tests.reduce((total, figures) => total + figures[name]!, 0);
      const { runtime, transport, fsync } = cell.dimensions;
      return [
        `${cellLabel(transport as TransportName, runtime!)}, ${fsync}`,
        String(sum('acknowledged')),
        String(sum('persisted')),
        String(sum('lost')),
        `${((100 * sum('lost')) / sum('acknowledged')).toFixed(2)} %`,
        formatNumber(cell.figures.writtenMillis!.median),
        formatNumber(Math.max(...tests.map(({ lostSpanMillis }) => lostSpanMillis!))),
        formatNumber(cell.figures.restartMillis!.median),
      ].map((text) => ({ text }));
    }),
  );
  const how = death === 'kill' ? 'SIGKILL' : 'a loss of power (FS_IOC_SHUTDOWN of an ext4 of its own)';
  const kept = broken.length === 0 ? 'Every promise was kept.\n' : `Broken promises:\n${broken.join('\n')}\n`;
  const tests = flags.rounds === 1 ? '1 test' : `${flags.rounds} tests`;
  return `${tests} each of up to ${flags.writes} writes, ended by ${how} at a random one\n\n${table}\n${kept}`;
}
