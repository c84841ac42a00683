/**
 * CPU time and memory of any process, as Linux tells in /proc: the same source for every server, whoever wrote it.
 *
 * `schedstat` has the time that each thread has run, in nanoseconds; that of a thread under way is up to one timer tick old
 * (4 ms at most), and threads that have ended are not in it. How it splits into user and system comes from /proc/PID/stat,
 * which counts ticks, as the kernel itself does for `getrusage`.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import type { ServerFigures } from '../load/plan.ts';

/** Why `processFigures` can't be used here; undefined where it can. */
export function whyNoProcessFigures(): string | undefined {
  return existsSync('/proc/self/schedstat') ? undefined : 'it needs Linux, with /proc/PID/schedstat';
}

/** Throws an `Error` when there is no such process. */
export function processFigures(pid: number): ServerFigures {
  const micros = readdirSync(`/proc/${pid}/task`).reduce((sum, thread) => sum + threadMicros(pid, thread), 0);
  // Behind the name in brackets, the third field is the first: utime and stime are the 14th and the 15th.
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const userTicks = Number(fields[11]);
  const systemTicks = Number(fields[12]);
  const cpuUserMicros = userTicks === 0 ? 0 : (micros * userTicks) / (userTicks + systemTicks);
  const peakKib = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  return { cpuUserMicros, cpuSystemMicros: micros - cpuUserMicros, peakResidentBytes: Number(peakKib) * 1024 };
}

function threadMicros(pid: number, thread: string): number {
  try {
    return Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8').split(' ')[0]) / 1000;
  } catch {
    // It has ended since the folder was read.
    return 0;
  }
}
