/** What the load generator of the suite `rate` is told, and what it tells: the lines between it and the suite. */
import type { TransportName } from '../../../transports/transport.ts';
import type { Latency } from '../../load/latency.ts';
import type { Figures } from '../../load/plan.ts';

/** Given to the generator as JSON, its one argument. */
export interface RatePlan {
  /** Where the server listens. */
  readonly address: string;
  readonly transport: TransportName;
  readonly connections: number;
  /** The most frames in flight on each connection at a rate. */
  readonly depth: number;
  readonly keys: number;
  /** Length of every value. */
  readonly valueBytes: number;
  /** Operations per frame; one climb each, in this order. */
  readonly batches: readonly number[];
  /** Measure these rates, in operations per second; undefined for those of the ladder. */
  readonly rates: readonly number[] | undefined;
  /** What p99 has to stay below. */
  readonly limitMicros: number;
  /** Time under the same load before a measurement starts. */
  readonly warmupSeconds: number;
  /** Length of a measurement. */
  readonly seconds: number;
  readonly seed: number;
}

/** A line of JSON on the generator's stdout; `highest` ends a batch size. */
export type RateEvent =
  | { readonly event: 'loaded'; readonly workload: string }
  | ({ readonly event: 'measured' } & RateMeasurement)
  | { readonly event: 'highest'; readonly batch: number; readonly opsPerSecond: number };

/** One rate at one batch size. */
export interface RateMeasurement {
  readonly batch: number;
  /** What was due, in operations per second; null for a closed loop. */
  readonly rate: number | null;
  readonly figures: RateFigures;
  readonly latency: string;
  readonly percentiles: Latency;
}

/** Without the generator's CPU time when a rate is given: it looks continuously what is due, whatever there is to do. */
export type RateFigures = Omit<Figures, 'generatorMicrosPerOp' | 'generatorCores'> & {
  readonly generatorMicrosPerOp?: number;
  readonly generatorCores?: number;
  /** How long after a frame was due the generator found it due; 99th percentile. */
  readonly lateP99Micros?: number;
};

/** Frames in flight on each connection while keys are stored and in the closed loop. */
export const CLOSED_DEPTH = 1;

/** Less than this share of what was due was answered: saturated. */
export const SATURATED_SHARE = 0.95;

/** What has to be known of a measurement to judge it. */
export interface Load {
  readonly rate: number;
  readonly batch: number;
  readonly connections: number;
  readonly seconds: number;
  readonly opsPerSecond: number;
}

/**
 * Whether a queue has grown: less than `SATURATED_SHARE` was answered, and what is missing is more than a frame for each
 * connection, which may be on their way at any time.
 */
export function isSaturated({ rate, batch, connections, seconds, opsPerSecond }: Load): boolean {
  const missingFrames = ((rate - opsPerSecond) * seconds) / batch;
  return opsPerSecond < rate * SATURATED_SHARE && missingFrames > connections;
}

/** A generator that is late by more than this, and by more than half of the latency, is what the latency shows. */
const LATE_MICROS_MIN = 100;

export function isGeneratorLate(lateP99Micros: number, p99Micros: number): boolean {
  return lateP99Micros > Math.max(LATE_MICROS_MIN, p99Micros / 2);
}
