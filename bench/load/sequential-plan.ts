/**
 * Measuring one operation after the other, on a store in the same process or through a client: what the measuring process is
 * told, and what it tells.
 */
import type { EngineName } from '../../runtime/engine.ts';
import type { TransportName } from '../../transports/transport.ts';
import type { Latency } from './latency.ts';

/**
 * What is done over and over.
 * - `get`: the value of a key that is there
 * - `miss`: the value of a key that is not there
 * - `set`: a key that is there gets another value of the same length
 * - `churn`: a new key is stored, then deleted: two operations, which count as one
 */
export type SequentialOperation = 'get' | 'miss' | 'set' | 'churn';

export const SEQUENTIAL_OPERATIONS: readonly SequentialOperation[] = ['get', 'miss', 'set', 'churn'];

/** Of the operations, those that make sense on so many keys. */
export function operationsOn(keys: number, asked: readonly SequentialOperation[]): readonly SequentialOperation[] {
  return keys === 0 ? asked.filter((operation) => operation === 'miss' || operation === 'churn') : asked;
}

/** Given to the measuring process as JSON, its one argument. */
export interface SequentialPlan {
  /** A store in this process, or a server. */
  readonly target: StoreTarget | ServerTarget;
  /** How many keys there are while it is measured. */
  readonly keys: number;
  /** Length of every value. Unit: bytes. */
  readonly valueBytes: number;
  /** In this order, one after the other. */
  readonly operations: readonly SequentialOperation[];
  /** Before anything is measured, each operation is done for so long, so that all code is compiled by then. */
  readonly warmupSeconds: number;
  /** Half of it for the throughput, half for the latencies. */
  readonly seconds: number;
  readonly seed: number;
}

export interface StoreTarget {
  readonly engine: EngineName;
}

export interface ServerTarget {
  readonly address: string;
  /** What carries the client's bytes to servers that are not reached by WebSocket. Default: the runtime's own sockets. */
  readonly transport?: TransportName | undefined;
}

/** A line of JSON on the measuring process's stdout. When something is wrong, it says so on stderr and ends with code 1. */
export type SequentialEvent =
  | { readonly event: 'stored'; readonly seconds: number }
  | { readonly event: 'measured'; readonly measurement: SequentialMeasurement };

export interface SequentialMeasurement {
  readonly operation: SequentialOperation;
  readonly figures: SequentialFigures;
  /** As `LatencyHistogram` encodes it. */
  readonly latency: string;
  readonly percentiles: Latency;
}

export type SequentialFigures = Readonly<{
  /** Of operations whose time was not taken one by one. */
  opsPerSecond: number;
  /** Of operations whose time was taken one by one, from the samples themselves; reading the clock is in it. */
  meanMicros: number;
  standardDeviationMicros: number;
  minMicros: number;
  maxMicros: number;
  /** How many these were. */
  samples: number;
  /** What the same says of an operation that does nothing: the mean, and the smallest difference of two times. */
  clockMicros: number;
  clockStepMicros: number;
  /** CPU time of the measuring process, all its threads together, per operation whose time was not taken. */
  generatorMicrosPerOp: number;
  /** The same of the server; 0 without one. */
  serverMicrosPerOp: number;
  /** Memory that the store's keys, values and index take, or that its server has in RAM. */
  storeBytes: number;
}>;
