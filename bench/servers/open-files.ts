/**
 * The limit of open files, which is what limits connections. Every process has a soft limit, at which the kernel refuses,
 * and a hard one, up to which it may raise the soft one itself.
 */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

type CommandLine = [string, ...string[]];

/** The hard limit of this process, which those it starts inherit; Infinity when there is none. */
export async function hardLimit(): Promise<number> {
  const { stdout } = await promisify(execFile)('/bin/sh', ['-c', 'ulimit -H -n']);
  return stdout.trim() === 'unlimited' ? Number.POSITIVE_INFINITY : Number(stdout);
}

/** The command line, started with a soft limit of `count`, which the hard limit must allow; as it is without a `count`. */
export function withOpenFiles(command: CommandLine, count: number | undefined): CommandLine {
  if (count === undefined) return command;
  return ['/bin/sh', '-c', 'ulimit -S -n "$0" && exec "$@"', String(count), ...command];
}
