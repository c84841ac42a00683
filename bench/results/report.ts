/** What every suite's JSON begins with, and writing it. `docs/bench.md` documents the schema. */
import { closeSync, openSync, writeFileSync } from 'node:fs';
import { CommandError, messageOf } from '../../runtime/command/errors.ts';
import { packageVersion } from '../../runtime/package.ts';
import { type GitState, gitState, type Machine, machine } from './machine.ts';

/** Changes whenever a reader of the former version would misread the new one. */
export const SCHEMA_VERSION = 2;

export interface ReportHead {
  readonly schema: 'ringkv-bench';
  readonly schemaVersion: number;
  readonly suite: string;
  /** When the run began, in ISO 8601. */
  readonly startedAt: string;
  readonly ringkv: string;
  readonly git: GitState | null;
  readonly machine: Machine;
  /** The versions of the runtimes that took part, by name. */
  readonly versions: Readonly<Record<string, string>>;
  /** Every flag of the suite with the value that applied. */
  readonly flags: Readonly<Record<string, unknown>>;
}

export async function reportHead(
  suite: string,
  versions: ReportHead['versions'],
  flags: ReportHead['flags'],
): Promise<ReportHead> {
  return {
    schema: 'ringkv-bench',
    schemaVersion: SCHEMA_VERSION,
    suite,
    startedAt: new Date().toISOString(),
    ringkv: packageVersion,
    git: await gitState(),
    machine: machine(),
    versions,
    flags,
  };
}

/** The head in two lines for a terminal. */
export function formatHead({ suite, ringkv, machine, versions }: ReportHead): string {
  const memory = `${Math.round(machine.memoryBytes / 2 ** 30)} GiB`;
  const runtimes = Object.entries(versions).map(([name, version]) => `${name} ${version}`);
  return (
    `ringkv ${ringkv} bench ${suite}: ${runtimes.join(', ')}\n` +
    `${machine.cpus} × ${machine.cpu}, ${memory}, ${machine.platform}, kernel ${machine.kernel}\n`
  );
}

/** Throws a `CommandError` when the file can't be written: better before the measurements than after them. */
export function assertWritable(file: string): void {
  try {
    closeSync(openSync(file, 'a'));
  } catch (error) {
    throw new CommandError(`--json ${file}: ${messageOf(error)}`);
  }
}

export function writeReport(file: string, report: ReportHead): void {
  writeFileSync(file, `${JSON.stringify(report, null, 2)}\n`);
}
