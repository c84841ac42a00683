/** Where it was measured: what a reader has to know before comparing figures with those of another machine. */
import { execFile } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { arch, cpus, platform, release, totalmem } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { packageFolder } from '../../runtime/package.ts';

export interface Machine {
  /** Model of the first CPU. */
  readonly cpu: string;
  /** CPUs as the operating system counts them. */
  readonly cpus: number;
  /** How the kernel chooses the CPU's frequency; null where it does not say, as in most virtual machines. */
  readonly governor: string | null;
  readonly memoryBytes: number;
  /** Operating system and architecture, like `linux/x64`. */
  readonly platform: string;
  readonly kernel: string;
}

export function machine(): Machine {
  const all = cpus();
  return {
    cpu: all[0]?.model.trim() || 'unknown',
    cpus: all.length,
    governor: governor(),
    memoryBytes: totalmem(),
    platform: `${platform()}/${arch()}`,
    kernel: release(),
  };
}

function governor(): string | null {
  try {
    return readFileSync('/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor', 'utf8').trim();
  } catch {
    return null;
  }
}

export interface GitState {
  readonly revision: string;
  /** Whether the working tree differs from it. */
  readonly modified: boolean;
}

/** Which sources this is; null when the package lies in no repository of its own, or there is no git. */
export async function gitState(): Promise<GitState | null> {
  if (!existsSync(join(packageFolder, '.git'))) return null;
  const git = async (...args: string[]): Promise<string> =>
    (await promisify(execFile)('git', ['-C', packageFolder, ...args])).stdout.trim();
  try {
    return { revision: await git('rev-parse', 'HEAD'), modified: (await git('status', '--porcelain')) !== '' };
  } catch {
    return null;
  }
}
