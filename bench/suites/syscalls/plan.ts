/** What the client of the suite `syscalls` is told, and what it tells. */
import type { CpuTime } from '../../../runtime/runtime.ts';
import type { TransportName } from '../../../transports/transport.ts';

/** Given to it as JSON, its one argument. */
export interface SyscallsPlan {
  readonly address: string;
  /** What carries its bytes. */
  readonly transport: TransportName;
  readonly connections: number;
  readonly keys: number;
  readonly valueBytes: number;
  readonly seed: number;
}

/** In which order keys are asked for: one after the other, or each as likely as the others. */
export type Order = 'random' | 'sequential';

export const ORDERS: readonly Order[] = ['random', 'sequential'];

/** A line of JSON on its stdin: prepare exactly so many operations, each in a frame of its own. The next line starts them. */
export interface RunOrder {
  readonly operations: number;
  readonly order: Order;
  /** Whether the server is asked for its CPU time before and after. Where calls are counted, it would be among them. */
  readonly asksFigures: boolean;
}

/** A line of JSON on its stdout: the keys are stored; then, for each order, it is prepared, and done. */
export type SyscallsEvent =
  | { readonly event: 'loaded' }
  | { readonly event: 'ready' }
  | { readonly event: 'done'; readonly done: Done };

/** How long it took, and the CPU time of both sides, null for a server that was not asked. Unit: microseconds. */
export interface Done {
  readonly elapsedMicros: number;
  readonly client: CpuTime;
  readonly server: CpuTime | null;
}
