/** The work of the benchmark: that it is what it says, and the same everywhere. */
import { unpack } from 'msgpackr';
import { describe, expect, it } from 'vitest';
import { FramePool, poolOperations } from '../../bench/load/frames.ts';
import { Random } from '../../bench/load/random.ts';
import { loading, READ, Values, workloadHash, writeKey, ycsbB } from '../../bench/load/workload.ts';
import { scramble, Zipf, zeta } from '../../bench/load/zipf.ts';
import { FRAME_HEADER_BYTES, FRAME_TAG, Op } from '../../core/protocol.ts';

/** The items from which YCSB draws. */
const YCSB_ITEMS = 10_000_000_000;

const text = new TextDecoder();

describe('random numbers', () => {
  it('are those of the reference implementation', () => {
    // xoshiro128** 1.1 written down anew with BigInt, from the same SplitMix32 state.
    const random = new Random(1);
    const reference = referenceXoshiro(1);
    for (let i = 0; i < 1000; i++) expect(random.next()).toBe(reference());
  });

  it('shuffle to every order about equally often', () => {
    const random = new Random(7);
    const counts = new Map<string, number>();
    for (let i = 0; i < 6000; i++) {
      const order = random.shuffled(['a', 'b', 'c']).join('');
      counts.set(order, (counts.get(order) ?? 0) + 1);
    }
    expect(counts.size).toBe(6);
    for (const count of counts.values()) expect(Math.abs(count - 1000)).toBeLessThan(150);
  });
});

describe('the Zipf distribution', () => {
  it('has the zeta that YCSB precomputed', () => {
    expect(zeta(YCSB_ITEMS, 0.99)).toBeCloseTo(26.46902820178302, 8);
    expect(zeta(3, 0.5)).toBeCloseTo(1 + 1 / Math.sqrt(2) + 1 / Math.sqrt(3), 12);
  });

  it('draws the first ranks as often as it should', () => {
    const items = 1000;
    const zipf = new Zipf(items, 0.99);
    const random = new Random(3);
    const draws = 200_000;
    const counts = new Uint32Array(items);
    for (let i = 0; i < draws; i++) counts[zipf.rank(random)]!++;
    // Gray's approximation is exact for the first two ranks, and near for the rest.
    const share = (rank: number): number => (rank + 1) ** -0.99 / zeta(items, 0.99);
    expect(counts[0]! / draws).toBeCloseTo(share(0), 2);
    expect(counts[1]! / draws).toBeCloseTo(share(1), 2);
    const firstHundred = counts.subarray(0, 100).reduce((sum, count) => sum + count, 0) / draws;
    expect(firstHundred).toBeCloseTo(zeta(100, 0.99) / zeta(items, 0.99), 1);
    expect(counts.reduce((sum, count) => sum + count, 0)).toBe(draws);
  });

  it('is scattered over the keys by the hash that YCSB uses', () => {
    const random = new Random(11);
    const ranks = [0, 1, 255, 256, YCSB_ITEMS - 1, ...Array.from({ length: 500 }, () => random.next() * 3)];
    for (const keys of [1, 1000, 1_000_000, 100_000_000]) {
      for (const rank of ranks) expect(scramble(rank, keys)).toBe(referenceScramble(rank, keys));
    }
  });
});

describe('the workload', () => {
  it('is the same for the same seed, on every machine', () => {
    // Changing this hash makes figures measured before and after incomparable: it belongs into the changelog.
    expect(workloadHash(ycsbB(10_000, 1000, 1))).toBe('345b1fc62a630b41');
    expect(workloadHash(ycsbB(10_000, 1000, 2))).not.toBe(workloadHash(ycsbB(10_000, 1000, 1)));
  });

  it('reads 95 % of the time, and asks for keys that are there', () => {
    const { keyNumbers, versions } = ycsbB(100_000, 5000, 1);
    const reads = versions.filter((version) => version === READ).length;
    expect(reads / versions.length).toBeCloseTo(0.95, 2);
    expect(keyNumbers.every((key) => key < 5000)).toBe(true);
    const hottest = new Uint32Array(5000);
    for (const key of keyNumbers) hottest[key]!++;
    expect(Math.max(...hottest) / keyNumbers.length).toBeCloseTo(1 / zeta(5000, 0.99), 2);
  });

  it('has keys of 16 bytes', () => {
    const key = new Uint8Array(16);
    writeKey(key, 0, 1234567);
    expect(text.decode(key)).toBe('user000001234567');
  });

  it('has values that tell whose they are', () => {
    for (const length of [1, 16, 17, 32, 100, 1000]) {
      const values = new Values(length);
      const value = new Uint8Array(length);
      values.write(value, 0, 42, 3);
      expect(values.matches(value, 0, 42)).toBe(true);
      value[length - 1] = 0x21;
      expect(values.matches(value, 0, 42)).toBe(false);
    }
    const values = new Values(100);
    const value = new Uint8Array(100);
    values.write(value, 0, 42, 3);
    expect(text.decode(value)).toMatch(/^user0000000000423[a-z]{83}$/);
    expect(values.matches(value, 0, 43)).toBe(false);
  });
});

describe('frames', () => {
  it('say what the operations are', () => {
    for (const [batch, valueBytes] of [
      [1, 100],
      [16, 20],
      [70, 300],
    ] as const) {
      const operations = ycsbB(batch * 20 + batch - 1, 500, 1);
      const pool = new FramePool(operations, batch, new Values(valueBytes));
      expect(pool.length).toBe(20);
      for (let frame = 0; frame < pool.length; frame++) {
        const bytes = pool.frame(frame);
        expect(bytes[0]).toBe(FRAME_TAG);
        expect(new DataView(bytes.buffer, bytes.byteOffset).getUint32(1)).toBe(bytes.length - FRAME_HEADER_BYTES);
        expect(unpack(pool.frame(frame).subarray(FRAME_HEADER_BYTES))).toEqual(
          Array.from({ length: batch }, (_, i) => decoded(operations, frame * batch + i, valueBytes)),
        );
      }
    }
  });

  it('store every key once in the load phase', () => {
    const pool = new FramePool(loading(5, 15), 5, new Values(100));
    const stored = [0, 1].flatMap(
      (frame) => unpack(pool.frame(frame).subarray(FRAME_HEADER_BYTES)) as [number, string, string][],
    );
    expect(stored.map(([, key]) => Number(key.slice(4)))).toEqual([5, 6, 7, 8, 9, 10, 11, 12, 13, 14]);
    expect(stored.every(([op, key, value]) => op === Op.SET && value.startsWith(`${key}0`))).toBe(true);
  });

  it('are fewer when values are long, and at least one', () => {
    expect(poolOperations(512, 100, 0.05)).toBe(2 ** 20);
    expect(poolOperations(512, 10_000, 0.05)).toBeLessThan(2 ** 18);
    expect(poolOperations(512, 1024 * 1024, 1)).toBe(512);
  });
});

function decoded(operations: ReturnType<typeof ycsbB>, at: number, valueBytes: number): unknown[] {
  const keyNumber = operations.keyNumbers[at]!;
  const version = operations.versions[at]!;
  const key = `user${String(keyNumber).padStart(12, '0')}`;
  if (version === READ) return [Op.GET, key];
  const value = new Uint8Array(valueBytes);
  new Values(valueBytes).write(value, 0, keyNumber, version);
  return [Op.SET, key, text.decode(value)];
}

function referenceScramble(rank: number, keys: number): number {
  let hash = 0xcbf29ce484222325n;
  for (let i = 0n; i < 8n; i++) {
    hash ^= (BigInt(rank) >> (i * 8n)) & 0xffn;
    hash = BigInt.asUintN(64, hash * 1099511628211n);
  }
  const signed = BigInt.asIntN(64, hash);
  return Number((signed < 0n ? -signed : signed) % BigInt(keys));
}

function referenceXoshiro(seed: number): () => number {
  const mask = 0xffff_ffffn;
  let mixed = BigInt(seed);
  const s = Array.from({ length: 4 }, () => {
    mixed = (mixed + 0x9e3779b9n) & mask;
    let word = ((mixed ^ (mixed >> 16n)) * 0x21f0aaadn) & mask;
    word = ((word ^ (word >> 15n)) * 0x735a2d97n) & mask;
    return word ^ (word >> 15n);
  });
  const rotl = (word: bigint, bits: bigint): bigint => ((word << bits) | (word >> (32n - bits))) & mask;
  return () => {
    const result = (rotl((s[1]! * 5n) & mask, 7n) * 9n) & mask;
    const shifted = (s[1]! << 9n) & mask;
    s[2]! ^= s[0]!;
    s[3]! ^= s[1]!;
    s[1]! ^= s[2]!;
    s[0]! ^= s[3]!;
    s[2]! ^= shifted;
    s[3] = rotl(s[3]!, 11n);
    return Number(result);
  };
}
