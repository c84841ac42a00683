/** The load phase: every key is stored once, through the protocol. */
import type { Client } from '../../runtime/client.ts';
import { FramePool } from './frames.ts';
import type { Load } from './load.ts';
import type { Pool } from './pool.ts';
import { loading, type Operations, type Values } from './workload.ts';

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

/** Stores the keys 0 to `keys` - 1 in a server of any language. */
export async function sendKeys(load: Load, makePool: MakePool, keys: number, values: Values): Promise<void> {
  const batchMax = Math.min(BATCH, Math.max(1, Math.floor(FRAME_BYTES_MAX / values.length)));
  const sliceMax = Math.max(1, Math.floor(SLICE_BYTES_MAX / values.length));
  let from = 0;
  while (from < keys) {
    const slice = Math.min(keys - from, sliceMax);
    const batch = Math.min(batchMax, slice);
    // A frame has exactly `batch` operations, so the last few keys make a slice of their own.
    const to = from + slice - (slice % batch);
    await load.once(makePool(loading(from, to), batch, values));
    from = to;
  }
}
