/** What the client of the suite `blocks` is told, and what it tells. */
import type { TransportName } from '../../../transports/transport.ts';

/** What is done with a block: sent to the server, or asked for. */
export type BlockOperation = 'set' | 'get';

export const BLOCK_OPERATIONS: readonly BlockOperation[] = ['set', 'get'];

/** Given to it as JSON, its one argument. */
export interface BlocksPlan {
  readonly address: string;
  /** What carries its bytes. */
  readonly transport: TransportName;
  /** The server is a control, which holds no keys. */
  readonly control: boolean;
  readonly connections: number;
  /** Blocks in flight on each connection. */
  readonly depth: number;
  readonly keys: number;
  /** Lengths of the values, one after the other. Unit: bytes. */
  readonly sizes: readonly number[];
  readonly operations: readonly BlockOperation[];
  /** Time under the same load before a measurement starts. */
  readonly warmupSeconds: number;
  /** Length of a measurement. */
  readonly seconds: number;
}

/** A line of JSON on its stdout for each size and operation, in this order. */
export interface BlockMeasurement {
  readonly size: number;
  readonly operation: BlockOperation;
  readonly figures: BlockFigures;
  readonly latency: string;
}

/** CPU times are those of a whole process, all its threads together. */
export type BlockFigures = Readonly<{
  seconds: number;
  operations: number;
  opsPerSecond: number;
  valueBytesPerSecond: number;
  /** From handing the request to the client's transport to the last byte of the reply: of each block, their mean. */
  sendMeanMicros: number;
  sendDeviationMicros: number;
  serverUserMicrosPerOp: number;
  serverSystemMicrosPerOp: number;
  serverMicrosPerOp: number;
  clientUserMicrosPerOp: number;
  clientSystemMicrosPerOp: number;
  generatorMicrosPerOp: number;
  /** CPU time per time that passed: 1 is one core all the time. */
  serverCores: number;
  generatorCores: number;
  /** How fast the client copies such blocks in its memory, once from here to there. */
  copyBytesPerSecond: number;
}>;
