/** The load phase: every key is stored once, through the protocol. */
import type { Client } from '../../runtime/client.ts';
import { FramePool } from './frames.ts';
import type { Load } from './load.ts';
import type { Pool } from './pool.ts';
import { loading, type Operations, only, slice, type Values } from './workload.ts';

/** Operations per frame, unless the values are long. */
const BATCH = 512;

/** Most bytes of values in one frame. */
const FRAME_BYTES_MAX = 1024 * 1024;

/** Most bytes of values that are prepared at a time, so that all the frames need not be in memory at once. */
const SLICE_BYTES_MAX = 32 * FRAME_BYTES_MAX;

/** Makes requests of the operations, in the language of a server. */
export type MakePool = (operations: Operations, batch: number, values: Values) => Pool;

export const makeFramePool: MakePool = (...content) => new FramePool(...content);

/** Stores the keys 0 to `keys` - 1. Rejects when the server does not have exactly as many afterwards. */
export async function storeKeys(load: Load, client: Client, keys: number, values: Values): Promise<void> {
  await sendKeys(load, makeFramePool, keys, values);
  await assertCount(client, keys);
}

/** Rejects when the server does not have exactly so many keys. */
export async function assertCount(client: Client, keys: number): Promise<void> {
  const stored = await client.count();
  if (stored !== keys) throw new Error(`the server has ${stored} keys after ${keys} were stored`);
}

/** Stores the keys 0 to `keys` - 1, or those of them that `owns` says, in a server of any language. */
export async function sendKeys(
  load: Load,
  makePool: MakePool,
  keys: number,
  values: Values,
  owns?: (keyNumber: number) => boolean,
): Promise<void> {
  const batchMax = Math.min(BATCH, Math.max(1, Math.floor(FRAME_BYTES_MAX / values.length)));
  const sliceMax = Math.max(1, Math.floor(SLICE_BYTES_MAX / values.length));
  for (let from = 0; from < keys; from += sliceMax) {
    const all = loading(from, Math.min(keys, from + sliceMax));
    const owned = owns === undefined ? all : only(all, owns);
    const count = owned.versions.length;
    // A frame has exactly `batch` operations, so the last few make a smaller one.
    const rest = count % batchMax;
    if (count > rest) await load.once(makePool(slice(owned, 0, count - rest), batchMax, values));
    if (rest > 0) await load.once(makePool(slice(owned, count - rest, count), rest, values));
  }
}
