/**
 * Foreign functions under the runtime that runs this; one line of JSON tells how each went. Plain JavaScript, because it runs
 * under every runtime as it is. With the argument `seccomp` it forbids itself io_uring first, as a container does, and
 * tells what the transport makes of that; with `probe` it tells that alone.
 */
import process from 'node:process';
import { createFfi } from '../../dist/runtime/ffi/choose.js';
import { Libc } from '../../dist/runtime/ffi/libc.js';
import { createUringTransport } from '../../dist/transports/uring.js';

const EBADF = 9;
const PAGE = 4096;

function calls() {
  const ffi = createFfi();
  const libc = new Libc(ffi);
  const mapping = libc.map(PAGE);
  const bytes = new Uint8Array(mapping.buffer);
  bytes.set([1, 2, 3]);
  const again = new Uint8Array(ffi.view(mapping.address + 1, 2));
  const report = {
    name: ffi.name,
    errno: libc.close(-1) === -EBADF,
    view: [...again],
    address: ffi.addressOf(bytes.subarray(5)) === mapping.address + 5,
    missing: errorOf(() => ffi.open(['libdoes-not-exist.so'], {})),
  };
  bytes.fill(9, 1, 3);
  const shared = [...again];
  libc.unmap(mapping);
  return { ...report, shared };
}

/** Collections, and much that is allocated meanwhile, leave alone what is mapped, whoever has forgotten the views on it. */
function lifetimes() {
  const ffi = createFfi();
  const libc = new Libc(ffi);
  const mapped = [];
  for (let i = 0; i < 64; i++) {
    const { address } = libc.map(PAGE);
    new Uint8Array(ffi.view(address, PAGE)).fill(i);
    mapped.push(address);
  }
  for (let round = 0; round < 20; round++) {
    const garbage = [];
    for (let i = 0; i < 200; i++) garbage.push(new Uint8Array(50_000).fill(round));
  }
  return mapped.every((address, i) => new Uint8Array(ffi.view(address, PAGE)).every((byte) => byte === i));
}

/** The memory of an engine is where it was, however much it has grown. */
function growth() {
  const ffi = createFfi();
  const memory = new WebAssembly.Memory({ initial: 16 });
  const before = ffi.addressOf(new Uint8Array(memory.buffer));
  for (let i = 0; i < 20; i++) memory.grow(100);
  return ffi.addressOf(new Uint8Array(memory.buffer)) === before;
}

/** Lets io_uring_setup fail with EPERM for this thread, for good. */
function forbid() {
  const libc = new Libc();
  const { prctl } = libc.ffi.open(['libc.so.6', 'libc.so'], {
    prctl: { parameters: ['i32', 'i64', 'pointer', 'i64', 'i64'], returns: 'i32' },
  });
  const PR_SET_NO_NEW_PRIVS = 38;
  const PR_SET_SECCOMP = 22;
  const SECCOMP_MODE_FILTER = 2;
  const program = libc.map(PAGE);
  const view = new DataView(program.buffer);
  // Load the number of the call; when it is io_uring_setup's, give EPERM; allow the others.
  const filter = [
    [0x20, 0, 0, 0],
    [0x15, 0, 1, 425],
    [0x06, 0, 0, 0x00050001],
    [0x06, 0, 0, 0x7fff0000],
  ];
  for (const [i, [code, yes, no, k]] of filter.entries()) {
    view.setUint16(64 + 8 * i, code, true);
    view.setUint8(64 + 8 * i + 2, yes);
    view.setUint8(64 + 8 * i + 3, no);
    view.setUint32(64 + 8 * i + 4, k, true);
  }
  view.setUint16(0, filter.length, true);
  view.setBigUint64(8, BigInt(program.address + 64), true);
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) !== 0) throw new Error('PR_SET_NO_NEW_PRIVS');
  if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, program.address, 0, 0) !== 0) throw new Error('PR_SET_SECCOMP');
}

function errorOf(run) {
  try {
    run();
    return undefined;
  } catch (error) {
    return `${error.name}: ${error.message}`;
  }
}

const [what] = process.argv.slice(2);
if (what === 'seccomp') forbid();
const report =
  what === undefined
    ? { calls: calls(), lifetimes: lifetimes(), growth: growth() }
    : { availability: createUringTransport().availability() };
process.stdout.write(`${JSON.stringify(report)}\n`);
