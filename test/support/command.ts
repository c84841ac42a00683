/** Driving the built command as a user would: run it to its end, or start a server and take its ready line apart. */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { type Child, type ChildOptions, type Runtime, root, runtimes, startChild } from './children.ts';

/** The command's script, as it is built. */
export const entry = join(root, 'dist/ringkv.js');

if (!existsSync(entry)) throw new Error(`${entry} is missing: these tests run what "npm run build" makes`);

/** The runtime that runs the tests, which is there in any case. */
export const node: Runtime = runtimes()[0]!;

export interface Outcome {
  readonly code: number | NodeJS.Signals;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions extends ChildOptions {
  /** Default: Node. */
  readonly runtime?: Runtime;
  /** What it reads on stdin. Default: nothing. */
  readonly input?: string;
  /** The command's script. Default: `entry`. */
  readonly script?: string;
}

/** Runs the command to its end. */
export async function run(args: readonly string[], options: RunOptions = {}): Promise<Outcome> {
  const child = startChild(options.runtime ?? node, options.script ?? entry, args, options);
  child.stdin.end(options.input ?? '');
  const code = await child.exit;
  return { code, stdout: child.lines.map((line) => `${line}\n`).join(''), stderr: child.stderr };
}

/** The ready line's parts. */
export interface Ready {
  readonly version: string;
  readonly address: string;
  readonly transport: string;
  readonly runtime: string;
  readonly engine: string;
  readonly pid: number;
  /** Of several; undefined when there is one. */
  readonly shards?: number;
  /** Where the data is kept, and how; undefined when it is in memory alone. */
  readonly data?: string;
  readonly fsync?: string;
}

export interface ServerChild {
  readonly child: Child;
  readonly ready: Ready;
}

const READY_LINE =
  /^ringkv (\S+) ready (\S+) transport=(\S+) runtime=(\S+) engine=(\S+) pid=(\d+)(?: shards=(\d+))?(?: fsync=(\S+))? data=(.+)$/;

/** Starts `serve` on a free port of loopback, unless `args` say where, and waits for its ready line. */
export async function startServe(args: readonly string[] = [], options: RunOptions = {}): Promise<ServerChild> {
  const where = args.includes('--listen') ? [] : ['--listen', 'tcp://127.0.0.1:0'];
  const child = startChild(options.runtime ?? node, options.script ?? entry, ['serve', ...where, ...args], options);
  const [, version, address, transport, runtime, engine, pid, shards, fsync, data] =
    await child.waitForLine(READY_LINE);
  return {
    child,
    ready: {
      version: version!,
      address: address!,
      transport: transport!,
      runtime: runtime!,
      engine: engine!,
      pid: Number(pid),
      ...(shards === undefined ? {} : { shards: Number(shards) }),
      ...(fsync === undefined ? {} : { fsync, data: data! }),
    },
  };
}

/** How many descriptors the server has; only Linux tells. */
export function descriptorsOf({ ready }: ServerChild): number {
  return process.platform === 'linux' ? readdirSync(`/proc/${ready.pid}/fd`).length : 0;
}
