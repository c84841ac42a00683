/**
 * `perf record -g`: it samples the whole process, the kernel's part of its work included, whatever thread does it. Functions of
 * JavaScript have names where the runtime writes a map of what it has compiled, which V8 does on Node and Deno.
 */
import { execFile } from 'node:child_process';
import { rmSync } from 'node:fs';
import { platform, tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { messageOf } from '../../../runtime/command/errors.ts';
import type { RuntimeName } from '../../../runtime/runtime.ts';
import { Child } from '../../servers/child.ts';
import { startServerChild } from '../../servers/server.ts';
import type { ProfiledServer, Profiler } from './profiler.ts';
import { readPerfScript } from './read-perf.ts';

/** Samples in a second: no multiple of what timers do. */
const FREQUENCY_HZ = 997;

/** What perf script may print. Unit: bytes. */
const SCRIPT_BYTES_MAX = 1024 * 1024 * 1024;

/**
 * What makes V8 write `/tmp/perf-PID.map`, and give interpreted functions a name of their own on the stack. The log that it also
 * writes then, into its working folder unless told otherwise, is of no interest.
 */
function mapFlags(runtime: RuntimeName, folder: string): readonly string[] {
  const log = ['--no-logfile-per-isolate', `--logfile=${join(folder, 'v8.log')}`];
  const flags = ['--perf-basic-prof', '--interpreted-frames-native-stack', ...log];
  switch (runtime) {
    case 'node':
      return flags;
    case 'deno':
      return [`--v8-flags=${flags.join(',')}`];
    case 'bun':
      return [];
  }
}

/** Why there is no perf, or undefined when there is. */
export async function perfProblem(): Promise<string | undefined> {
  if (platform() !== 'linux') return `needs Linux, this is ${platform()}`;
  const perf = promisify(execFile);
  try {
    await perf('perf', ['--version']);
  } catch {
    return "perf is not here; it is in Debian's package linux-perf";
  }
  try {
    // A clock of the kernel's: virtual machines often have no counters of the processor's.
    await perf('perf', ['record', '-q', '-e', 'cpu-clock', '-o', '/dev/null', 'true']);
    return undefined;
  } catch (error) {
    return `perf may not record here: ${messageOf(error).trim().split('\n').at(-1)!.trim()}`;
  }
}

export const perfProfiler: Profiler = {
  name: 'perf',
  async start({ runtime, transport }, { entry, folder, signal }): Promise<ProfiledServer> {
    const runtimeFlags = mapFlags(runtime.name, folder);
    const server = await startServerChild(runtime, entry, transport, { signal, runtimeFlags });
    const { pid } = server.child;
    const data = join(folder, 'perf.data');
    let recording: Child | undefined;
    return {
      ...server,
      async begin() {
        // It starts without recording; that it answers an order means that it is attached.
        const control = ['--delay', '-1', '--control', 'fd:0,1'];
        const what = ['-e', 'cpu-clock', '-F', String(FREQUENCY_HZ), '-g', '-p', String(pid), '-o', data];
        recording = new Child('perf', ['perf', 'record', '-q', ...control, ...what], signal);
        recording.tell('enable');
        await recording.line();
      },
      async end() {
        await recording!.lastLines('SIGINT');
        // Symbols are looked up while the process is still there, whose map of memory they are in.
        const script = ['script', '-i', data, '-F', 'comm,tid,ip,sym,dso'];
        const { stdout } = await promisify(execFile)('perf', script, { maxBuffer: SCRIPT_BYTES_MAX });
        await server.child[Symbol.asyncDispose]();
        rmSync(join(tmpdir(), `perf-${pid}.map`), { force: true });
        return readPerfScript(stdout, 1e6 / FREQUENCY_HZ);
      },
    };
  },
};
