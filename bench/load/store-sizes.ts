/** Store sizes to measure, and which of them this machine has the memory for. */
import { freemem } from 'node:os';
import { formatSize } from '../../runtime/command/flags.ts';
import type { EngineName } from '../../runtime/engine.ts';
import { KEY_BYTES } from './workload.ts';

/** From an empty store to one that is far beyond any cache of a CPU. */
export const STORE_SIZES = [0, 100, 1000, 5000, 10_000, 1_000_000, 10_000_000] as const;

/** What an engine takes of a process for each key, beyond key and value: measured on all runtimes, rounded up. Unit: bytes. */
const BYTES_PER_KEY: Readonly<Record<EngineName, number>> = { swiss: 120, map: 700 };

/** What an engine, or the heap that holds it, can have at most. Unit: bytes. */
const ENGINE_BYTES_MAX: Readonly<Record<EngineName, number>> = { swiss: 3.75 * 2 ** 30, map: 4 * 2 ** 30 };

/** Of the memory that is free, this part may be used: something has to be left for whoever measures. */
const FREE_SHARE_MAX = 0.6;

/** Why a store of this engine with so many keys can't be measured here; undefined when it can. */
export function whyTooLarge(engine: EngineName, keys: number, valueBytes: number): string | undefined {
  const bytes = keys * (KEY_BYTES + valueBytes + BYTES_PER_KEY[engine]);
  const room = freemem() * FREE_SHARE_MAX;
  const limit = Math.min(ENGINE_BYTES_MAX[engine], room);
  if (bytes <= limit) return undefined;
  const [needed, there] = [bytes, limit].map((one) => formatSize(Math.round(one / 2 ** 20) * 2 ** 20));
  return `${keys} keys take some ${needed} in the engine ${engine}; ${limit === room ? 'of the free memory it may use' : 'it can have'} ${there}`;
}
