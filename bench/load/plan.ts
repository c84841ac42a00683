/** What a load generator is told, and what it tells: the lines between it and the process that started it. */
import type { TransportName } from '../../transports/transport.ts';
import type { Latency } from './latency.ts';
import type { TextLanguageName } from './text-pool.ts';
import type { Mix } from './workload.ts';

export type Language = 'ringkv' | 'echo' | TextLanguageName;

/** Given to the generator as JSON, its one argument. */
export interface GeneratorPlan {
  /** Where the server listens; of several servers, each holds all keys. */
  readonly addresses: readonly string[];
  /** What the servers speak: `ringkv`, a control's `echo`, which holds no keys, or what other stores do. */
  readonly language: Language;
  /** The processes of the servers, to read their CPU time from /proc. Default: they are asked themselves. */
  readonly pids?: readonly number[];
  /** What carries the generator's bytes to servers that are not reached by WebSocket. Default: the runtime's own sockets. */
  readonly transport?: TransportName;
  /** Which of the generators this is, from 0. The first stores the keys. */
  readonly index: number;
  /** Of this generator. */
  readonly connections: number;
  /** Frames in flight on each connection. */
  readonly depth: number;
  readonly keys: number;
  /** Length of every value. */
  readonly valueBytes: number;
  /** What is asked for. Default: YCSB's workload B. */
  readonly mix?: Mix;
  /** Operations per frame; one measurement each, in this order. */
  readonly batches: readonly number[];
  /** Whether to count what the loopback device carries. Default: false. */
  readonly countLoopback?: boolean;
  /** Time under the same load before the measurement starts. */
  readonly warmupSeconds: number;
  /** Length of a measurement. */
  readonly seconds: number;
  readonly seed: number;
}

/**
 * A line of JSON on the generator's stdout. When something is wrong, it says so on stderr and ends with code 1.
 *
 * It is `loaded`, waits for a line on stdin, whatever it says, and is `warm`; then for each batch size it gets `ready`, waits for
 * another line, and has `measured`.
 * So several generators measure at the same time.
 */
export type GeneratorEvent =
  | {
      /** All keys are stored, or the control is connected to. */
      readonly event: 'loaded';
      readonly seconds: number;
      /** Which work follows: the same for every server of a run. */
      readonly workload: string;
    }
  /** Server and generator have run long enough. Before the first `ready`, so that several generators still begin together. */
  | { readonly event: 'warm' }
  | { readonly event: 'ready' }
  | { readonly event: 'measured'; readonly measurement: Measurement };

/** One batch size against one server process. */
export interface Measurement {
  readonly batch: number;
  readonly figures: Figures;
  /** Of frames: `LatencyHistogram` encodes and reads it. */
  readonly latency: string;
  /** Of `latency`. */
  readonly percentiles: Latency;
  /** What the loopback device carried, if it was to be counted. */
  readonly loopbackBytesPerSecond?: number;
}

/** What INFO, a control or /proc tells of the server's process. */
export interface ServerFigures {
  readonly cpuUserMicros: number;
  readonly cpuSystemMicros: number;
  readonly peakResidentBytes: number;
}

/** CPU times are those of a whole process, all its threads together. */
export type WindowFigures = Readonly<{
  seconds: number;
  operations: number;
  opsPerSecond: number;
  serverUserMicrosPerOp: number;
  serverSystemMicrosPerOp: number;
  serverMicrosPerOp: number;
  generatorMicrosPerOp: number;
  /** CPU time per time that passed: 1 is one core all the time. */
  serverCores: number;
  generatorCores: number;
  /** The most memory that the server has had in RAM since its start. */
  serverPeakBytes: number;
}>;

export type Figures = WindowFigures &
  Readonly<{
    /** Of the values that were read and written, without what stands around them. */
    valueBytesPerSecond: number;
  }>;

/** A measurement is preceded by this part of its time under the same load, which is not measured. */
export const WARMUP_SHARE = 1 / 3;
