/** What the processes of the suite `beside` are told, and what they tell. */
import type { TransportName } from '../../../transports/transport.ts';
import type { Latency } from '../../load/latency.ts';

/** Clients that misbehave, each in its way: see `intruders-process.ts`. */
export const INTRUSIONS = ['silent', 'half-open', 'slow', 'flooding', 'malformed'] as const;
export type Intrusion = (typeof INTRUSIONS)[number];

/** What the clients that behave are served beside. */
export const DISTURBANCES = [...INTRUSIONS, 'snapshot'] as const;
export type Disturbance = (typeof DISTURBANCES)[number];

/** What a cell is called where there is nothing. */
export const ALONE = 'alone';

/** Given to the load generator as JSON, its one argument. */
export interface BesidePlan {
  /** Where the server listens. */
  readonly address: string;
  readonly transport: TransportName;
  readonly connections: number;
  /** Of all connections together. Unit: frames per second. */
  readonly rate: number;
  /** Operations per frame. */
  readonly batch: number;
  readonly keys: number;
  /** Time under the same load before the measurement starts. */
  readonly warmupSeconds: number;
  /** Length of a measurement. */
  readonly seconds: number;
  readonly seed: number;
}

/** The generator says so when all keys are stored. Each line on its stdin is then a `BesideOrder`, answered by a line, the `BesideAnswer`. */
export const LOADED = 'loaded';

export interface BesideOrder {
  /** Whether to wait first until nobody else is connected, and no snapshot is being made. */
  readonly alone: boolean;
  /** The process id of the server, to be asked for one snapshot after the other meanwhile. */
  readonly snapshotsOf?: number;
}

export interface BesideAnswer {
  readonly figures: BesideFigures;
  /** From the time that a frame was due. `LatencyHistogram` encodes and reads it. */
  readonly latency: string;
  /** Of `latency`. */
  readonly percentiles: Latency;
}

export type BesideFigures = Readonly<{
  opsPerSecond: number;
  /** How late the generator itself sent; 99th percentile. It is part of the latencies. */
  lateP99Micros: number;
  serverMicrosPerOp: number;
  serverCores: number;
  /** Turns of the server in the time measured. */
  turns: number;
  /** Of these, the share that took 5 ms and more. */
  slowTurnShare: number;
  /** Of the time measured, the share in which a snapshot was being made. */
  snapshotShare: number;
}>;

/** Given to the intruders as JSON, their one argument. They then take a line with the name of an intrusion, or an empty one for none. */
export interface IntrudersPlan {
  /** Where the server listens, over TCP. */
  readonly address: string;
}

/** Said when the intruders are as they were told to be. */
export const SETTLED = 'settled';
