/**
 * Node, and the base of the other two: Bun and Deno implement `node:process` so well that they differ from this in little
 * more than their names.
 */
import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import process from 'node:process';
import type { MemoryUse, Runtime } from './runtime.ts';

export function createNodeRuntime(): Runtime {
  return {
    name: 'node',
    version: process.versions.node,
    executable: process.execPath,
    pid: process.pid,
    parallelism: availableParallelism(),
    args: process.argv.slice(2),
    env: process.env,
    cpuTime() {
      const { user, system } = process.cpuUsage();
      return { userMicros: user, systemMicros: system };
    },
    memoryUse: memoryMeter(),
    onSignal(name, handler) {
      process.on(name, handler);
    },
    exit(code) {
      process.exit(code);
    },
  };
}

/** Looking takes a descriptor. While the process has none left, the answer is the last one: INFO has to be told all the same. */
function memoryMeter(): () => MemoryUse {
  let last = memoryUse();
  return () => {
    try {
      last = memoryUse();
    } catch {
      // As above.
    }
    return last;
  };
}

/**
 * Linux counts into `ru_maxrss`, which is what `resourceUsage` reads, the memory of the process that forked this one; the
 * high-water mark of /proc is this program's own. Elsewhere there is only the former.
 */
function memoryUse(): MemoryUse {
  const residentBytes = process.memoryUsage.rss();
  let peakKib: number;
  try {
    peakKib = Number(/^VmHWM:\s*(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? 0);
  } catch {
    peakKib = process.resourceUsage().maxRSS;
  }
  return { residentBytes, peakResidentBytes: Math.max(residentBytes, peakKib * 1024) };
}
