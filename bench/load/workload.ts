/**
 * The work itself, before anything is encoded: keys, values, and the sequence of operations on them. The same seed gives
 * the same work on every machine and runtime; `workloadHash` tells whether two runs had the same.
 */
import { createHash } from 'node:crypto';
import { Random } from './random.ts';
import { scramble, Zipf } from './zipf.ts';

/** Length of every key: `user` and twelve digits. Unit: bytes. */
export const KEY_BYTES = 16;

/** Share of YCSB's workload B that reads; the rest overwrites. */
export const YCSB_B_READ_SHARE = 0.95;

/** The version of a value that the load phase writes; the run phase writes those above it, up to `VERSIONS` - 1. */
export const LOADED_VERSION = 0;

/** How many versions of a key's value there are. */
export const VERSIONS = 10;

const LETTERS = 26;
const DIGIT_0 = 0x30;
const LETTER_A = 0x61;
const KEY_PREFIX = [...'user'].map((letter) => letter.charCodeAt(0));

/** What is asked for, in order. Entry `i` of each array belongs to operation `i`. */
export interface Operations {
  readonly keyNumbers: Uint32Array;
  /** The version of the value to SET, or `READ` for a GET. */
  readonly versions: Uint8Array;
}

/** In the place of a version: this operation is a GET. */
export const READ = 0xff;

/** What is asked for: the share of GETs, the rest being SETs, and of which keys. */
export interface Mix {
  readonly readShare: number;
  /** `zipfian`: few keys get most of it, by a scrambled Zipf distribution; `uniform`: all alike. */
  readonly distribution: 'zipfian' | 'uniform';
}

/** YCSB's workload B. */
export const YCSB_B: Mix = { readShare: YCSB_B_READ_SHARE, distribution: 'zipfian' };

/** Operations of a mix over keys 0 to `keys` - 1. */
export function mixed(count: number, keys: number, seed: number, { readShare, distribution }: Mix): Operations {
  const random = new Random(seed);
  const draw = drawKeys(distribution, keys, random);
  const keyNumbers = new Uint32Array(count);
  const versions = new Uint8Array(count);
  for (let i = 0; i < count; i++) {
    keyNumbers[i] = draw();
    const reads = random.fraction() < readShare;
    versions[i] = reads ? READ : 1 + (random.next() % (VERSIONS - 1));
  }
  return { keyNumbers, versions };
}

function drawKeys(distribution: Mix['distribution'], keys: number, random: Random): () => number {
  if (distribution === 'uniform') return () => Math.floor(random.fraction() * keys);
  const zipf = new Zipf(keys);
  return () => scramble(zipf.rank(random), keys);
}

/** YCSB's workload B over keys 0 to `keys` - 1: 95 % GET and 5 % SET of a scrambled Zipf distribution. */
export function ycsbB(count: number, keys: number, seed: number): Operations {
  return mixed(count, keys, seed, YCSB_B);
}

/** Those of the operations whose keys are asked for, in their order. */
export function only({ keyNumbers, versions }: Operations, owns: (keyNumber: number) => boolean): Operations {
  const kept = [...keyNumbers.keys()].filter((i) => owns(keyNumbers[i]!));
  return {
    keyNumbers: Uint32Array.from(kept, (i) => keyNumbers[i]!),
    versions: Uint8Array.from(kept, (i) => versions[i]!),
  };
}

/** The operations from one place to before another. */
export function slice({ keyNumbers, versions }: Operations, from: number, to: number): Operations {
  return { keyNumbers: keyNumbers.subarray(from, to), versions: versions.subarray(from, to) };
}

/** One SET for each of the keys `from` to `to` - 1, in order: a part of the load phase. */
export function loading(from: number, to: number): Operations {
  const keyNumbers = Uint32Array.from({ length: to - from }, (_, i) => from + i);
  return { keyNumbers, versions: new Uint8Array(to - from).fill(LOADED_VERSION) };
}

/** A short name for exactly this sequence of operations. */
export function workloadHash({ keyNumbers, versions }: Operations): string {
  const numbers = new Uint8Array(keyNumbers.buffer, keyNumbers.byteOffset, keyNumbers.byteLength);
  return createHash('sha256').update(numbers).update(versions).digest('hex').slice(0, 16);
}

/** Writes the `KEY_BYTES` of a key at `offset` of `target`. */
export function writeKey(target: Uint8Array, offset: number, keyNumber: number): void {
  for (let i = 0; i < KEY_PREFIX.length; i++) target[offset + i] = KEY_PREFIX[i]!;
  let rest = keyNumber;
  for (let i = offset + KEY_BYTES - 1; i >= offset + KEY_PREFIX.length; i--) {
    target[i] = DIGIT_0 + (rest % 10);
    rest = Math.floor(rest / 10);
  }
}

/**
 * Values of one length. A value can be told from the key's and the version's number alone, so that a reply can be checked
 * whichever SET came last: the key, one digit for the version, then letters that differ with both. Values shorter than
 * that are its beginning.
 */
export class Values {
  readonly length: number;
  /** The alphabet over and over: any value's letters are a piece of it. */
  readonly #letters: Uint8Array;
  readonly #scratch: Uint8Array;
  readonly #expected: Uint8Array;

  /** `length` is that of every value. Unit: bytes. */
  constructor(length: number) {
    this.length = length;
    this.#letters = Uint8Array.from({ length: length + LETTERS }, (_, i) => LETTER_A + (i % LETTERS));
    this.#scratch = new Uint8Array(Math.max(length, KEY_BYTES + 1));
    this.#expected = new Uint8Array(length);
  }

  /** Writes the value at `offset` of `target`. */
  write(target: Uint8Array, offset: number, keyNumber: number, version: number): void {
    const value = this.#scratch;
    writeKey(value, 0, keyNumber);
    value[KEY_BYTES] = DIGIT_0 + version;
    const letters = (keyNumber + 7 * version) % LETTERS;
    value.set(this.#letters.subarray(letters, letters + value.length - KEY_BYTES - 1), KEY_BYTES + 1);
    target.set(value.length === this.length ? value : value.subarray(0, this.length), offset);
  }

  /** Whether the bytes at `offset` are this key's value in any version. */
  matches(bytes: Uint8Array, offset: number, keyNumber: number): boolean {
    const version = this.length > KEY_BYTES ? (bytes[offset + KEY_BYTES] ?? 0) - DIGIT_0 : LOADED_VERSION;
    if (version < 0 || version >= VERSIONS) return false;
    const expected = this.#expected;
    this.write(expected, 0, keyNumber, version);
    for (let i = 0; i < expected.length; i++) if (bytes[offset + i] !== expected[i]) return false;
    return true;
  }
}
