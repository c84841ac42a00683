/** What can be swept over, and at which points. */
import { MAX_FRAME_OPERATIONS } from '../../../core/protocol.ts';
import { count, size } from '../../../runtime/command/flags.ts';
import { KEYS_MAX, VALUE_BYTES_MAX } from '../../flags.ts';

export type Over = 'keys' | 'value-size' | 'connections' | 'batch' | 'shards';

export const OVER: readonly Over[] = ['keys', 'value-size', 'connections', 'batch', 'shards'];

/** Most shards of a server that is measured. */
export const SHARDS_MAX = 64;

/** Most connections. */
export const CONNECTIONS_MAX = 10_000;

export interface Swept {
  /** What it is called in a report and among the flags. */
  readonly dimension: 'keys' | 'valueSize' | 'connections' | 'batch' | 'shards';
  /** Reads a point. Throws an `Error` whose message says what was expected. */
  readonly parse: (text: string) => number;
  /** The ends, when none are given. */
  readonly from: number;
  readonly to: number;
}

export const swept: Readonly<Record<Over, Swept>> = {
  keys: { dimension: 'keys', parse: count(1, KEYS_MAX), from: 1000, to: 10_000_000 },
  'value-size': { dimension: 'valueSize', parse: size(1, VALUE_BYTES_MAX), from: 16, to: 64 * 1024 },
  connections: { dimension: 'connections', parse: count(1, CONNECTIONS_MAX), from: 1, to: 1000 },
  batch: { dimension: 'batch', parse: count(1, MAX_FRAME_OPERATIONS), from: 1, to: 1024 },
  shards: { dimension: 'shards', parse: count(1, SHARDS_MAX), from: 1, to: 4 },
};

/**
 * So many whole numbers between two, which are among them, each the same multiple of the one before, as nearly as whole
 * numbers can be. Fewer, where there are not as many.
 */
export function spacedPoints(from: number, to: number, steps: number): readonly number[] {
  if (steps === 1 || from === to) return [from];
  const points = Array.from({ length: steps }, (_, at) => Math.round(from * (to / from) ** (at / (steps - 1))));
  return [...new Set(points)];
}
