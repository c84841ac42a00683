/** Which runtimes and transports there are to measure, as `ringkv doctor` tells: nothing is assumed to work. */
import { execFile } from 'node:child_process';
import type { Context } from '../runtime/command/cli.ts';
import type { RuntimeReport } from '../runtime/command/doctor.ts';
import { CommandError, usageError } from '../runtime/command/errors.ts';
import { type FoundRuntime, scriptCommand } from '../runtime/find.ts';
import type { RuntimeName } from '../runtime/runtime.ts';
import type { TransportName } from '../transports/transport.ts';
import { type Cell, cellLabel } from './cell.ts';
import { cleanEnvironment } from './child.ts';

/** A runtime, or a transport in it, that can't be measured. */
export interface Skipped {
  readonly label: string;
  readonly reason: string;
}

export interface Survey {
  readonly runtimes: readonly FoundRuntime[];
  readonly cells: readonly Cell[];
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

/** The runtimes of a survey that are asked for. Throws a `CommandError` when none of them is here. */
export function selectRuntimes(all: Survey, names: readonly RuntimeName[]): Pick<Survey, 'runtimes' | 'versions'> {
  const runtimes = all.runtimes.filter(({ name }) => names.includes(name));
  if (runtimes.length === 0) throw usageError(`none of these runtimes can be used here: ${names.join(', ')}`);
  return { runtimes, versions: Object.fromEntries(runtimes.map(({ name }) => [name, all.versions[name]!])) };
}

/** What is left of a survey when only some runtimes and transports are asked for. */
export function selectCells(
  all: Survey,
  runtimes: readonly RuntimeName[],
  transports: readonly TransportName[],
): Survey {
  const labels = new Set<string>(runtimes.flatMap((runtime) => transports.map((one) => cellLabel(one, runtime))));
  return {
    ...all,
    cells: all.cells.filter(({ runtime, transport }) => labels.has(cellLabel(transport, runtime.name))),
    skipped: all.skipped.filter(({ label }) => labels.has(label) || runtimes.some((runtime) => runtime === label)),
  };
}
