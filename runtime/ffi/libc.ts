/**
 * The few functions of the C library that a ring needs: io_uring's three system calls, which have no names there, memory
 * for the kernel, and the making of sockets. Each gives a negative errno when it fails, as the kernel itself does.
 */
import { constants } from 'node:os';
import { createFfi } from './choose.ts';
import type { Ffi } from './ffi.ts';

/** The C library of glibc and of musl. */
export const LIBC = ['libc.so.6', 'libc.so'];

const SIGNATURES = {
  // Declared with all the arguments that a call may have: C passes them as it would pass variable ones. Our results are 32 bits.
  syscall: { parameters: ['i64', 'i64', 'i64', 'i64', 'i64', 'i64', 'i64'], returns: 'i32' },
  mmap: { parameters: ['pointer', 'i64', 'i32', 'i32', 'i32', 'i64'], returns: 'pointer' },
  munmap: { parameters: ['pointer', 'i64'], returns: 'i32' },
  madvise: { parameters: ['pointer', 'i64', 'i32'], returns: 'i32' },
  socket: { parameters: ['i32', 'i32', 'i32'], returns: 'i32' },
  setsockopt: { parameters: ['i32', 'i32', 'i32', 'pointer', 'i32'], returns: 'i32' },
  bind: { parameters: ['i32', 'pointer', 'i32'], returns: 'i32' },
  listen: { parameters: ['i32', 'i32'], returns: 'i32' },
  getsockname: { parameters: ['i32', 'pointer', 'pointer'], returns: 'i32' },
  getrlimit: { parameters: ['i32', 'pointer'], returns: 'i32' },
  eventfd: { parameters: ['i32', 'i32'], returns: 'i32' },
  write: { parameters: ['i32', 'pointer', 'i64'], returns: 'i64' },
  close: { parameters: ['i32'], returns: 'i32' },
} as const;

const PROT_READ_WRITE = 0x1 | 0x2;
const MAP_SHARED = 0x01;
const MAP_PRIVATE_ANONYMOUS = 0x02 | 0x20;
const MAP_FIXED = 0x10;
/** Populate the pages at once: the kernel is going to write to them anyway. */
const MAP_POPULATE = 0x8000;

/** Memory outside of every heap: it neither moves nor is collected, and is there until it is unmapped. */
export interface Mapping {
  readonly address: number;
  readonly length: number;
  readonly buffer: ArrayBuffer;
}

export class Libc {
  readonly ffi: Ffi;
  readonly #functions: ReturnType<typeof openFunctions>;
  readonly #errno: Int32Array;

  /** Of the calling thread, which `errno` belongs to. Throws `FfiError` when foreign functions can't be called here. */
  constructor(ffi: Ffi = createFfi()) {
    this.ffi = ffi;
    this.#functions = openFunctions(ffi);
    const { __errno_location } = ffi.open(LIBC, { __errno_location: { parameters: [], returns: 'pointer' } });
    this.#errno = new Int32Array(ffi.view(__errno_location(), 4));
  }

  /** `io_uring_setup(2)`: a descriptor. */
  ioUringSetup(entries: number, params: number): number {
    return this.#result(this.#functions.syscall(SYS_IO_URING_SETUP, entries, params, 0, 0, 0, 0));
  }

  /** `io_uring_enter(2)`: how many were submitted. */
  ioUringEnter(
    descriptor: number,
    submit: number,
    wait: number,
    flags: number,
    argument: number,
    size: number,
  ): number {
    return this.#result(this.#functions.syscall(SYS_IO_URING_ENTER, descriptor, submit, wait, flags, argument, size));
  }

  /** `io_uring_register(2)`. */
  ioUringRegister(descriptor: number, opcode: number, argument: number, count: number): number {
    return this.#result(this.#functions.syscall(SYS_IO_URING_REGISTER, descriptor, opcode, argument, count, 0, 0));
  }

  /** Zeroed private memory of at least `length` bytes. Throws when there is none. */
  map(length: number): Mapping {
    return this.#map(length, MAP_PRIVATE_ANONYMOUS, -1, 0);
  }

  /** Memory shared with the kernel through a descriptor, at an offset that means something to it. Throws likewise. */
  mapShared(length: number, descriptor: number, offset: number): Mapping {
    return this.#map(length, MAP_SHARED | MAP_POPULATE, descriptor, offset);
  }

  /** Its views MUST NOT be touched any more. */
  unmap({ address, length }: Pick<Mapping, 'address' | 'length'>): void {
    this.#functions.munmap(address, length);
  }

  /** Puts private zeros where a mapping was: what it shared is let go, and views on it may still be touched. */
  vacate({ address, length }: Pick<Mapping, 'address' | 'length'>): void {
    this.#functions.mmap(address, length, PROT_READ_WRITE, MAP_PRIVATE_ANONYMOUS | MAP_FIXED, -1, 0);
  }

  madvise(address: number, length: number, advice: number): number {
    return this.#result(this.#functions.madvise(address, length, advice));
  }

  socket(family: number, type: number): number {
    return this.#result(this.#functions.socket(family, type, 0));
  }

  setsockopt(descriptor: number, level: number, option: number, value: number, length: number): number {
    return this.#result(this.#functions.setsockopt(descriptor, level, option, value, length));
  }

  bind(descriptor: number, address: number, length: number): number {
    return this.#result(this.#functions.bind(descriptor, address, length));
  }

  listen(descriptor: number, backlog: number): number {
    return this.#result(this.#functions.listen(descriptor, backlog));
  }

  getsockname(descriptor: number, address: number, length: number): number {
    return this.#result(this.#functions.getsockname(descriptor, address, length));
  }

  getrlimit(resource: number, limit: number): number {
    return this.#result(this.#functions.getrlimit(resource, limit));
  }

  /** A counter to wake other threads with. */
  eventfd(): number {
    return this.#result(this.#functions.eventfd(0, EFD_CLOEXEC));
  }

  write(descriptor: number, address: number, length: number): number {
    return this.#result(this.#functions.write(descriptor, address, length));
  }

  close(descriptor: number): number {
    return this.#result(this.#functions.close(descriptor));
  }

  #map(length: number, flags: number, descriptor: number, offset: number): Mapping {
    const address = this.#functions.mmap(0, length, PROT_READ_WRITE, flags, descriptor, offset);
    if (address === -1) throw systemError('mmap', -this.#errno[0]!);
    return { address, length, buffer: this.ffi.view(address, length) };
  }

  #result(result: number): number {
    return result === -1 ? -this.#errno[0]! : result;
  }
}

/** Lets who waits for an eventfd go on. */
export function wake(libc: Libc, descriptor: number): void {
  const one = libc.map(8);
  new DataView(one.buffer).setBigUint64(0, 1n, true);
  libc.write(descriptor, one.address, 8);
  libc.unmap(one);
}

// The same on all machines that Bun, Deno and Node with koffi run on.
const SYS_IO_URING_SETUP = 425;
const SYS_IO_URING_ENTER = 426;
const SYS_IO_URING_REGISTER = 427;

const EFD_CLOEXEC = 0o2000000;

const names = new Map(Object.entries(constants.errno).map(([name, number]) => [number, name]));

/** The name of a negative errno, like `ECONNREFUSED`. */
export function errnoName(result: number): string {
  return names.get(-result) ?? `errno ${-result}`;
}

/** An error as the runtimes make them of a failed system call. */
export function systemError(call: string, result: number): Error & { readonly code: string } {
  const code = errnoName(result);
  return Object.assign(new Error(`${call} failed: ${code}`), { code });
}

function openFunctions(ffi: Ffi) {
  return ffi.open(LIBC, SIGNATURES);
}
