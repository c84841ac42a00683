/** What is done one by one, on a store or through a client: keys, values, operations, and what must come of them. */
import { Random } from './random.ts';
import { ReplyError, SAMPLE_EVERY } from './replies.ts';
import type { SequentialOperation, SequentialPlan } from './sequential-plan.ts';
import { KEY_BYTES, Values, VERSIONS, writeKey } from './workload.ts';

/** The most keys that are drawn beforehand; they are asked for round and round. More than any cache of a CPU holds. */
const DRAWN_MAX = 2 ** 18;

/** The most that the values take that are prepared for these. Unit: bytes. */
const VALUES_BYTES_MAX = 64 * 1024 * 1024;

/** Does something, for the `i`th time, and gives what came of it; throws what went wrong. */
export type Do<Result> = (i: number) => Result;

/** Throws a `ReplyError` when what came of it is not right. */
export type Check = (i: number, result: unknown) => void;

/** What a store and a client have in common. */
interface Target<Result> {
  get(key: string): Result;
  set(key: string, value: string): Result;
  delete(key: string): Result;
}

/** Keys, values and operations on them. The same seed gives the same, on a store as on a server. */
export class Work {
  readonly values: Values;
  readonly #count: number;
  /** Numbers and names of keys that are there, drawn evenly; empty without keys. */
  readonly #numbers: Uint32Array;
  readonly #keys: readonly string[];
  /** Names of as many keys that are not there. */
  readonly #missing: readonly string[];
  /** For each of the keys, a value in another version than the one that was stored first. */
  readonly #texts: readonly string[];

  constructor({ keys, valueBytes, seed }: SequentialPlan) {
    this.values = new Values(valueBytes);
    this.#count = Math.max(1, Math.min(DRAWN_MAX, Math.floor(VALUES_BYTES_MAX / valueBytes)));
    const random = new Random(seed);
    const drawn = Uint32Array.from({ length: this.#count }, () => Math.floor(random.fraction() * Math.max(keys, 1)));
    this.#numbers = drawn;
    this.#keys = Array.from(drawn, keyName);
    this.#missing = Array.from(drawn, (_, i) => keyName(keys + i));
    this.#texts = Array.from(drawn, (number, i) => this.value(number, 1 + (i % (VERSIONS - 1))));
  }

  /** A value as text. */
  value(number: number, version: number): string {
    const bytes = new Uint8Array(this.values.length);
    this.values.write(bytes, 0, number, version);
    return flat(bytes);
  }

  /** `both` does the second after the first, if that gave true. */
  act<Result>(
    operation: SequentialOperation,
    target: Target<Result>,
    both: (first: Result, second: () => Result) => Result,
  ): Do<Result> {
    const count = this.#count;
    const keys = this.#keys;
    const missing = this.#missing;
    const texts = this.#texts;
    switch (operation) {
      case 'get':
        return (i) => target.get(keys[i % count]!);
      case 'miss':
        return (i) => target.get(missing[i % count]!);
      case 'set':
        return (i) => target.set(keys[i % count]!, texts[i % count]!);
      case 'churn':
        return (i) => {
          const key = missing[i % count]!;
          return both(target.set(key, texts[i % count]!), () => target.delete(key));
        };
    }
  }

  /** All results are checked for their kind and length, one in `SAMPLE_EVERY` in full. */
  check(operation: SequentialOperation): Check {
    if (operation === 'get') return (i, result) => this.#checkValue(i % this.#count, result, i % SAMPLE_EVERY === 0);
    const expected = operation === 'miss' ? undefined : true;
    return (i, result) => {
      if (result !== expected) throw wrong(operation, this.#missing[i % this.#count]!, result, String(expected));
    };
  }

  #checkValue(at: number, result: unknown, inFull: boolean): void {
    const { values } = this;
    const right =
      typeof result === 'string' &&
      result.length === values.length &&
      (!inFull || values.matches(new TextEncoder().encode(result), 0, this.#numbers[at]!));
    if (!right) throw wrong('get', this.#keys[at]!, result, `its value of ${values.length} bytes`);
  }
}

function wrong(operation: SequentialOperation, key: string, result: unknown, expected: string): ReplyError {
  const told = typeof result === 'string' ? `"${result.slice(0, 40)}"` : String(result);
  return new ReplyError(`${operation} of ${key} gave ${told} instead of ${expected}`);
}

export function keyName(number: number): string {
  const bytes = new Uint8Array(KEY_BYTES);
  writeKey(bytes, 0, number);
  return flat(bytes);
}

/** Text that is one piece of memory, as one that was read from somewhere is. */
function flat(ascii: Uint8Array): string {
  return new TextDecoder().decode(ascii);
}
