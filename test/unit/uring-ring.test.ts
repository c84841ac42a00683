/** The ring itself, on the kernel that runs: every way to set it up, queues that are full, completions that overflow. */
import { afterEach, describe, expect, test } from 'vitest';
import { Libc } from '../../runtime/ffi/libc.ts';
import { ETIME } from '../../transports/uring/constants.ts';
import { prepNop, prepTimeout, sqeSetUserData } from '../../transports/uring/prep.ts';
import { type Circumstances, probe, unavailable } from '../../transports/uring/probe.ts';
import { Ring, type RingOptions, SETUPS } from '../../transports/uring/ring.ts';
import { Stage } from '../../transports/uring/stage.ts';

const here = probe();
const why = here.available ? '' : ` (${here.reason})`;

const rings: Ring[] = [];
afterEach(() => {
  for (const ring of rings.splice(0)) ring.close();
});

function open(options: Partial<RingOptions> = {}): Ring {
  const ring = new Ring(new Libc(), { sqEntries: 8, cqEntries: 16, ...options });
  rings.push(ring);
  return ring;
}

/** Queues a NOP that completes with this user data. */
function nop(ring: Ring, low: number, high = 0): void {
  const sqe = ring.getSqe();
  expect(sqe).toBeGreaterThanOrEqual(0);
  prepNop(ring.sqes, sqe);
  sqeSetUserData(ring.sqes, sqe, low, high);
}

/** Takes the completions that are there: the two halves of their user data. */
function take(ring: Ring): [number, number][] {
  const taken: [number, number][] = [];
  for (let left = ring.cqReady(); left > 0; left--) {
    const cqe = ring.cqe(0);
    taken.push([ring.words[cqe]!, ring.words[cqe + 1]!]);
    ring.cqAdvance(1);
  }
  return taken;
}

describe.skipIf(!here.available)(`ring${why}`, () => {
  // A kernel that is older than the one that brought a way can't take it; this one's own is the first that it takes.
  const known = here.available ? SETUPS.slice(SETUPS.findIndex(({ name }) => name === here.setup!.name)) : [];

  test.each(known)('$name: entries go round the queues many times and complete in order', (setup) => {
    const ring = open({ setups: [setup] });
    expect(ring.setup).toBe(setup);
    for (let i = 0; i < 100; i++) {
      nop(ring, i, -i);
      nop(ring, ~i, i);
      expect(ring.sqReady()).toBe(2);
      expect(ring.submitAndWait(2)).toBe(2);
      expect(take(ring)).toEqual([
        [i, i === 0 ? 0 : -i],
        [~i, i],
      ]);
    }
  });

  test('a flag that the kernel does not know makes it try the next way, and the last refusal is told', () => {
    const unknown = { flags: 1 << 30, name: 'of the future' };
    expect(open({ setups: [unknown, ...known] }).setup).toBe(known[0]);
    expect(() => open({ setups: [unknown] })).toThrow(expect.objectContaining({ code: 'EINVAL' }));
  });

  test('a full submission queue gives no entry until it was submitted', () => {
    const ring = open();
    for (let i = 0; i < ring.sqEntries; i++) nop(ring, i);
    expect(ring.getSqe()).toBe(-1);
    expect(ring.submitAndWait(0)).toBe(ring.sqEntries);
    nop(ring, 8);
    expect(ring.submitAndWait(1)).toBe(1);
    expect(take(ring).map(([low]) => low)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8]);
  });

  test('completions for which there is no room are kept, and none is lost', () => {
    const ring = open({ sqEntries: 8, cqEntries: 8 });
    for (let i = 0; i < 40; i++) {
      if (ring.sqReady() === ring.sqEntries) ring.submitAndWait(0);
      nop(ring, i);
    }
    ring.submitAndWait(0);
    expect(ring.cqOverflows).toBe(true);
    const taken: number[] = [];
    while (taken.length < 40) {
      taken.push(...take(ring).map(([low]) => low));
      if (ring.cqOverflows) ring.submitAndWait(0);
    }
    expect(taken).toEqual(Array.from({ length: 40 }, (_, i) => i));
    expect(ring.cqOverflows).toBe(false);
  });

  test('a wait ends when its time is up, and with a time-out of the ring', () => {
    const libc = new Libc();
    const ring = open();
    expect(ring.submitAndWaitTimeout(1, 2)).toBe(-ETIME);
    expect(ring.submitAndWaitTimeout(1, 1.5)).toBe(-ETIME);
    const mapping = libc.map(4096);
    new DataView(mapping.buffer).setBigInt64(8, 1_000_000n, true);
    const sqe = ring.getSqe();
    prepTimeout(ring.sqes, sqe, mapping.address);
    sqeSetUserData(ring.sqes, sqe, 7, 8);
    ring.submitAndWait(1);
    expect(ring.words[ring.cqe(0) + 2]).toBe(-ETIME);
    expect(take(ring)).toEqual([[7, 8]]);
    libc.unmap(mapping);
  });

  test('a stage uses a chunk again once all that lay in it has left, and gives back what it does not need', () => {
    const stage = new Stage(new Libc());
    const addresses = new Set<number>();
    const kept = stage.add(Uint8Array.of(1, 2, 3));
    const bytes = new Uint8Array(100_000).fill(7);
    for (let i = 0; i < 1000; i++) {
      const piece = stage.add(bytes);
      expect(piece.length).toBe(bytes.length);
      addresses.add(piece.address);
      stage.release(piece);
    }
    expect(addresses.size).toBeLessThan(4);
    const many = Array.from({ length: 100 }, () => stage.add(bytes));
    expect(new Set(many.map(({ address }) => address)).size).toBe(100);
    for (const piece of many) stage.release(piece);
    expect([...kept.chunk.bytes.subarray(0, 3)]).toEqual([1, 2, 3]);
    expect(stage.add(new Uint8Array(2 ** 20)).length).toBeLessThan(2 ** 20);
    stage.close();
  });
});

describe('why there is none', () => {
  const linux: Circumstances = {
    platform: 'linux',
    kernel: '6.8.0',
    code: 'EPERM',
    message: 'io_uring_setup failed: EPERM',
    disabled: '0',
  };
  const cases: [string, Partial<Circumstances>, RegExp, RegExp][] = [
    ['macOS', { platform: 'darwin', kernel: '' }, /^needs Linux; this is darwin$/, /--transport auto/],
    [
      'an old kernel',
      { kernel: '5.15.0-91-generic', code: 'EINVAL' },
      /needs Linux 6\.0; this kernel is 5\.15\.0/,
      /newer/,
    ],
    ['a very old kernel', { kernel: '4.19.0', code: 'ENOSYS' }, /needs Linux 6\.0; this kernel is 4\.19\.0/, /newer/],
    ['the switch for all', { disabled: '2' }, /kernel\.io_uring_disabled=2/, /sysctl kernel\.io_uring_disabled=0/],
    ['the switch for some', { disabled: '1' }, /kernel\.io_uring_disabled=1/, /kernel\.io_uring_group/],
    ['a filter', {}, /seccomp.*EPERM/, /io_uring_setup, io_uring_enter and io_uring_register/],
    [
      'a filter that hides it',
      { code: 'ENOSYS', message: 'io_uring_register failed: ENOSYS', disabled: undefined },
      /seccomp.*register.*ENOSYS/,
      /profile/,
    ],
    ['no memory to lock', { code: 'ENOMEM' }, /memory/, /ulimit -l/],
    ['no descriptor', { code: 'EMFILE' }, /descriptor/, /ulimit -n/],
    ['anything else', { code: 'EIO', message: 'io_uring_setup failed: EIO' }, /can't be set up: .*EIO/, /auto/],
  ];
  test.each(cases)('%s', (_, circumstances, reason, remedy) => {
    expect(unavailable({ ...linux, ...circumstances })).toEqual({
      available: false,
      reason: expect.stringMatching(reason),
      remedy: expect.stringMatching(remedy),
    });
  });
});
