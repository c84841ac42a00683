/** The engine's hash is SipHash-1-3 under a seed that nobody knows: told by the order of keys in a SCAN, which is that of hashes. */
import { expect, test } from 'vitest';
import { createSwissEngine } from '../../core/engine/swiss.ts';
import { Op } from '../../core/protocol.ts';
import { encode } from '../support/bytes.ts';
import { results, scanAll } from '../support/engines.ts';

/** So many that every segment of the table has been split by the hash's first bits, more than once. */
const KEYS = 20_000;
const SORTED_BITS = 4n;

const keys = Array.from({ length: KEYS }, (_, i) => `${i}`.padEnd(1 + (i % 40), '.'));

/** The keys in the order of a SCAN, in hexadecimal. */
function scanned(seed?: Uint8Array): string[] {
  const engine = createSwissEngine(seed === undefined ? {} : { seed });
  const sets = keys.map((key) => encode([Op.SET, key, 1]));
  for (let from = 0; from < KEYS; from += 1000) results(engine, sets.slice(from, from + 1000), 0);
  return scanAll(engine, 0, 500);
}

const mask = (word: bigint): bigint => BigInt.asUintN(64, word);
const rotate = (word: bigint, by: bigint): bigint => mask((word << by) | (word >> (64n - by)));

/** SipHash of Aumasson and Bernstein, with so many rounds for each word and at the end, by their paper. */
function sipHash(seed: Uint8Array, bytes: Uint8Array, rounds: number, lastRounds: number): bigint {
  const [k0, k1] = [0, 8].map((at) => Buffer.from(seed).readBigUInt64LE(at)) as [bigint, bigint];
  let [v0, v1] = [k0 ^ 0x736f6d6570736575n, k1 ^ 0x646f72616e646f6dn];
  let [v2, v3] = [k0 ^ 0x6c7967656e657261n, k1 ^ 0x7465646279746573n];
  const round = (): void => {
    v0 = mask(v0 + v1);
    v1 = rotate(v1, 13n) ^ v0;
    v0 = rotate(v0, 32n);
    v2 = mask(v2 + v3);
    v3 = rotate(v3, 16n) ^ v2;
    v0 = mask(v0 + v3);
    v3 = rotate(v3, 21n) ^ v0;
    v2 = mask(v2 + v1);
    v1 = rotate(v1, 17n) ^ v2;
    v2 = rotate(v2, 32n);
  };
  const padded = Buffer.alloc(Math.floor(bytes.length / 8) * 8 + 8);
  padded.set(bytes);
  padded[padded.length - 1] = bytes.length;
  for (let at = 0; at < padded.length; at += 8) {
    const word = padded.readBigUInt64LE(at);
    v3 ^= word;
    for (let i = 0; i < rounds; i++) round();
    v0 ^= word;
  }
  v2 ^= 0xffn;
  for (let i = 0; i < lastRounds; i++) round();
  return v0 ^ v1 ^ v2 ^ v3;
}

test('the hash above is that of the paper', () => {
  // Its appendix has SipHash-2-4 of the bytes 0 to 14 under the key of the bytes 0 to 15.
  const bytes = Uint8Array.from({ length: 16 }, (_, i) => i);
  expect(sipHash(bytes, bytes.subarray(0, 15), 2, 4)).toBe(0xa129ca6149be45e5n);
});

test('keys lie in the order of SipHash-1-3', () => {
  const seed = Uint8Array.from({ length: 16 }, (_, i) => 17 * i + 3);
  const order = scanned(seed).map((key) => sipHash(seed, Buffer.from(key, 'hex'), 1, 3) >> (64n - SORTED_BITS));
  expect(order).toHaveLength(KEYS);
  expect(order).toEqual(order.toSorted((a, b) => Number(a - b)));
});

test('two engines have two seeds, unless they are given one', () => {
  expect(scanned()).not.toEqual(scanned());
});
