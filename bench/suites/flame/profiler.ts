/** Taking a CPU profile of a server: what all profilers have in common. */

import type { Cell } from '../../servers/cell.ts';
import type { ServerChild } from '../../servers/server.ts';
import type { ThreadProfile, Window } from './profile.ts';

export type ProfilerName = 'runtime' | 'perf';

export const PROFILER_NAMES: readonly ProfilerName[] = ['runtime', 'perf'];

export interface ProfilerOptions {
  /** The script of the command. */
  readonly entry: string;
  /** An empty folder for what the profiler writes. */
  readonly folder: string;
  readonly signal: AbortSignal;
}

export interface Profiler {
  readonly name: ProfilerName;
  /** Starts a server that can be profiled. */
  start(cell: Cell, options: ProfilerOptions): Promise<ProfiledServer>;
}

/** A server that runs under a profiler. */
export interface ProfiledServer extends ServerChild {
  /** The window begins. Resolves when it is being profiled for sure. */
  begin(): Promise<void>;
  /** The window has ended. Ends the server, and resolves to its threads. */
  end(window: Window): Promise<readonly ThreadProfile[]>;
}
