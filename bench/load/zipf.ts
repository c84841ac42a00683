/**
 * Which keys are asked for: a Zipf distribution over the keys, scattered over the key space with the hash of YCSB's
 * `ScrambledZipfianGenerator`. Few keys get most of the requests, and which ones they are has nothing to do with their
 * order. YCSB itself draws from ten billion items, whose zeta it has precomputed, however many keys there are: its hottest
 * keys have a smaller share.
 *
 * Sources: Gray, Sundaresan, Englert, Baclawski, Weinberger, "Quickly Generating Billion-Record Synthetic Databases",
 * SIGMOD 1994; Cooper, Silberstein, Tam, Ramakrishnan, Sears, "Benchmarking Cloud Serving Systems with YCSB", SoCC 2010.
 */
import type { Random } from './random.ts';

/** How skewed YCSB is. */
export const ZIPF_EXPONENT = 0.99;

/** Terms of a zeta that are added up one by one; the rest is an integral. */
const EXACT_TERMS = 1000;

/** The items from which YCSB draws before it scrambles, however many keys there are. */
export const YCSB_ITEMS = 10_000_000_000;

/** Draws ranks: 0 is the most frequent. */
export class Zipf {
  #items: number;
  readonly #exponent: number;
  #zeta: number;
  #eta: number;

  /** `exponent` lies between 0 and 1, both excluded. */
  constructor(items: number, exponent: number = ZIPF_EXPONENT) {
    this.#items = items;
    this.#exponent = exponent;
    this.#zeta = zeta(items, exponent);
    this.#eta = this.#etaNow();
  }

  /** There are more items now; only the terms of the new ones are added to the zeta. */
  grow(items: number): void {
    if (items <= this.#items) return;
    for (let i = this.#items + 1; i <= items; i++) this.#zeta += i ** -this.#exponent;
    this.#items = items;
    this.#eta = this.#etaNow();
  }

  rank(random: Random): number {
    const u = random.fraction();
    const scaled = u * this.#zeta;
    if (scaled < 1) return 0;
    if (scaled < 1 + 0.5 ** this.#exponent) return 1;
    return Math.floor(this.#items * (this.#eta * u - this.#eta + 1) ** (1 / (1 - this.#exponent)));
  }

  #etaNow(): number {
    return (1 - (2 / this.#items) ** (1 - this.#exponent)) / (1 - zeta(2, this.#exponent) / this.#zeta);
  }
}

/**
 * The sum of i^-exponent for i from 1 to `items`. The head is added up, the tail is the Euler–Maclaurin formula, whose
 * first neglected term is below 1e-13 here: adding up ten billion terms would take a minute.
 */
export function zeta(items: number, exponent: number): number {
  let sum = 0;
  const head = Math.min(items, EXACT_TERMS);
  for (let i = 1; i <= head; i++) sum += i ** -exponent;
  if (items === head) return sum;
  const integral = (items ** (1 - exponent) - head ** (1 - exponent)) / (1 - exponent);
  const ends = (items ** -exponent - head ** -exponent) / 2;
  const slopes = (exponent * (head ** (-exponent - 1) - items ** (-exponent - 1))) / 12;
  return sum + integral + ends + slopes;
}

const FNV_OFFSET_HIGH = 0xcbf29ce4;
const FNV_OFFSET_LOW = 0x84222325;
/** The FNV prime for 64 bits is 2⁴⁰ + 0x1b3; a 32-bit number times this part of it is still exact in a double. */
const FNV_PRIME_LOW = 0x1b3;

/**
 * The number of the key, of `keys` keys, that a rank stands for: YCSB's `fnvhash64` (FNV-1a over the eight bytes of the
 * rank, least first), its absolute value as an int64, modulo `keys`. In two halves, for BigInt is too slow for millions.
 */
export function scramble(rank: number, keys: number): number {
  let high = FNV_OFFSET_HIGH;
  let low = FNV_OFFSET_LOW;
  for (let i = 0, rest = rank; i < 8; i++, rest = Math.floor(rest / 256)) {
    low = (low ^ (rest % 256)) >>> 0;
    const product = low * FNV_PRIME_LOW;
    high = (high * FNV_PRIME_LOW + Math.floor(product / 2 ** 32) + ((low << 8) >>> 0)) % 2 ** 32;
    low = product % 2 ** 32;
  }
  if (high >= 2 ** 31) {
    // The absolute value of a negative int64: all bits inverted, plus one, which carries when the low half is 0.
    high = (low === 0 ? -high : ~high) >>> 0;
    low = -low >>> 0;
  }
  let remainder = high % keys;
  remainder = (remainder * 2 ** 16 + (low >>> 16)) % keys;
  return (remainder * 2 ** 16 + (low & 0xffff)) % keys;
}
