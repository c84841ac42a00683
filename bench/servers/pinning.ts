/**
 * Processes on cores of their own, through `taskset`: the scheduler then moves neither, and the load generator takes no time
 * from the server. All threads of a process share its core, garbage collector and compiler included; a server of several shards
 * has a core for each.
 */
import { execFileSync } from 'node:child_process';
import { platform } from 'node:os';
import process from 'node:process';
import { messageOf, usageError } from '../../runtime/command/errors.ts';

type CommandLine = [string, ...string[]];

/** Puts the command line of a process on its cores; `index` counts servers and generators from 0 each. */
export interface Pinning {
  server(command: CommandLine, index?: number): CommandLine;
  generator(command: CommandLine, index?: number): CommandLine;
}

/** Leaves the choice to the operating system. */
export const unpinned: Pinning = {
  server: (command) => command,
  generator: (command) => command,
};

/**
 * Which core each of so many servers and generators gets. Servers get the first of the cores that this process may use,
 * generators the others, in proportion to their numbers, and share those of their kind when there are too few. A server gets
 * as many as it has shards. Throws a `CommandError` where it can't be done: without taskset, with a single core, and when
 * shards would have to share one.
 */
export function pinned(servers = 1, generators = 1, shards = 1): Pinning {
  if (platform() !== 'linux') throw usageError(`--pin: needs Linux, this is ${platform()}`);
  const [forServers, forGenerators] = shareCores(allowedCores(), servers * shards, generators);
  if (shards > 1 && forServers.length < shards) {
    throw usageError(`--pin: ${shards} shards need a core each, and servers get ${forServers.length}`);
  }
  const on =
    (cores: readonly number[], each: number) =>
    (command: CommandLine, index = 0): CommandLine => [
      'taskset',
      '-c',
      Array.from({ length: each }, (_, at) => cores[(index * each + at) % cores.length]).join(','),
      ...command,
    ];
  return { server: on(forServers, shards), generator: on(forGenerators, 1) };
}

/** Parts the cores between servers and generators, at least one for each kind. Throws a `CommandError` for a single core. */
export function shareCores(
  cores: readonly number[],
  servers: number,
  generators: number,
): readonly [forServers: readonly number[], forGenerators: readonly number[]] {
  if (cores.length < 2) throw usageError('--pin: needs two cores, and this process may use one');
  const share = Math.round((cores.length * servers) / (servers + generators));
  const first = Math.min(Math.max(share, 1), cores.length - 1);
  return [cores.slice(0, first), cores.slice(first)];
}

/** The cores that this process may use, as `taskset` tells: a list like `0-3,8`. */
function allowedCores(): readonly number[] {
  let told: string;
  try {
    told = execFileSync('taskset', ['-c', '-p', String(process.pid)], { encoding: 'utf8', stdio: 'pipe' });
  } catch (error) {
    throw usageError(`--pin: needs taskset, which is in Debian's package util-linux: ${messageOf(error)}`);
  }
  return parseCoreList(told.slice(told.lastIndexOf(':') + 1).trim());
}

/** `0-3,8` as numbers. */
export function parseCoreList(text: string): readonly number[] {
  return text.split(',').flatMap((part) => {
    const [from = Number.NaN, to = from] = part.split('-').map(Number);
    return Array.from({ length: to - from + 1 }, (_, i) => from + i);
  });
}
