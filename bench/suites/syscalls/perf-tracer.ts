/**
 * Counting by `perf stat` on the kernel's tracepoints. It counts in the kernel, stops nothing, and loses nothing; where it
 * begins and ends is told through its control channel, so that it is exact.
 */
import { execFile } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { platform } from 'node:os';
import { promisify } from 'node:util';
import { messageOf } from '../../../runtime/command/errors.ts';
import { Child, ChildError } from '../../servers/child.ts';
import { COUNTED, type Counts, completeCounts, type Tracer, type Tracing, type Unavailable } from './tracer.ts';

/** Where tracefs is mounted, today and on older systems. */
const TRACING_FOLDERS = ['/sys/kernel/tracing', '/sys/kernel/debug/tracing'];

/** Every system call, whichever. */
const ALL_CALLS = 'raw_syscalls:sys_enter';

const ENTER = 'syscalls:sys_enter_';

/** perf, if it is here and may count. */
export async function perfTracer(): Promise<Tracer | Unavailable> {
  if (platform() !== 'linux') return { problem: `needs Linux, this is ${platform()}` };
  let version: string;
  try {
    const { stdout } = await promisify(execFile)('perf', ['--version']);
    version = stdout.replace('perf version', '').trim();
  } catch {
    return { problem: "is not here; it is in Debian's package linux-perf" };
  }
  try {
    // Nobody's business but its own: whether it may count is seen in what it says of a program that ends at once.
    const { stderr } = await promisify(execFile)('perf', ['stat', '-x', ',', '-e', ALL_CALLS, 'true']);
    if (!/^[1-9]\d*,/m.test(stderr)) return { problem: `counts no system calls here: ${stderr.trim()}` };
    // It names each call by an event, and there is no event for calls that this processor's kernel has not.
    const events = countableCalls();
    return { name: 'perf', version, attach: (pid, signal) => PerfTracing.attach(pid, events, signal) };
  } catch (error) {
    return { problem: `may not count system calls: ${firstLine(messageOf(error))}; root may` };
  }
}

function countableCalls(): readonly string[] {
  const folder = TRACING_FOLDERS.map((one) => `${one}/events/syscalls`).find((one) => existsSync(one));
  const there = new Set(folder === undefined ? [] : readdirSync(folder));
  return COUNTED.filter((name) => there.has(`sys_enter_${name}`));
}

class PerfTracing implements Tracing {
  readonly #child: Child;

  private constructor(child: Child) {
    this.#child = child;
  }

  static async attach(pid: number, calls: readonly string[], signal: AbortSignal): Promise<PerfTracing> {
    const events = [ALL_CALLS, ...calls.map((name) => `${ENTER}${name}`)].join(',');
    // It starts without counting, takes orders on stdin, and answers and reports on stdout.
    const control = ['--delay', '-1', '--control', 'fd:0,1', '--log-fd', '1'];
    const command = ['perf', 'stat', '-x', ',', ...control, '-e', events, '-p', String(pid)] as const;
    const tracing = new PerfTracing(new Child('perf', [...command], signal));
    try {
      await tracing.#order('enable');
      return tracing;
    } catch (error) {
      await tracing[Symbol.asyncDispose]();
      throw error;
    }
  }

  async stop(): Promise<Counts> {
    await this.#order('disable');
    const lines = await this.#child.lastLines('SIGINT');
    return parsePerfCounts(lines.join('\n'));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#child[Symbol.asyncDispose]();
  }

  async #order(order: string): Promise<void> {
    this.#child.tell(order);
    // "ack", and a zero that it sends along belongs to the line after it.
    for (;;) if ((await this.#child.line()).replace('\0', '') === 'ack') return;
  }
}

/** The counts in what `perf stat -x ,` prints. Throws `ChildError` when they are not all there. */
export function parsePerfCounts(text: string): Counts {
  const counts: Record<string, number> = {};
  let total: number | undefined;
  for (const [, count, event] of text.matchAll(/^\0?(\d+),[^,]*,([^,]+),/gm)) {
    if (event === ALL_CALLS) total = Number(count);
    else if (event!.startsWith(ENTER)) counts[event!.slice(ENTER.length)] = Number(count);
  }
  if (total === undefined) throw new ChildError('perf told no counts', null, text.trim());
  // Not all events begin and end at the very same moment: of a thread that runs by itself, one may have seen more than all.
  const told = Object.values(counts).reduce((sum, count) => sum + count, 0);
  return completeCounts(counts, Math.max(total, told));
}

function firstLine(text: string): string {
  return text.trim().split('\n').at(-1)!.trim();
}
