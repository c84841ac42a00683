/**
 * YCSB's core workloads: which operations, in which shares, on which keys.
 *
 * Source: Cooper, Silberstein, Tam, Ramakrishnan, Sears, "Benchmarking Cloud Serving Systems with YCSB", SoCC 2010, and the
 * files `workloada` to `workloadf` and `CoreWorkload` of its program.
 */
import { createHash } from 'node:crypto';
import { Random } from '../../load/random.ts';
import { VERSIONS } from '../../load/workload.ts';
import { scramble, YCSB_ITEMS, Zipf } from '../../load/zipf.ts';
import type { DistributionName, OperationName, WorkloadName } from './workload-names.ts';

export interface Workload {
  readonly about: string;
  /** Shares of the operations, in the order in which YCSB draws them. Their sum is 1. */
  readonly shares: Readonly<Partial<Record<OperationName, number>>>;
  /** Which records are asked for. */
  readonly distribution: DistributionName;
}

export const workloads: Readonly<Record<WorkloadName, Workload>> = {
  A: { about: 'update heavy', shares: { read: 0.5, update: 0.5 }, distribution: 'zipfian' },
  B: { about: 'read mostly', shares: { read: 0.95, update: 0.05 }, distribution: 'zipfian' },
  C: { about: 'read only', shares: { read: 1 }, distribution: 'zipfian' },
  D: { about: 'read latest', shares: { read: 0.95, insert: 0.05 }, distribution: 'latest' },
  F: { about: 'read-modify-write', shares: { read: 0.5, readModifyWrite: 0.5 }, distribution: 'zipfian' },
};

/** What is to be done next. */
export interface Drawn {
  readonly operation: OperationName;
  /** The number of the record. */
  readonly record: number;
  /** What an update, an insert or a read-modify-write gives it: a version from 1 to `VERSIONS` - 1; 0 for a read. */
  readonly version: number;
  /** The field that a read-modify-write changes; an update writes them all. */
  readonly field: number;
}

export interface DrawOptions {
  /** How many records there are at the start, numbered from 0. */
  readonly records: number;
  /** Fields of each. */
  readonly fields: number;
  /** Instead of the workload's own. */
  readonly distribution?: DistributionName | undefined;
  readonly seed: number;
}

/** Draws one operation after the other: the same ones for the same seed, as long as records are stored at the same points. */
export class OperationDraw {
  readonly #random: Random;
  readonly #fields: number;
  readonly #shares: readonly (readonly [OperationName, number])[];
  readonly #records: RecordDraw;
  /** The number of the next record to insert. */
  #next: number;
  /** Records below this are all stored. */
  #stored: number;
  /** Records above that which are stored, while one before them is still on its way. */
  readonly #storedAhead = new Set<number>();

  constructor(name: WorkloadName, { records, fields, distribution, seed }: DrawOptions) {
    const { shares, distribution: own } = workloads[name];
    this.#random = new Random(seed);
    this.#fields = fields;
    this.#shares = Object.entries(shares) as [OperationName, number][];
    this.#records = recordDraws[distribution ?? own](records);
    this.#next = records;
    this.#stored = records;
  }

  /** How many records are stored without a gap. */
  get stored(): number {
    return this.#stored;
  }

  next(): Drawn {
    const operation = this.#operation();
    const record = operation === 'insert' ? this.#next++ : this.#records(this.#random, this.#stored);
    const version = operation === 'read' ? 0 : 1 + (this.#random.next() % (VERSIONS - 1));
    const field = operation === 'readModifyWrite' ? this.#random.next() % this.#fields : 0;
    return { operation, record, version, field };
  }

  /** An insert was answered, so the record may be asked for, unless one before it is still on its way. */
  inserted(record: number): void {
    this.#storedAhead.add(record);
    while (this.#storedAhead.delete(this.#stored)) this.#stored++;
  }

  #operation(): OperationName {
    let left = this.#random.fraction();
    for (const [name, share] of this.#shares) {
      left -= share;
      if (left < 0) return name;
    }
    // The shares' sum may be a little less than 1 in floating point.
    return this.#shares[0]![0];
  }
}

/** Draws the number of a record, of `stored` that there are. */
type RecordDraw = (random: Random, stored: number) => number;

/** Each is made for the number of records that there are at the start. */
const recordDraws: Readonly<Record<DistributionName, (records: number) => RecordDraw>> = {
  // ScrambledZipfianGenerator: ranks of ten billion items, scattered over the records.
  zipfian: (records) => {
    const zipf = new Zipf(YCSB_ITEMS);
    return (random) => scramble(zipf.rank(random), records);
  },
  // SkewedLatestGenerator: how far back from the record that was stored last.
  latest: (records) => {
    const zipf = new Zipf(records);
    return (random, stored) => {
      zipf.grow(stored);
      return stored - 1 - Math.min(zipf.rank(random), stored - 1);
    };
  },
  // UniformLongGenerator, over the records of the load phase.
  uniform: (records) => (random) => Math.floor(random.fraction() * records),
};

/** Operations that a workload's hash is made of. */
const HASHED_OPERATIONS = 10_000;

/** A short name for what is drawn, as if every insert were answered at once. */
export function drawHash(draw: OperationDraw): string {
  const hash = createHash('sha256');
  for (let i = 0; i < HASHED_OPERATIONS; i++) {
    const { operation, record, version, field } = draw.next();
    if (operation === 'insert') draw.inserted(record);
    hash.update(`${operation} ${record} ${version} ${field}\n`);
  }
  return hash.digest('hex').slice(0, 16);
}
