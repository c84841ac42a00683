/**
 * What differs between Node, Bun and Deno and is no transport: the seam between the programs and the machine. The three
 * implementations lie beside this file, `choose.ts` takes the one that runs. Foreign functions, files and workers belong
 * here too, as further members, once something needs them.
 */

export type RuntimeName = 'node' | 'bun' | 'deno';

export const RUNTIME_NAMES: readonly RuntimeName[] = ['node', 'bun', 'deno'];

/** CPU time the process has used since its start, all its threads together. Unit: microseconds. */
export interface CpuTime {
  readonly userMicros: number;
  readonly systemMicros: number;
}

/** Memory of the process that lies in RAM. Unit: bytes. */
export interface MemoryUse {
  readonly residentBytes: number;
  /** The most that `residentBytes` has been since the start. */
  readonly peakResidentBytes: number;
}

export interface Runtime {
  readonly name: RuntimeName;
  /** Without a leading `v`, like `20.19.4`. */
  readonly version: string;
  /** The program file of the runtime itself, absolute. */
  readonly executable: string;
  /** The process id. */
  readonly pid: number;
  /** How many threads of this process can run at the same time: the cores that it may use. */
  readonly parallelism: number;
  /** The arguments after the script. */
  readonly args: readonly string[];
  /** The environment variables. */
  readonly env: Readonly<Record<string, string | undefined>>;
  cpuTime(): CpuTime;
  memoryUse(): MemoryUse;
  /** Calls `handler` for every such signal from now on, instead of what the signal does by itself. */
  onSignal(name: NodeJS.Signals, handler: () => void): void;
  /** Ends the process at once. */
  exit(code: number): never;
}

/** What a runtime's program needs between its own name and the script, for each runtime. */
export const SCRIPT_ARGUMENTS: Readonly<Record<RuntimeName, readonly string[]>> = {
  node: [],
  bun: [],
  // A server needs the network, its socket files and /proc; whoever wants less writes the command line by hand.
  deno: ['run', '--allow-all'],
};
