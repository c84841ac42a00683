/** What one measurement of an engine is told, and what it tells. */
import type { EngineName } from '../../../runtime/engine.ts';
import type { Latency } from '../../load/latency.ts';

/** Given to the measuring process as JSON, its one argument. */
export interface EnginePlan {
  readonly engine: EngineName;
  readonly keys: number;
  /** Grow to this many keys; undefined when it shall not grow. */
  readonly growTo?: number;
  readonly valueBytes: number;
  readonly batch: number;
  readonly seconds: number;
  readonly warmupSeconds: number;
  readonly seed: number;
}

/** Length of the values with which memory is measured. Unit: bytes. */
export const MEMORY_VALUE_BYTES = 32;

/** The line of JSON that it answers. */
export interface EngineAnswer {
  readonly run: RunFigures;
  readonly growth: GrowthAnswer | null;
}

export type RunFigures = Readonly<{
  /** YCSB-B at `keys` keys. */
  opsPerSecond: number;
  /**
   * Memory in use beyond the bytes of keys and values themselves, at `keys` keys with values of `MEMORY_VALUE_BYTES`. What
   * MessagePack puts before a value counts as beyond. Unit: bytes per key.
   */
  overheadBytesPerKey: number;
  /** The same of the memory that was taken from the system. */
  reservedOverheadBytesPerKey: number;
}>;

/** Storing keys until there are `growTo`, a frame of new keys per turn, and YCSB-B after that. */
export interface GrowthAnswer {
  readonly figures: GrowthFigures;
  /** The time of every turn. */
  readonly turns: TurnTimes;
  /** The control: as many turns that do nothing but wait for the median of `turns`. */
  readonly idleTurns: TurnTimes;
}

export type GrowthFigures = Readonly<{
  setsPerSecond: number;
  opsPerSecond: number;
  /** How much slower YCSB-B has become: 0.2 is a fifth fewer operations per second than before the growth. */
  slowdown: number;
}>;

export interface TurnTimes {
  /** `LatencyHistogram` encodes and reads it. */
  readonly latency: string;
  /** Of `latency`. */
  readonly percentiles: Latency;
}
