/** The suite `start`: how long a server takes from being started to accepting connections, in each runtime. */
import type { Context } from '../../../runtime/command/cli.ts';
import type { FoundRuntime } from '../../../runtime/find.ts';
import type { RuntimeName } from '../../../runtime/runtime.ts';
import { naturalTransport } from '../../../transports/transports.ts';
import { explainCells, renderCells } from '../../results/cells-table.ts';
import type { Measured, Report } from '../../results/report.ts';
import { runSuite } from '../../results/run.ts';
import { startServerChild } from '../../servers/server.ts';
import { selectRuntimes, survey, versionsOf } from '../../servers/survey.ts';

export interface StartFlags {
  readonly [flag: string]: unknown;
  readonly runtimes: readonly RuntimeName[];
  readonly rounds: number;
  readonly seed: number;
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
  const all = selectRuntimes(await survey(context, signal), flags.runtimes);
  const measure = async (runtime: FoundRuntime): Promise<readonly Measured[]> => {
    const transport = naturalTransport(runtime.name);
    const startMs = performance.now();
    const server = await startServerChild(runtime, context.entry, transport, { signal });
    const readyMillis = performance.now() - startMs;
    await server.child[Symbol.asyncDispose]();
    return [{ dimensions: { runtime: runtime.name, transport }, figures: { readyMillis } }];
  };
  return runSuite({
    name: 'start',
    flags,
    versions: versionsOf(all, all.runtimes),
    skipped: all.skipped,
    subjects: all.runtimes,
    label: ({ name }) => name,
    measure,
    format: formatStarts,
    json,
    signal,
  });
}

function formatStarts({ cells, flags }: Report): string {
  const format = (millis: number): string => String(Math.round(millis));
  const table = renderCells({
    label: ({ dimensions }) => dimensions.runtime!,
    columns: [
      { title: 'ready after ms', figure: 'readyMillis', best: 'lowest', format },
      { title: '', figure: 'readyMillis', bar: true, format },
    ],
    cells,
  });
  return `${flags.rounds} starts each, until the ready line\n\n${table}\n${explainCells(cells)}`;
}
