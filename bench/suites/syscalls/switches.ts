/** Context switches of a process, as the kernel counts them for each thread. */
import { readdirSync, readFileSync } from 'node:fs';

export interface Switches {
  /** A thread had nothing more to do and waited. */
  readonly voluntary: number;
  /** The scheduler took the core from it. */
  readonly involuntary: number;
}

/** Of all threads that the process has now, since each was started. */
export function switchesOf(pid: number): Switches {
  let voluntary = 0;
  let involuntary = 0;
  for (const thread of readdirSync(`/proc/${pid}/task`)) {
    let status: string;
    try {
      status = readFileSync(`/proc/${pid}/task/${thread}/status`, 'utf8');
    } catch {
      // It has ended meanwhile.
      continue;
    }
    voluntary += Number(/^voluntary_ctxt_switches:\s*(\d+)/m.exec(status)?.[1] ?? 0);
    involuntary += Number(/^nonvoluntary_ctxt_switches:\s*(\d+)/m.exec(status)?.[1] ?? 0);
  }
  return { voluntary, involuntary };
}
