/** The embedded store on both engines: the same operations, at once. */
import { describe, expect, expectTypeOf, test } from 'vitest';
import { Store } from '../../core/client/store.ts';
import { createMapEngine } from '../../core/engine/map.ts';
import { createSwissEngine } from '../../core/engine/swiss.ts';
import { openStore, type ScanOptions } from '../../runtime/store.ts';
import { exerciseOperations } from '../support/exercise.ts';

describe.each(['swiss', 'map'] as const)('a store on %s', (engine) => {
  test('each operation does what it says', () => exerciseOperations(openStore({ engine })));

  test('gives its results at once, typed', () => {
    using store = openStore({ engine });
    store.set('a', 'x');
    const value = store.get<string>('a');
    expectTypeOf(value).toEqualTypeOf<string | undefined>();
    expect(value).toBe('x');
    const results = store.batch().get<string>('a').add('n', 2n).send();
    expectTypeOf(results).toEqualTypeOf<[string | undefined, bigint]>();
    expect(results).toEqual(['x', 2n]);
  });

  test('keeps what was given, not what became of it', () => {
    using store = openStore({ engine });
    const value = { a: [1], bytes: Uint8Array.of(1, 2) };
    store.set('a', value);
    value.a.push(2);
    const got = store.get<typeof value>('a')!;
    got.bytes[0] = 9;
    expect(store.get('a')).toEqual({ a: [1], bytes: Uint8Array.of(1, 2) });
  });

  test('survives the growth of its memory', () => {
    using store = openStore({ engine });
    for (let i = 0; i < 20_000; i++) store.set(`key:${i}`, `value of ${i} ${'x'.repeat(100)}`);
    for (let i = 0; i < 20_000; i += 97) expect(store.get(`key:${i}`)).toMatch(`value of ${i} `);
    const seen = new Set(store.scan({ prefix: 'key:' }));
    expect(seen.size).toBe(20_000);
  });

  test('scans while keys are deleted and set', () => {
    using store = openStore({ engine });
    for (let i = 0; i < 3000; i++) store.set(`k${i}`, i);
    const seen = new Set<string>();
    for (const key of store.scan({ count: 10 })) {
      seen.add(key);
      store.delete(`k${2999 - seen.size}`);
      store.set(`new${seen.size}`, 1);
    }
    const throughout = Array.from({ length: 3000 }, (_, i) => `k${i}`).filter((key) => store.has(key));
    expect(throughout.length).toBeGreaterThan(0);
    for (const key of throughout) expect(seen).toContain(key);
  });

  test('gives keys as bytes', () => {
    using store = openStore({ engine });
    const open: ScanOptions = { keys: 'bytes' };
    expectTypeOf(store.scan()).toExtend<Iterable<string>>();
    expectTypeOf(store.scan({ prefix: 'a' })).toExtend<Iterable<string>>();
    expectTypeOf(store.scan({ keys: 'text' })).toExtend<Iterable<string>>();
    expectTypeOf(store.scan({ keys: undefined })).toExtend<Iterable<string>>();
    expectTypeOf(store.scan({ count: 1, keys: 'bytes' })).toExtend<Iterable<Uint8Array>>();
    for (const key of store.scan(open)) expectTypeOf(key).toEqualTypeOf<string | Uint8Array>();
    store.set(Uint8Array.of(0xff), 1);
    expect([...store.scan({ keys: 'bytes' })]).toEqual([Uint8Array.of(0xff)]);
    expect(() => [...store.scan()]).toThrow(/keys: 'bytes'/);
  });

  test('throws what the engine answers', () => {
    using store = openStore({ engine });
    store.set('t', 'x');
    expect(() => store.add('t', 1)).toThrow(expect.objectContaining({ name: 'ServerError', code: 'TYPE' }));
    expect(() => store.batch().add('t', 1).get('t').send()).toThrow(
      expect.objectContaining({ code: 'BATCH', results: [expect.objectContaining({ code: 'TYPE' }), 'x'] }),
    );
  });

  test('is full when it is full, and still gives and removes', () => {
    using store = openStore({ engine, memoryBytesMax: 2 * 1024 * 1024 });
    const fill = (): void => {
      for (let i = 0; i < 10_000; i++) store.set(`k${i}`, 'x'.repeat(1000));
    };
    expect(fill).toThrow(expect.objectContaining({ code: 'MEMORY' }));
    expect(store.get('k0')).toBe('x'.repeat(1000));
    expect(store.delete('k0')).toBe(true);
    expect(store.info()).toMatchObject({ engine, keys: store.count() });
  });

  test('takes nothing from a value that it is being given', () => {
    using store = openStore({ engine });
    const having = (read: () => unknown) => ({
      get field() {
        return read();
      },
    });
    const refused = expect.objectContaining({ code: 'ARGUMENT' });
    expect(() =>
      store.set(
        'a',
        having(() => store.get('a')),
      ),
    ).toThrow(refused);
    const batch = store.batch<unknown[]>();
    for (const read of [() => batch.get('a'), () => batch.send()]) {
      expect(() => batch.set('a', having(read))).toThrow(refused);
    }
    using other = openStore({ engine });
    other.set('b', ['from another']);
    batch
      .set(
        'a',
        having(() => other.get('b')),
      )
      .get('a');
    expect(batch.send()).toEqual([true, { field: ['from another'] }]);
  });

  test('takes no value that it could not give back', () => {
    using store = openStore({ engine });
    const large = new Uint8Array(60 * 1024 * 1024).fill(7);
    store.set('large', large);
    expect(store.get<Uint8Array>('large')?.length).toBe(large.length);
    expect(() => store.set('large', new Uint8Array(64 * 1024 * 1024))).toThrow(/can be read again/);
  });

  test('closes', () => {
    const store = openStore({ engine });
    store.close();
    store.close();
    expect(() => store.get('a')).toThrow(expect.objectContaining({ code: 'CLOSED' }));
    expect(() => store.info()).toThrow(expect.objectContaining({ code: 'CLOSED' }));
  });

  test('lets go of what has expired though nobody asks for it', () => {
    let nowMs = 1000;
    const created = engine === 'map' ? createMapEngine() : createSwissEngine();
    using store = new Store({ engine: created, now: () => nowMs });
    for (let i = 0; i < 500; i++) store.set(`k${i}`, i, { ttlMs: 100 });
    expect(store.ttl('k0')).toBe(100);
    nowMs += 100;
    expect(store.get('k0')).toBe(undefined);
    for (let i = 0; i < 64 * 8; i++) store.get('other');
    expect(created.stats().keys).toBe(0);
  });
});

test('a limit that can’t be is refused', () => {
  expect(() => openStore({ memoryBytesMax: 5 })).toThrow(RangeError);
});

test('an engine or eviction that there is not is refused, by its name', () => {
  expect(() => openStore({ engine: 'nope' as 'map' })).toThrow(
    new RangeError('engine is nope; it must be swiss or map'),
  );
  expect(() => openStore({ eviction: 'lru' as 'clock' })).toThrow(RangeError);
});
