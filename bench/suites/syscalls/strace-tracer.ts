/**
 * Counting by `strace -c -f`, where perf can't be had. It stops the process at every system call, twice, which makes it many
 * times slower: what waits for each other may then come in other batches than without it.
 */
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { platform } from 'node:os';
import process from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { Child, ChildError } from '../../servers/child.ts';
import { type Counts, completeCounts, type Tracer, type Tracing, type Unavailable } from './tracer.ts';

/** How often it is looked whether it has attached itself. Unit: milliseconds. */
const LOOK_INTERVAL_MS = 10;

/** strace, if it is here and may attach itself to a process that it has not started. */
export async function straceTracer(): Promise<Tracer | Unavailable> {
  if (platform() !== 'linux') return { problem: `needs Linux, this is ${platform()}` };
  let version: string;
  try {
    const { stdout } = await promisify(execFile)('strace', ['--version']);
    version = /version (\S+)/.exec(stdout)?.[1] ?? 'unknown';
  } catch {
    return { problem: "is not here; it is in Debian's package strace" };
  }
  if (ptraceIsRestricted()) {
    return {
      problem:
        'may not attach itself: kernel.yama.ptrace_scope forbids it; "sysctl kernel.yama.ptrace_scope=0" allows it',
    };
  }
  return { name: 'strace', version, attach: (pid, signal) => StraceTracing.attach(pid, signal) };
}

function ptraceIsRestricted(): boolean {
  try {
    return process.getuid?.() !== 0 && Number(readFileSync('/proc/sys/kernel/yama/ptrace_scope', 'utf8')) > 0;
  } catch {
    // A kernel without Yama restricts nothing.
    return false;
  }
}

class StraceTracing implements Tracing {
  readonly #child: Child;

  private constructor(child: Child) {
    this.#child = child;
  }

  static async attach(pid: number, signal: AbortSignal): Promise<StraceTracing> {
    // Its table goes through cat, since it can't open a stdout that is a socket.
    const command = ['strace', '-c', '-f', '-o', '|cat', '-p', String(pid)] as const;
    const child = new Child('strace', [...command], signal);
    try {
      const ended = child.line();
      ended.catch(() => {});
      // It says so once it has stopped every thread for the first time.
      while (!/attached/.test(child.stderr)) await Promise.race([sleep(LOOK_INTERVAL_MS), ended]);
      return new StraceTracing(child);
    } catch (error) {
      await child[Symbol.asyncDispose]();
      throw error;
    }
  }

  async stop(): Promise<Counts> {
    return parseStraceCounts((await this.#child.lastLines('SIGINT')).join('\n'));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#child[Symbol.asyncDispose]();
  }
}

/** The counts in the table of `strace -c`. Throws `ChildError` when there is none. */
export function parseStraceCounts(text: string): Counts {
  const counts: Record<string, number> = {};
  // Share, seconds, microseconds per call, calls, errors if there were any, name.
  for (const [, calls, name] of text.matchAll(/^ *[\d.]+ +[\d.]+ +\d+ +(\d+)(?: +\d+)? +(\w+)$/gm)) {
    counts[name!] = Number(calls);
  }
  const { total, ...own } = counts;
  if (total === undefined) throw new ChildError('strace told no counts', null, text.trim());
  return completeCounts(own, total);
}
