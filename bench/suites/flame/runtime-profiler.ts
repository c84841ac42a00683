/**
 * The profilers that the runtimes bring along: `--cpu-prof` of Node, Deno and Bun writes a file for each thread when the
 * process ends. They sample from the start on; what was before and after the window is left out by the times of the samples.
 *
 * Bun's has its main thread alone. Where a server works in another, which is that of `uring`, that thread runs a script of ours
 * that has JavaScriptCore's own sampling profiler and then all that the usual one has.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { currentRuntime } from '../../../runtime/choose.ts';
import { createFfi } from '../../../runtime/ffi/choose.ts';
import { LIBC } from '../../../runtime/ffi/libc.ts';
import { scriptCommand } from '../../../runtime/find.ts';
import type { RuntimeName } from '../../../runtime/runtime.ts';
import type { Cell } from '../../servers/cell.ts';
import { Child } from '../../servers/child.ts';
import { startServerChild } from '../../servers/server.ts';
import { PROFILE_VARIABLE } from './bun-shard-file.ts';
import type { Window } from './profile.ts';
import type { ProfiledServer, Profiler, ProfilerOptions } from './profiler.ts';
import { IncompleteProfileError, readCpuProfile } from './read-cpuprofile.ts';
import { readJscTraces } from './read-jsc.ts';

/** Linux's number of it. */
const CLOCK_MONOTONIC = 1;

export const runtimeProfiler: Profiler = {
  name: 'runtime',
  async start(cell, options) {
    const inThread = cell.runtime.name === 'bun' && cell.transport === 'uring';
    return inThread ? startBunShard(cell, options) : startWithFlags(cell, options);
  },
};

async function startWithFlags(cell: Cell, { entry, folder, signal }: ProfilerOptions): Promise<ProfiledServer> {
  const runtimeFlags = ['--cpu-prof', `--cpu-prof-dir=${folder}`];
  const server = await startServerChild(cell.runtime, entry, cell.transport, { signal, runtimeFlags });
  return {
    ...server,
    begin: async () => {},
    async end(window) {
      // Profiles are written when the process ends.
      await server.child[Symbol.asyncDispose]();
      const files = readdirSync(folder)
        .filter((name) => name.endsWith('.cpuprofile'))
        .sort();
      // The ring's work is in a thread of its own.
      const threads = cell.transport === 'uring' ? 2 : 1;
      if (files.length < threads)
        throw new IncompleteProfileError(
          `${cell.runtime.name} --cpu-prof has written ${files.length} of ${threads} profiles`,
        );
      const own = onClockOf(cell.runtime.name, window);
      return files.map((name, at) => readCpuProfile(readFileSync(join(folder, name), 'utf8'), threadName(at), own));
    },
  };
}

/** Bun counts from 1970, V8 on the kernel's clock that never jumps. */
function onClockOf(runtime: RuntimeName, { fromMicros, toMicros }: Window): Window {
  if (runtime !== 'bun') return { fromMicros, toMicros };
  const sinceMicros = Date.now() * 1000 - monotonicMicros();
  return { fromMicros: fromMicros + sinceMicros, toMicros: toMicros + sinceMicros };
}

/** Files are numbered, or called by worker, in the order in which threads were started. */
function threadName(at: number): string {
  return at === 0 ? 'main thread' : `worker thread ${at}`;
}

async function startBunShard({ runtime }: Cell, { folder, signal }: ProfilerOptions): Promise<ProfiledServer> {
  const file = join(folder, 'shard.json');
  const script = fileURLToPath(new URL('./bun-shard-process.js', import.meta.url));
  const child = new Child('the server', scriptCommand(runtime, script, ['{}']), signal, { [PROFILE_VARIABLE]: file });
  try {
    const server = { child, address: await child.line() };
    return {
      ...server,
      begin: async () => {},
      async end(window) {
        child.tell('close');
        await child.line();
        return [readJscTraces(readFileSync(file, 'utf8'), "the shard's thread", window)];
      },
    };
  } catch (error) {
    await child[Symbol.asyncDispose]();
    throw error;
  }
}

/**
 * The kernel's clock that never jumps, which is the same in all processes (`CLOCK_MONOTONIC`, by which V8 and JavaScriptCore time
 * their samples; /proc/uptime is another one, which goes on while a machine is suspended). Node tells it; on the others
 * `process.hrtime` counts from their start, so the C library is asked. Throws `FfiError` when that can't be.
 */
export function monotonicMicros(): number {
  if (currentRuntime().name === 'node') return Number(process.hrtime.bigint()) / 1000;
  const ffi = createFfi();
  const { clock_gettime } = ffi.open(LIBC, { clock_gettime: { parameters: ['i32', 'pointer'], returns: 'i32' } });
  const time = new BigInt64Array(2);
  clock_gettime(CLOCK_MONOTONIC, ffi.addressOf(new Uint8Array(time.buffer)));
  const [seconds, nanos] = time;
  return Number(seconds) * 1e6 + Number(nanos) / 1000;
}
