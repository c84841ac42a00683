/** What one measurement of an engine is told, and what it tells. */
import type { EngineName } from '../../../runtime/engine.ts';

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
export interface EngineFigures {
  /** YCSB-B at `keys` keys. */
  readonly opsPerSecond: number;
  /**
   * Memory in use beyond the bytes of keys and values themselves, at `keys` keys with values of `MEMORY_VALUE_BYTES`. What
   * MessagePack puts before a value counts as beyond. Unit: bytes per key.
   */
  readonly overheadBytesPerKey: number;
  /** The same of the memory that was taken from the system. */
  readonly reservedOverheadBytesPerKey: number;
  readonly growth: GrowthFigures | null;
}

/** Storing keys until there are `growTo`, a frame of new keys per turn, and YCSB-B after that. */
export interface GrowthFigures {
  readonly setsPerSecond: number;
  readonly turnP50Micros: number;
  readonly turnP99Micros: number;
  readonly turnP999Micros: number;
  readonly turnMaxMicros: number;
  /** The control: as many turns that do nothing but wait for `turnP50Micros`. */
  readonly idleP50Micros: number;
  readonly idleP99Micros: number;
  readonly idleP999Micros: number;
  readonly idleMaxMicros: number;
  readonly opsPerSecond: number;
  /** How much slower YCSB-B has become: 0.2 is a fifth fewer operations per second than before the growth. */
  readonly slowdown: number;
}
