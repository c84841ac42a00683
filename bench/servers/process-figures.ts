/**
 * CPU time and memory of any process, as Linux tells in /proc: the same source for every server, whoever wrote it.
 *
 * `schedstat` has the time that each thread has run, in nanoseconds; that of a thread under way is up to one timer tick old
 * (4 ms at most), and threads that have ended are not in it. /proc/PID/stat has these too, but counts hundredths of a second,
 * which is too coarse for a short measurement. How the time splits into user and system comes from there, as the kernel itself
 * estimates it for `getrusage`.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import type { ServerFigures } from '../load/plan.ts';

/** Why a `WatchedProcess` can't be used here; undefined where it can. */
export function whyNoProcessFigures(): string | undefined {
  return existsSync('/proc/self/schedstat') ? undefined : 'it needs Linux, with /proc/PID/schedstat';
}

/** One process, asked again and again. A thread that ends keeps what it had come to when it was seen last. */
export class WatchedProcess {
  readonly #pid: number;
  /** Of each thread by its number, what it had come to. */
  readonly #threadMicros = new Map<string, number>();
  #micros = 0;

  constructor(pid: number) {
    this.#pid = pid;
  }

  /** CPU time since its begin, but for threads that were never seen. Throws an `Error` when there is no such process. */
  figures(): ServerFigures {
    for (const thread of readdirSync(`/proc/${this.#pid}/task`)) {
      const micros = threadMicros(this.#pid, thread);
      if (micros === undefined) continue;
      const before = this.#threadMicros.get(thread) ?? 0;
      // Less than before is another thread, to which the number of one that has ended was given.
      this.#micros += micros < before ? micros : micros - before;
      this.#threadMicros.set(thread, micros);
    }
    // Behind the name in brackets, the third field is the first: utime and stime are the 14th and the 15th.
    const stat = readFileSync(`/proc/${this.#pid}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const userTicks = Number(fields[11]);
    const systemTicks = Number(fields[12]);
    const cpuUserMicros = userTicks === 0 ? 0 : (this.#micros * userTicks) / (userTicks + systemTicks);
    const peakKib = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${this.#pid}/status`, 'utf8'))?.[1];
    return {
      cpuUserMicros,
      cpuSystemMicros: this.#micros - cpuUserMicros,
      peakResidentBytes: Number(peakKib) * 1024,
    };
  }
}

/** Undefined when the thread has ended since the folder was read. */
function threadMicros(pid: number, thread: string): number | undefined {
  try {
    return Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8').split(' ')[0]) / 1000;
  } catch {
    return undefined;
  }
}
