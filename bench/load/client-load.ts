/** The load that a client puts on a server: what suites' flags say of it, for the generator's plan and for the report. */
import type { ChosenClient } from './choose-generator.ts';
import { WARMUP_SHARE } from './plan.ts';

/** What suites call it in their flags. */
export interface ClientLoad {
  readonly connections: number;
  /** Frames in flight on each connection. */
  readonly depth: number;
  readonly keys: number;
  /** Unit: bytes. */
  readonly valueSize: number;
}

export interface LoadTimes {
  /** Length of a measurement, without the warm-up. */
  readonly seconds: number;
  readonly seed: number;
}

/** The part of a generator's plan that a client's load and its times make up. */
export function planLoad(load: ClientLoad & LoadTimes, { transport }: ChosenClient) {
  const { connections, depth, keys, valueSize, seconds, seed } = load;
  const warmupSeconds = seconds * WARMUP_SHARE;
  return { transport, connections, depth, keys, valueBytes: valueSize, warmupSeconds, seconds, seed };
}

/** The dimensions of a report's cell that tell of it. */
export function loadDimensions({ connections, depth, keys, valueSize }: ClientLoad, client: ChosenClient) {
  const { runtime, transport } = client;
  return { connections, depth, keys, valueSize, clientRuntime: runtime.name, clientTransport: transport };
}
