/** The suite `start`: how long a server takes from being started to accepting connections, in each runtime. */
import process from 'node:process';
import type { Context } from '../../../runtime/command/cli.ts';
import { CommandError, ExitCode, messageOf } from '../../../runtime/command/errors.ts';
import type { RuntimeName } from '../../../runtime/runtime.ts';
import { naturalTransport } from '../../../transports/transports.ts';
import { Random } from '../../load/random.ts';
import { Progress } from '../../results/progress.ts';
import { assertWritable, formatHead, type ReportHead, reportHead, writeReport } from '../../results/report.ts';
import { type Summary, summarize } from '../../results/statistics.ts';
import { BEST_MARK, formatRange, renderTable } from '../../results/table.ts';
import { startServerChild } from '../../servers/server.ts';
import { formatSkipped, type Skipped, selectRuntimes, survey, versionsOf } from '../../servers/survey.ts';

export interface StartFlags {
  readonly runtimes: readonly RuntimeName[];
  readonly rounds: number;
  readonly seed: number;
}

/** The suite's JSON. */
export interface StartReport extends ReportHead {
  readonly suite: 'start';
  readonly skipped: readonly Skipped[];
  /** In the order of time. Rounds count from 1. */
  readonly rounds: readonly { readonly round: number; readonly runtime: RuntimeName; readonly readyMillis: number }[];
  readonly cells: readonly { readonly runtime: RuntimeName; readonly readyMillis: Summary }[];
}

export interface StartOptions {
  readonly flags: StartFlags;
  /** The file for the JSON; undefined for none. */
  readonly json: string | undefined;
  readonly context: Context;
  readonly signal: AbortSignal;
}

/** Resolves to the exit code. Rejects with a `CommandError` when a server does not get ready. */
export async function start({ flags, json, context, signal }: StartOptions): Promise<number> {
  if (json !== undefined) assertWritable(json);
  const all = selectRuntimes(await survey(context, signal), flags.runtimes);
  const { runtimes, skipped } = all;
  const head = await reportHead('start', versionsOf(all, runtimes), { ...flags });
  process.stdout.write(formatHead(head) + formatSkipped(skipped));
  const random = new Random(flags.seed);
  const progress = new Progress(flags.rounds * runtimes.length);
  const rounds: StartReport['rounds'][number][] = [];
  try {
    for (let round = 1; round <= flags.rounds; round++) {
      for (const runtime of random.shuffled(runtimes)) {
        progress.show(`round ${round} of ${flags.rounds}, ${runtime.name}`);
        const startMs = performance.now();
        const server = await startServerChild(runtime, context.entry, naturalTransport(runtime.name), signal);
        rounds.push({ round, runtime: runtime.name, readyMillis: performance.now() - startMs });
        await server.child[Symbol.asyncDispose]();
        progress.advance();
      }
    }
  } catch (error) {
    throw new CommandError(messageOf(error));
  } finally {
    progress.clear();
  }
  const cells = runtimes.map(({ name }) => {
    const times = rounds.filter(({ runtime }) => runtime === name).map(({ readyMillis }) => readyMillis);
    return { runtime: name, readyMillis: summarize(times) };
  });
  process.stdout.write(formatStarts(cells, flags.rounds));
  const report: StartReport = { ...head, suite: 'start', skipped, rounds, cells };
  if (json !== undefined) writeReport(json, report);
  return ExitCode.OK;
}

function formatStarts(cells: StartReport['cells'], rounds: number): string {
  const format = (millis: number): string => String(Math.round(millis));
  const table = renderTable(
    [{ title: '' }, { title: 'ready after ms', best: 'lowest' }, { title: 'range' }],
    cells.map(({ runtime, readyMillis }) => [
      { text: runtime },
      { text: format(readyMillis.median), value: readyMillis.median },
      { text: formatRange(readyMillis, format) },
    ]),
  );
  return `${rounds} starts each, until the ready line\n\n${table}\n${BEST_MARK} best of its column. Medians.\n`;
}
