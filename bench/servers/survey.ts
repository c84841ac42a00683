/** Which runtimes and transports there are to measure, as `ringkv doctor` tells: nothing is assumed to work. */
import { execFile } from 'node:child_process';
import type { Context } from '../../runtime/command/cli.ts';
import type { RuntimeReport } from '../../runtime/command/doctor.ts';
import { CommandError, usageError } from '../../runtime/command/errors.ts';
import { type FoundRuntime, scriptCommand } from '../../runtime/find.ts';
import type { RuntimeName } from '../../runtime/runtime.ts';
import type { TransportName } from '../../transports/transport.ts';
import { naturalTransport } from '../../transports/transports.ts';
import type { Skipped } from '../results/report.ts';
import { type Cell, cellLabel } from './cell.ts';
import { cleanEnvironment } from './child.ts';

export interface Survey {
  readonly runtimes: readonly FoundRuntime[];
  readonly cells: readonly Cell[];
  /** The runtimes, and the transports in them, that can't be measured. */
  readonly skipped: readonly Skipped[];
  /** Of the runtimes, by name. */
  readonly versions: Readonly<Record<string, string>>;
}

/** Examines all runtimes. Rejects with a `CommandError` when the doctor says nothing. */
export async function survey(context: Context, signal: AbortSignal): Promise<Survey> {
  const self: FoundRuntime = { name: context.runtime.name, executable: context.runtime.executable };
  const [program, ...args] = scriptCommand(self, context.entry, ['doctor', '--json']);
  const stdout = await new Promise<string>((resolve, reject) => {
    execFile(program, args, { signal, env: cleanEnvironment() }, (error, output, stderr) => {
      // When nothing works it ends with 1, and its report says why.
      if (output !== '') resolve(output);
      else reject(new CommandError(`ringkv doctor failed: ${stderr.trim() || error?.message}`));
    });
  });
  const { runtimes: reports } = JSON.parse(stdout) as { readonly runtimes: readonly RuntimeReport[] };
  const usable = reports.flatMap(({ name, path, version, transports }) =>
    path === null || version === null || transports.length === 0
      ? []
      : [{ found: { name, executable: path }, version, transports }],
  );
  return {
    runtimes: usable.map(({ found }) => found),
    cells: usable.flatMap(({ found, transports }) =>
      transports.filter(({ works }) => works).map(({ name }) => ({ runtime: found, transport: name })),
    ),
    skipped: reports.flatMap((report) => [
      ...(report.problem === null ? [] : [{ label: report.name, reason: report.problem }]),
      ...report.transports.flatMap(({ name, problem }) =>
        problem === null ? [] : [{ label: cellLabel(name, report.name), reason: problem }],
      ),
    ]),
    versions: Object.fromEntries(usable.map(({ found, version }) => [found.name, version])),
  };
}

/**
 * What is left of a survey when only some runtimes and transports are asked for. Throws a `CommandError` when none of the
 * cells works.
 */
export function selectCells(
  all: Survey,
  runtimes: readonly RuntimeName[],
  transports: readonly TransportName[],
): Survey {
  const labels = new Set<string>(runtimes.flatMap((runtime) => transports.map((one) => cellLabel(one, runtime))));
  const cells = all.cells.filter(({ runtime, transport }) => labels.has(cellLabel(transport, runtime.name)));
  const skipped = all.skipped.filter(({ label }) => labels.has(label) || runtimes.some((name) => name === label));
  if (cells.length === 0) throw nothingRuns(skipped);
  return { ...all, cells, skipped };
}

/** What is left of a survey of each runtime: the one transport that `ringkv serve` takes there by itself. Throws likewise. */
export function selectOwnCells(all: Survey, runtimes: readonly RuntimeName[]): Survey {
  const own = runtimes.flatMap((name) => {
    const cells = all.cells.filter(({ runtime }) => runtime.name === name);
    return (
      cells.find(({ transport }) => transport === 'uring') ??
      cells.find(({ transport }) => transport === naturalTransport(name)) ??
      []
    );
  });
  const skipped = all.skipped.filter(({ label }) => runtimes.some((name) => name === label));
  if (own.length === 0) throw nothingRuns(skipped);
  return { ...all, cells: own, skipped };
}

/** What is left of a survey when only some runtimes are asked for, and their transports don't matter. Throws likewise. */
export function selectRuntimes(all: Survey, names: readonly RuntimeName[]): Survey {
  const runtimes = all.runtimes.filter(({ name }) => names.includes(name));
  const skipped = all.skipped.filter(({ label }) => names.some((name) => name === label));
  if (runtimes.length === 0) throw nothingRuns(skipped);
  return { ...all, runtimes, skipped };
}

/** The versions of those runtimes, by their names. */
export function versionsOf({ versions }: Survey, runtimes: readonly FoundRuntime[]): Record<string, string> {
  return Object.fromEntries(runtimes.map(({ name }) => [name, versions[name]!]));
}

function nothingRuns(skipped: readonly Skipped[]): CommandError {
  const reasons = skipped.map(({ label, reason }) => `${label}: ${reason}`);
  return usageError(`nothing of what was asked for can run here; ${reasons.join('; ')}`);
}
