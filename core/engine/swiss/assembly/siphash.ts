/**
 * SipHash-1-3 of a key, seeded per process: who does not know the seed cannot choose keys that collide. It is the variant
 * with one round a word and three at the end, which hash tables use (Aumasson and Bernstein, "SipHash: a fast short-input
 * PRF", 2012; the choice of rounds as in Rust's standard library).
 */

/** Where the 16 bytes of the seed are. */
export const seed: usize = memory.data(16, 16);

/**
 * Hash of the `length` bytes at `address`. Up to 7 bytes behind them are read, and count for nothing. The round is written
 * out each time: as a function it would have to keep its four words in memory instead of registers.
 */
export function hashKey(address: usize, length: u32): u64 {
  const k0 = load<u64>(seed);
  const k1 = load<u64>(seed, 8);
  let v0 = k0 ^ 0x736f6d6570736575;
  let v1 = k1 ^ 0x646f72616e646f6d;
  let v2 = k0 ^ 0x6c7967656e657261;
  let v3 = k1 ^ 0x7465646279746573;
  let left = length;
  let at = address;
  while (left >= 8) {
    const word = load<u64>(at);
    v3 ^= word;
    v0 += v1;
    v2 += v3;
    v1 = rotl(v1, 13) ^ v0;
    v3 = rotl(v3, 16) ^ v2;
    v0 = rotl(v0, 32);
    v2 += v1;
    v0 += v3;
    v1 = rotl(v1, 17) ^ v2;
    v3 = rotl(v3, 21) ^ v0;
    v2 = rotl(v2, 32);
    v0 ^= word;
    at += 8;
    left -= 8;
  }
  let last = (<u64>length) << 56;
  if (left != 0) last |= load<u64>(at) & (<u64>-1 >> ((8 - left) << 3));
  v3 ^= last;
  v0 += v1;
  v2 += v3;
  v1 = rotl(v1, 13) ^ v0;
  v3 = rotl(v3, 16) ^ v2;
  v0 = rotl(v0, 32);
  v2 += v1;
  v0 += v3;
  v1 = rotl(v1, 17) ^ v2;
  v3 = rotl(v3, 21) ^ v0;
  v2 = rotl(v2, 32);
  v0 ^= last;
  v2 ^= 0xff;
  for (let round = 0; round < 3; round++) {
    v0 += v1;
    v2 += v3;
    v1 = rotl(v1, 13) ^ v0;
    v3 = rotl(v3, 16) ^ v2;
    v0 = rotl(v0, 32);
    v2 += v1;
    v0 += v3;
    v1 = rotl(v1, 17) ^ v2;
    v3 = rotl(v3, 21) ^ v0;
    v2 = rotl(v2, 32);
  }
  return v0 ^ v1 ^ v2 ^ v3;
}
