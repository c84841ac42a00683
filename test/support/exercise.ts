/** Every operation of a client or a store, with what it must give: both must behave the same. */
import { expect } from 'vitest';
import type { Client } from '../../core/client/client.ts';
import type { Store } from '../../core/client/store.ts';

export async function exerciseOperations(kv: Client | Store): Promise<void> {
  // Text and its UTF-8 are the same key.
  expect(await kv.get('é')).toBe(undefined);
  expect(await kv.set('é', { list: [1, 'two', new Date(3), Uint8Array.of(4)] })).toBe(true);
  expect(await kv.get(Uint8Array.of(0xc3, 0xa9))).toEqual({ list: [1, 'two', new Date(3), Uint8Array.of(4)] });
  expect(await kv.has('é')).toBe(true);
  expect(await kv.count()).toBe(1);
  expect(await kv.take('é')).toEqual({ list: [1, 'two', new Date(3), Uint8Array.of(4)] });
  expect(await kv.has('é')).toBe(false);

  // Only if it is there, or is not.
  expect(await kv.set('a', 1, { ifPresent: true })).toBe(false);
  expect(await kv.set('a', 1, { ifMissing: true })).toBe(true);
  expect(await kv.set('a', 2, { ifMissing: true })).toBe(false);
  expect(await kv.set('a', 3, { ifPresent: true })).toBe(true);
  expect(await kv.get('a')).toBe(3);

  // Time to live.
  expect(await kv.ttl('a')).toBe(Number.POSITIVE_INFINITY);
  expect(await kv.ttl('none')).toBe(undefined);
  expect(await kv.set('a', 4, { ttlMs: 1_000_000 })).toBe(true);
  const leftMs = await kv.ttl('a');
  expect(leftMs).toBeGreaterThan(900_000);
  expect(leftMs).toBeLessThanOrEqual(1_000_000);
  expect(await kv.set('a', 5, { keepTtl: true, ifPresent: true })).toBe(true);
  expect(await kv.ttl('a')).toBeLessThanOrEqual(1_000_000);
  expect(await kv.persist('a')).toBe(true);
  expect(await kv.persist('a')).toBe(false);
  expect(await kv.expire('a', 5_000_000_000)).toBe(true);
  expect(await kv.ttl('a')).toBeGreaterThan(4_000_000_000);
  expect(await kv.set('a', 6)).toBe(true);
  expect(await kv.ttl('a')).toBe(Number.POSITIVE_INFINITY);
  expect(await kv.expire('none', 1000)).toBe(false);
  expect(await kv.expire('a', 0)).toBe(true);
  expect(await kv.delete('a')).toBe(false);

  // Integers: numbers while that is exact.
  expect(await kv.add('n', 5)).toBe(5);
  expect(await kv.add('n', -7n)).toBe(-2n);
  expect(await kv.set('n', 5_000_000_000)).toBe(true);
  expect(await kv.add('n', 1)).toBe(5_000_000_001);
  expect(await kv.set('n', Number.MAX_SAFE_INTEGER)).toBe(true);
  expect(await kv.add('n', 1n)).toBe(2n ** 53n);
  await expect((async () => kv.add('n', 1))()).rejects.toMatchObject({ code: 'RESULT' });
  expect(await kv.get('n')).toBe(2n ** 53n + 1n);
  expect(await kv.set('n', 2n ** 63n - 1n)).toBe(true);
  await expect((async () => kv.add('n', 1))()).rejects.toMatchObject({ code: 'RANGE' });
  await expect((async () => kv.add('n', 0.5))()).rejects.toMatchObject({ code: 'ARGUMENT' });

  // Compare and set.
  expect(await kv.cas('c', undefined, { v: 1 })).toBe(true);
  expect(await kv.cas('c', undefined, { v: 2 })).toBe(false);
  expect(await kv.cas('c', { v: 1 }, { v: 2 })).toBe(true);
  expect(await kv.get('c')).toEqual({ v: 2 });
  expect(await kv.add('sum', 300)).toBe(300);
  expect(await kv.cas('sum', 300n, 'done')).toBe(true);

  // PING, and together.
  expect(await kv.ping()).toBe('PONG');
  expect(await kv.ping({ a: [1] })).toEqual({ a: [1] });
  const together = kv.batch().set('b', 1).add('b', 1).delete('b').send();
  expect(await together).toEqual([true, 2, true]);
  expect(await kv.delete('n')).toBe(true);
  expect(await kv.clear()).toBe(true);
  expect(await kv.count()).toBe(0);

  // What contradicts itself.
  for (const options of [{ ifMissing: true, ifPresent: true }, { keepTtl: true, ttlMs: 1 }, { ttlMs: 1.5 }]) {
    await expect((async () => kv.set('a', 1, options))()).rejects.toMatchObject({ code: 'ARGUMENT' });
  }
}
