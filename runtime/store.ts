/**
 * The embedded store: the server's engine in this process, without a server.
 *
 * ```ts
 * import { openStore } from 'ringkv/store';
 *
 * using store = openStore();
 * store.set('user:1', { name: 'Ada' }, { ttlMs: 60_000 });
 * const user = store.get<{ name: string }>('user:1');
 * const [visits, left] = store.batch().add('visits', 1).ttl('user:1').send();
 * for (const key of store.scan({ prefix: 'user:' })) console.log(key);
 * ```
 */
import { Store } from '../core/client/store.ts';
import { checkEngineChoice, type EngineName, type Eviction } from '../core/engine/engine.ts';
import { createMapEngine } from '../core/engine/map.ts';
import { createSwissEngine } from '../core/engine/swiss.ts';

export type { Batch } from '../core/client/batch.ts';
export * from '../core/client/errors.ts';
export { DEFAULT_SCAN_COUNT, type ScanOptions } from '../core/client/methods.ts';
export type { SetOptions } from '../core/client/operations.ts';
export type { StoreInfo } from '../core/client/store.ts';
export type { Key } from '../core/client/values.ts';
export { ErrorCode } from '../core/protocol.ts';
export type { EngineName, Eviction, Store };

export interface OpenStoreOptions {
  /** What holds the data. Default: `swiss`. */
  readonly engine?: EngineName | undefined;
  /** Most memory for keys, values and their index. Unit: bytes. Default: 3.75 GiB. */
  readonly memoryBytesMax?: number | undefined;
  /**
   * What happens to a write beyond it: with `none` it throws `MEMORY`, with `clock` keys make room that were not asked for lately.
   * Default: `none`.
   */
  readonly eviction?: Eviction | undefined;
}

/** Makes an empty store. Throws `RangeError` when an option is out of range. */
export function openStore({ engine = 'swiss', memoryBytesMax, eviction = 'none' }: OpenStoreOptions = {}): Store {
  checkEngineChoice(engine, eviction);
  const create = engine === 'map' ? createMapEngine : createSwissEngine;
  return new Store({
    engine: create({ eviction, ...(memoryBytesMax === undefined ? {} : { memoryBytesMax }) }),
    now: Date.now,
  });
}
