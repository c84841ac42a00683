/** What the YCSB generator is told, and what it tells: the lines between it and the process that started it. */
import type { TransportName } from '../../../transports/transport.ts';
import type { Latency } from '../../load/latency.ts';
import type { WindowFigures } from '../../load/plan.ts';
import type { DistributionName, OperationName, WorkloadName } from './workload-names.ts';

/** How a read-modify-write stores what it has changed. */
export type WriteBack = 'cas' | 'set';

/** Given to the generator as JSON, its one argument. */
export interface YcsbPlan {
  /** Where the server listens. */
  readonly address: string;
  /** What carries the generator's bytes to servers that are not reached by WebSocket. Default: the runtime's own sockets. */
  readonly transport?: TransportName | undefined;
  readonly connections: number;
  readonly records: number;
  readonly fields: number;
  /** Length of each field. Unit: bytes. */
  readonly fieldBytes: number;
  /** In this order, one after the other on the records of one load phase. One that inserts has to be the last. */
  readonly workloads: readonly WorkloadName[];
  /** Default: each workload's own. */
  readonly distribution?: DistributionName | undefined;
  readonly writeBack: WriteBack;
  readonly warmupSeconds: number;
  readonly seconds: number;
  readonly seed: number;
}

/** A line of JSON on the generator's stdout: that of the load phase, then one for each workload. */
export interface PhaseReport {
  readonly phase: 'load' | 'run';
  readonly workload: WorkloadName | null;
  /** Names what was drawn; the same for every server of a run. Empty for the load phase. */
  readonly drawn: string;
  readonly figures: WindowFigures;
  /** CAS that came too late, per read-modify-write; 0 without these. */
  readonly lostPerReadModifyWrite: number;
  /** By operation. A read-modify-write's requests count as reads and updates, too. */
  readonly operations: Readonly<Partial<Record<OperationName, OperationReport>>>;
}

/** One kind of operation in one phase. */
export interface OperationReport {
  readonly figures: OperationFigures;
  /** As `LatencyHistogram` encodes it. */
  readonly latency: string;
  readonly percentiles: Latency;
}

/** Times are from the samples themselves. */
export type OperationFigures = Readonly<{
  operations: number;
  opsPerSecond: number;
  meanMicros: number;
  standardDeviationMicros: number;
  minMicros: number;
  maxMicros: number;
}>;
