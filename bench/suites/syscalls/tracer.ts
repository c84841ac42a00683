/** Counting the system calls of a process that runs: what all tracers have in common. */

export type TracerName = 'perf' | 'strace';

export const TRACER_NAMES: readonly TracerName[] = ['perf', 'strace'];

/** How often each system call was made, by its name. */
export type Counts = Readonly<Record<string, number>>;

export interface Tracer {
  readonly name: TracerName;
  /** As the program tells it. */
  readonly version: string;
  /** Counts from when this resolves, in all threads of the process. Rejects with a `ChildError` when it can't. */
  attach(pid: number, signal: AbortSignal): Promise<Tracing>;
}

/** Counting under way. */
export interface Tracing extends AsyncDisposable {
  /** Ends it. Resolves to the counts of the calls in `COUNTED` and of all others together, as `OTHER`. */
  stop(): Promise<Counts>;
}

/** What a tracer can't be had for, and what would help. */
export interface Unavailable {
  readonly problem: string;
}

/** The name under which all calls are added up that are not in `COUNTED`. */
export const OTHER = 'other';

/**
 * The calls that are told apart: those that carry bytes, those that wait, and those that a runtime makes for its own sake. perf
 * counts each through an event of its own, for each thread, and attaching them takes time: all 360 would take ten seconds.
 */
export const COUNTED = [
  ...['read', 'write', 'readv', 'writev', 'recvfrom', 'sendto', 'recvmsg', 'sendmsg'],
  ...['epoll_wait', 'epoll_pwait', 'epoll_pwait2', 'epoll_ctl', 'poll', 'ppoll'],
  ...['io_uring_enter', 'io_uring_register'],
  ...['futex', 'sched_yield', 'nanosleep', 'clock_nanosleep', 'clock_gettime'],
  ...['mmap', 'munmap', 'mprotect', 'madvise', 'getpid', 'ioctl'],
] as const;

/** Counts of all names as `Tracing.stop` gives them. `total` is that of all calls; by default the sum of what is there. */
export function completeCounts(counts: Counts, total = sum(Object.values(counts))): Counts {
  const told = COUNTED.map((name) => [name, counts[name] ?? 0] as const);
  return { ...Object.fromEntries(told), [OTHER]: total - sum(told.map(([, count]) => count)) };
}

function sum(counts: readonly number[]): number {
  return counts.reduce((all, one) => all + one, 0);
}

/** Attaches to several processes at the same time. Rejects when it can't be attached to one of them, and is then to none. */
export async function attachAll(tracer: Tracer, pids: readonly number[], signal: AbortSignal): Promise<AllTracings> {
  const attached = await Promise.allSettled(pids.map((pid) => tracer.attach(pid, signal)));
  const all = new AllTracings(attached.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : [])));
  const failed = attached.find((one) => one.status === 'rejected');
  if (failed === undefined) return all;
  await all[Symbol.asyncDispose]();
  throw failed.reason;
}

class AllTracings implements AsyncDisposable {
  readonly #tracings: readonly Tracing[];

  constructor(tracings: readonly Tracing[]) {
    this.#tracings = tracings;
  }

  /** The counts of each process. */
  stop(): Promise<readonly Counts[]> {
    return Promise.all(this.#tracings.map((one) => one.stop()));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#tracings.map((one) => one[Symbol.asyncDispose]()));
  }
}
