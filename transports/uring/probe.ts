/** Whether io_uring can be had here, and if not, which of the usual reasons it is. */
import { readFileSync } from 'node:fs';
import { release } from 'node:os';
import { platform } from 'node:process';
import { FfiError } from '../../runtime/ffi/ffi.ts';
import { Libc } from '../../runtime/ffi/libc.ts';
import type { Availability } from '../transport.ts';
import { Ring, type Setup } from './ring.ts';

/** The oldest kernel that has all that is used. */
const KERNEL_NEEDED = [6, 0] as const;

const OTHER_TRANSPORT = "take the runtime's own sockets: --transport auto";

/** What is known about a machine on which setting up a ring failed. */
export interface Circumstances {
  /** As Node calls it, like `linux`. */
  readonly platform: string;
  /** The kernel's release, like `6.1.0-18-amd64`. */
  readonly kernel: string;
  /** The code of the system's error, like `EPERM`; undefined when it was not one. */
  readonly code: string | undefined;
  readonly message: string;
  /** `/proc/sys/kernel/io_uring_disabled`: 0 for nobody, 1 for those without privilege, 2 for all; undefined if there is none. */
  readonly disabled: string | undefined;
}

/** Sets up a small ring and drops it. */
export function probe(): Availability & { readonly setup?: Setup } {
  if (platform !== 'linux')
    return unavailable({ platform, kernel: '', code: undefined, message: '', disabled: undefined });
  try {
    const ring = new Ring(new Libc(), { sqEntries: 4, cqEntries: 8 });
    try {
      // All three system calls: a filter may forbid one alone.
      ring.registerFiles(1, 1);
    } finally {
      ring.close();
    }
    return { available: true, setup: ring.setup };
  } catch (error) {
    if (error instanceof FfiError)
      return { available: false, reason: `needs foreign functions: ${error.message}`, remedy: error.remedy };
    const { code, message } = error as Error & { readonly code?: string };
    return unavailable({ platform, kernel: release(), code, message, disabled: readDisabled() });
  }
}

/** Why there is no io_uring, and what to do about it. */
export function unavailable({ platform, kernel, code, message, disabled }: Circumstances): Availability {
  if (platform !== 'linux') return because(`needs Linux; this is ${platform}`, OTHER_TRANSPORT);
  const needed = KERNEL_NEEDED.join('.');
  if (isOlder(kernel))
    return because(`needs Linux ${needed}; this kernel is ${kernel}`, `boot a newer one, or ${OTHER_TRANSPORT}`);
  if (code === 'EPERM' && disabled === '2') {
    return because('is forbidden to everybody by kernel.io_uring_disabled=2', 'sysctl kernel.io_uring_disabled=0');
  }
  if (code === 'EPERM' && disabled === '1') {
    return because(
      'is forbidden to users without CAP_SYS_ADMIN by kernel.io_uring_disabled=1',
      'join the group of kernel.io_uring_group, or sysctl kernel.io_uring_disabled=0',
    );
  }
  if (code === 'EPERM' || code === 'EACCES' || code === 'ENOSYS') {
    return because(
      `is refused by this process's system call filter (seccomp), as containers have one: ${message}`,
      `allow io_uring_setup, io_uring_enter and io_uring_register in the container's profile, or ${OTHER_TRANSPORT}`,
    );
  }
  if (code === 'ENOMEM') {
    return because('finds no memory it may lock for its queues', 'raise ulimit -l');
  }
  if (code === 'EMFILE' || code === 'ENFILE') return because('finds no free file descriptor', 'raise ulimit -n');
  return because(`can't be set up: ${message}`, OTHER_TRANSPORT);
}

function because(reason: string, remedy: string): Availability {
  return { available: false, reason, remedy };
}

function isOlder(kernel: string): boolean {
  const [major = 0, minor = 0] = kernel.split('.').map((part) => Number.parseInt(part, 10));
  return major < KERNEL_NEEDED[0] || (major === KERNEL_NEEDED[0] && minor < KERNEL_NEEDED[1]);
}

function readDisabled(): string | undefined {
  try {
    return readFileSync('/proc/sys/kernel/io_uring_disabled', 'utf8').trim();
  } catch {
    return undefined;
  }
}
