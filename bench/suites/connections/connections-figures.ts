/** What the process of the suite `connections` is told, and what it answers. */
import type { TransportName } from '../../../transports/transport.ts';
import type { Latency } from '../../load/latency.ts';

/** How often each connection sends an operation. Unit: milliseconds. */
export const OPERATION_EVERY_MS = 1000;

/** Given to the process as JSON, its one argument. It answers with one line of JSON, the `ConnectionsAnswer`. */
export interface ConnectionsPlan {
  /** Where the server listens. */
  readonly address: string;
  /** What carries the generator's bytes to servers that are not reached by WebSocket. Default: the runtime's own sockets. */
  readonly transport?: TransportName;
  /** Connections that are open while nothing is sent. */
  readonly idle: number;
  /** Length of the measurement of the idle server. */
  readonly idleSeconds: number;
  /** Connections that send, at least `idle`. */
  readonly connections: number;
  /** Time under load before the measurement starts. */
  readonly warmupSeconds: number;
  /** Length of the measurement under load. */
  readonly seconds: number;
  readonly seed: number;
}

/** One server. Latency counts from the time an operation was due. */
export interface ConnectionsAnswer {
  readonly figures: ConnectionsFigures;
  /** `LatencyHistogram` encodes and reads it. */
  readonly latency: string;
  /** Of `latency`. */
  readonly percentiles: Latency;
}

export type ConnectionsFigures = Readonly<{
  /** CPU time of the server per time that passed, while all connections were idle: 1 is one core all the time. */
  idleServerCores: number;
  /** Memory of the server in RAM beyond that before the first connection, for each of `connections`. */
  bytesPerConnection: number;
  operations: number;
  opsPerSecond: number;
  /** How late the generator itself sent, of a hundred operations the last but one. It is part of the latencies. */
  lateP99Micros: number;
  serverMicrosPerOp: number;
  serverCores: number;
}>;
