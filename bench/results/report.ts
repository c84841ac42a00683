/**
 * The JSON that every suite writes, and writing it. `docs/bench.md` documents the schema, `validate.ts` checks what is read.
 *
 * All suites have the same shape: dimensions say what was measured, figures what came out. So one command compares any two
 * files, and one page shows any of them.
 */
import { closeSync, lstatSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { CommandError, messageOf } from '../../runtime/command/errors.ts';
import { packageVersion } from '../../runtime/package.ts';
import { type Latency, mergedPercentiles } from '../load/latency.ts';
import { type GitState, gitState, type Machine, machine } from './machine.ts';
import { type Summary, summarizeFigures } from './statistics.ts';

/** Changes whenever a reader of the former version would misread the new one. */
export const SCHEMA_VERSION = 3;

export interface ReportHead {
  readonly schema: 'ringkv-bench';
  readonly schemaVersion: number;
  readonly suite: string;
  /** When the run began, in ISO 8601. */
  readonly startedAt: string;
  readonly ringkv: string;
  readonly git: GitState | null;
  readonly machine: Machine;
  /** The versions of the programs that took part, by name: the runtimes, and what else was measured. */
  readonly versions: Readonly<Record<string, string>>;
  /** Every flag of the suite with the value that applied. */
  readonly flags: Readonly<Record<string, unknown>>;
}

/** A suite's whole JSON. A suite may add fields of its own, for what is the same in all its rounds. */
export interface Report extends ReportHead {
  readonly skipped: readonly Skipped[];
  /** A signal ended it before all rounds were measured. */
  readonly interrupted: boolean;
  /** What was measured, raw, in the order of time: of an interrupted run, the rounds that were completed, if there are any. */
  readonly rounds: readonly ReportRound[];
  /** The rounds of each cell together. */
  readonly cells: readonly ReportCell[];
}

/** Something that can't be measured here, and why. */
export interface Skipped {
  readonly label: string;
  readonly reason: string;
}

/**
 * What tells one cell from another. The names mean the same in every suite; a suite uses those that vary in it, or that its
 * reader needs. What is the same in all cells for sure is a flag.
 */
export interface KnownDimensions {
  /** What the server runs under: `node`, `bun`, `deno`. */
  readonly runtime: string;
  /** What carries the server's bytes. */
  readonly transport: string;
  /** The bare echo on the same transport, instead of the server. */
  readonly control: boolean;
  /** Operations per frame. */
  readonly batch: number;
  readonly connections: number;
  /** Frames in flight on each connection. */
  readonly depth: number;
  readonly keys: number;
  /** Length of every value. Unit: bytes. */
  readonly valueSize: number;
  /** What the load generator runs under. */
  readonly clientRuntime: string;
  /** What carries the load generator's bytes. */
  readonly clientTransport: string;
  /** `swiss` or `map`. */
  readonly engine: string;
  /** What is asked for: `ycsb-a`, `get`, `set`. */
  readonly workload: string;
  readonly phase: string;
  /** One kind of a workload's operations; `all` for all together. */
  readonly operation: string;
  /** Server processes. */
  readonly servers: number;
  /** Load generator processes. */
  readonly generators: number;
  /** When what the server acknowledges is made durable; `none` for one without a log. */
  readonly fsync: string;
  /** Shards of each server. */
  readonly shards: number;
  /** Operations that are due in a second; null for as many as there can be. */
  readonly rate: number | null;
  /** Another server that is compared with: `redis`, `valkey`, `memcached`; null for ringkv. */
  readonly peer: string | null;
  /** How the store is reached: `direct`, `tcp`. */
  readonly store: string;
  /** What is varied along a curve, where no other dimension says it. */
  readonly operations: number;
  readonly order: string;
  /** What took a CPU profile: `runtime`, `perf`. */
  readonly profiler: string;
  /** `A` or `B` of a comparison of a cell with itself, or `slowed`, the same slowed on purpose. */
  readonly side: string;
}

export type Dimensions = Readonly<Partial<KnownDimensions>>;

/** One cell in one round, as it was measured. */
export interface Measured {
  readonly dimensions: Dimensions;
  /** Each with its unit last in its name, like `serverMicrosPerOp`. */
  readonly figures: Readonly<Record<string, number>>;
  /** The histogram of all latencies, as `LatencyHistogram` encodes it. */
  readonly latency?: string;
  /** The percentiles of `latency`. */
  readonly percentiles?: Latency;
}

export interface ReportRound extends Measured {
  /** From 1. */
  readonly round: number;
}

/** One cell over all rounds. */
export interface ReportCell {
  readonly dimensions: Dimensions;
  /** The load generator was busy all the time: throughput is a lower bound of what the server can do, latency an upper one. */
  readonly generatorLimited?: boolean;
  readonly figures: Readonly<Record<string, Summary>>;
  /** Of the histograms of all rounds, merged. */
  readonly percentiles?: Latency;
  /** What a suite concludes from the figures, like what a cell is bound by: words by a name. */
  readonly notes?: Readonly<Record<string, string>>;
}

/** A generator that uses this much of a core, or more, may have been the limit: the server could perhaps do more. */
export const GENERATOR_LIMIT_CORES = 0.95;

export async function reportHead(
  suite: string,
  versions: ReportHead['versions'],
  flags: ReportHead['flags'],
): Promise<ReportHead> {
  return {
    schema: 'ringkv-bench',
    schemaVersion: SCHEMA_VERSION,
    suite,
    startedAt: new Date().toISOString(),
    ringkv: packageVersion,
    git: await gitState(),
    machine: machine(),
    versions,
    flags,
  };
}

/** Tells cells apart: the same text for the same dimensions, whatever their order. */
export function cellKey(dimensions: Dimensions): string {
  return JSON.stringify(Object.entries(dimensions).sort(([a], [b]) => (a < b ? -1 : 1)));
}

/**
 * The rounds of each cell together, cells in the order in which they first appear in `order`, or else in time. A cell whose
 * generators had no core left to themselves by the median of `generatorCores` (each of `generators` has one) is marked.
 */
export function summarizeRounds(
  rounds: readonly ReportRound[],
  order: readonly Dimensions[] = [],
): readonly ReportCell[] {
  const byKey = new Map<string, ReportRound[]>(order.map((dimensions) => [cellKey(dimensions), []]));
  for (const round of rounds) {
    const key = cellKey(round.dimensions);
    const same = byKey.get(key);
    if (same === undefined) byKey.set(key, [round]);
    else same.push(round);
  }
  return [...byKey.values()].flatMap((same) => (same.length === 0 ? [] : [summarizeCell(same)]));
}

function summarizeCell(rounds: readonly ReportRound[]): ReportCell {
  const { dimensions } = rounds[0]!;
  const figures = summarizeFigures(rounds.map((one) => one.figures));
  const timed = rounds.flatMap(({ latency, percentiles }) =>
    latency === undefined || percentiles === undefined ? [] : [{ latency, percentiles }],
  );
  const cores = figures.generatorCores?.median;
  return {
    dimensions,
    ...(cores === undefined ? {} : { generatorLimited: cores >= GENERATOR_LIMIT_CORES * (dimensions.generators ?? 1) }),
    figures,
    ...(timed.length === 0 ? {} : { percentiles: mergedPercentiles(timed) }),
  };
}

/** The head in two lines for a terminal. */
export function formatHead({ suite, ringkv, machine, versions }: ReportHead): string {
  const memory = `${Math.round(machine.memoryBytes / 2 ** 30)} GiB`;
  const programs = Object.entries(versions).map(([name, version]) => `${name} ${version}`);
  return (
    `ringkv ${ringkv} bench ${suite}: ${programs.join(', ')}\n` +
    `${machine.cpus} × ${machine.cpu}, ${memory}, ${machine.platform}, kernel ${machine.kernel}\n`
  );
}

/** One line for each, for people. */
export function formatSkipped(skipped: readonly Skipped[]): string {
  return skipped.map(({ label, reason }) => `skipped ${label}: ${reason}\n`).join('');
}

/** Throws a `CommandError` when the file can't be written: better before the measurements than after them. Leaves no new one. */
export function assertWritable(file: string): void {
  try {
    const isNew = lstatSync(file, { throwIfNoEntry: false }) === undefined;
    closeSync(openSync(file, 'a'));
    if (isNew) rmSync(file);
  } catch (error) {
    throw new CommandError(`--json ${file}: ${messageOf(error)}`);
  }
}

export function writeReport(file: string, report: Report): void {
  writeFileSync(file, `${JSON.stringify(report, null, 2)}\n`);
}
