/** The client against a real server, on real sockets: every operation, batches, scans and what is answered with an error. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, expectTypeOf, test } from 'vitest';
import { type Client, connect } from '../../runtime/client.ts';
import { type Server, startServer } from '../../runtime/server.ts';
import { exerciseOperations } from '../support/exercise.ts';
import { HELLO, ScriptedServer } from '../support/scripted-server.ts';

const folder = mkdtempSync(join(tmpdir(), 'ringkv-client-'));
let server: Server;
let client: Client;

beforeAll(async () => {
  server = await startServer({ listen: 'tcp://127.0.0.1:0', engine: 'map' });
});
afterAll(async () => {
  await server.close();
  rmSync(folder, { recursive: true });
});
beforeEach(async () => {
  client = await connect(server.address);
  await client.clear();
});
afterEach(() => client.close());

test.each([Number.POSITIVE_INFINITY, 2 ** 31])('an attempt to connect may take %d ms', async (connectTimeoutMs) => {
  const slow = await ScriptedServer.start();
  const opening = connect({ address: slow.address, connectTimeoutMs });
  const accepted = await slow.connection();
  // More than the 1 ms that timers make of too long a delay.
  await new Promise((resolve) => setTimeout(resolve, 50));
  accepted.reply([HELLO]);
  const opened = await opening;
  expect(opened.state).toBe('connected');
  await slow.stop();
  await opened.close();
});

describe('operations', () => {
  test('each does what it says', () => exerciseOperations(client));

  test('each does what it says, over a unix socket', async () => {
    await using other = await startServer({ listen: `unix:${join(folder, 'socket')}`, engine: 'map' });
    await using otherClient = await connect({ address: other.address });
    await exerciseOperations(otherClient);
  });

  test('hello and info tell of the server', async () => {
    const hello = await client.hello();
    expect(hello).toMatchObject({ server: 'ringkv', protocol: 1, engine: 'map', maxKey: 65_535 });
    expect(hello.shards).toEqual([[0, 16_383, server.address]]);
    expect(await client.info()).toMatchObject({ engine: 'map', connections: 1, keys: 0 });
  });

  test('what a server takes less of than others is learnt from it', async () => {
    const limits = { operationsMax: 1000, depthMax: 2 };
    await using strict = await startServer({ listen: 'tcp://127.0.0.1:0', engine: 'map', limits });
    await using other = await connect(strict.address);
    const values = await Promise.all(Array.from({ length: 1001 }, (_, i) => other.get(`key:${i}`)));
    expect(new Set(values)).toEqual(new Set([undefined]));
    await expect(other.set('a', [[[1]]])).rejects.toMatchObject({ code: 'ARGUMENT' });
    expect(await other.set('a', [[1]])).toBe(true);
    expect(await other.hello()).toMatchObject({ maxOperations: 1000, maxDepth: 2 });
  });

  test('an error is the code of the wire, and that of one operation leaves the others alone', async () => {
    const results = await Promise.allSettled([client.set('t', 'x'), client.add('t', 1), client.get('t')]);
    expect(results[0]).toMatchObject({ value: true });
    expect(results[1]).toMatchObject({ reason: { name: 'ServerError', code: 'TYPE' } });
    expect(results[2]).toMatchObject({ value: 'x' });
    await expect(client.set('t', 1, { ttlMs: 0 })).rejects.toMatchObject({ code: 'RANGE' });
  });

  test('what can’t be sent rejects, and leaves nothing behind in the frame of the others', async () => {
    const results = await Promise.allSettled([
      client.set('a', 1),
      client.set('b', { half: 'written', rest: Symbol('no') }),
      client.set('', 1),
      client.get('a'),
    ]);
    expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'rejected', 'fulfilled']);
    expect(results[1]).toMatchObject({ reason: { code: 'ARGUMENT' } });
    expect(results[3]).toMatchObject({ value: 1 });
  });

  test('what is changed after the call is not sent', async () => {
    const value = { a: 1 };
    const key = Uint8Array.of(1);
    const done = client.set(key, value);
    value.a = 2;
    key[0] = 2;
    await done;
    expect(await client.get(Uint8Array.of(1))).toEqual({ a: 1 });
  });

  test('ten thousand at once come back in order', async () => {
    const numbers = Array.from({ length: 10_000 }, (_, i) => i);
    await Promise.all(numbers.map((i) => client.set(`n${i}`, i)));
    expect(await Promise.all(numbers.map((i) => client.get(`n${i}`)))).toEqual(numbers);
    expect(await client.count()).toBe(10_000);
  });

  test('a value as large as the server takes, and one that is larger', async () => {
    const large = 'x'.repeat(16 * 1024 * 1024 - 100);
    await client.set('large', large);
    expect((await client.get<string>('large'))?.length).toBe(large.length);
    await expect(client.set('large', `${large}${'y'.repeat(100)}`)).rejects.toThrow(
      /SET takes 1677\d+ bytes; the server takes 16777216/,
    );
    expect(await client.has('large')).toBe(true);
  });
});

describe('batches', () => {
  test('run in order and give typed results', async () => {
    const results = await client.batch().set('a', 1).add('a', 2).get<number>('a').ttl('a').take<number>('none').send();
    expectTypeOf(results).toEqualTypeOf<
      [boolean, number, number | undefined, number | undefined, number | undefined]
    >();
    expect(results).toEqual([true, 3, 3, Number.POSITIVE_INFINITY, undefined]);
  });

  test('grow in a loop', async () => {
    for (let i = 0; i < 100; i++) await client.set(`k${i}`, `v${i}`);
    const batch = client.batch<(string | undefined)[]>();
    for (let i = 0; i < 100; i++) batch.get<string>(`k${i}`);
    const values = await batch.send();
    expectTypeOf(values).toEqualTypeOf<(string | undefined)[]>();
    expect(values).toEqual(Array.from({ length: 100 }, (_, i) => `v${i}`));
    expect(batch.size).toBe(100);
  });

  test('tell of every operation when some failed', async () => {
    const failure = client.batch().set('t', 'x').add('t', 1).get('t').send();
    await expect(failure).rejects.toMatchObject({
      code: 'BATCH',
      message: '1 of 3 operations failed, first number 1: value is not an integer',
      results: [true, { code: 'TYPE' }, 'x'],
    });
  });

  test('an empty one gives nothing', async () => expect(await client.batch().send()).toEqual([]));

  test('refuse what can’t be sent at once, and go on without it', async () => {
    const batch = client.batch().set('a', 1);
    expect(() => batch.set('b', null)).toThrow(/can't be null/);
    expect(await batch.get('a').send()).toEqual([true, 1]);
  });

  test('are sent once', async () => {
    const batch = client.batch().set('a', 1);
    await batch.send();
    expect(() => batch.send()).toThrow(/sent already/);
    expect(() => batch.get('a')).toThrow(/sent already/);
  });

  test('with too many operations are refused', async () => {
    const batch = client.batch<boolean[]>();
    for (let i = 0; i <= 1_048_576; i++) batch.has('a');
    await expect(batch.send()).rejects.toMatchObject({ code: 'ARGUMENT' });
  });
});

describe('scans', () => {
  const names = Array.from({ length: 2500 }, (_, i) => `${i % 2 ? 'odd' : 'even'}:${i}`);

  beforeEach(async () => {
    await Promise.all(names.map((name) => client.set(name, 1)));
  });

  test('give every key', async () => {
    const keys: string[] = [];
    for await (const key of client.scan()) keys.push(key);
    expect(keys.sort()).toEqual([...names].sort());
  });

  test('give the keys with a prefix, in steps of a few', async () => {
    const keys = new Set<string>();
    for await (const key of client.scan({ prefix: 'odd:', count: 7 })) keys.add(key);
    expect([...keys].sort()).toEqual(names.filter((name) => name.startsWith('odd')).sort());
  });

  test('give bytes when asked, and say so where text is not possible', async () => {
    await client.set(Uint8Array.of(0xff, 0xfe), 1);
    const bytes: Uint8Array[] = [];
    for await (const key of client.scan({ prefix: Uint8Array.of(0xff), keys: 'bytes' })) {
      expectTypeOf(key).toEqualTypeOf<Uint8Array>();
      bytes.push(key);
    }
    expect(bytes).toEqual([Uint8Array.of(0xff, 0xfe)]);
    const text = client.scan({ prefix: Uint8Array.of(0xff) });
    await expect(text.next()).rejects.toMatchObject({ code: 'RESULT' });
  });

  test('end early when nobody asks for more', async () => {
    for await (const key of client.scan({ count: 10 })) {
      expect(names).toContain(key);
      break;
    }
    expect(await client.ping()).toBe('PONG');
  });

  test('refuse a count that is none', async () => {
    await expect(client.scan({ count: 0.5 }).next()).rejects.toMatchObject({ code: 'ARGUMENT' });
    await expect(client.scan({ count: 0 }).next()).rejects.toMatchObject({ code: 'RANGE' });
  });
});

describe('connecting', () => {
  test('nobody there', async () => {
    const gone = await startServer({ listen: 'tcp://127.0.0.1:0', engine: 'map' });
    await gone.close();
    await expect(connect(gone.address)).rejects.toMatchObject({
      code: 'CONNECTION',
      message: expect.stringContaining(gone.address),
      cause: { code: 'ECONNREFUSED' },
    });
  });

  test('no address', async () => {
    await expect(connect('127.0.0.1:1')).rejects.toThrow(/not an address/);
  });

  test('settings that can’t be', async () => {
    await expect(connect({ address: server.address, timeoutMs: 0 })).rejects.toThrow(/timeoutMs must be .* above 0/);
    await expect(connect({ address: server.address, pendingBytesMax: Number.NaN })).rejects.toThrow(/pendingBytesMax/);
  });

  test('a server that comes back is found again', async () => {
    const path = `unix:${join(folder, 'again')}`;
    const first = await startServer({ listen: path, engine: 'map' });
    const states: string[] = [];
    await using again = await connect({ address: path, onState: (state) => states.push(state) });
    await again.set('a', 1);
    await first.close();
    const waiting = again.get('a');
    await using _second = await startServer({ listen: path, engine: 'map' });
    expect(await waiting).toBe(undefined);
    expect(states).toEqual(['connected', 'reconnecting', 'connected']);
  });
});

describe('closing', () => {
  test('answers what was issued, refuses what comes after, and may be done twice', async () => {
    const pending = [client.set('a', 1), client.get('a')];
    const closed = client.close();
    await expect(client.get('a')).rejects.toMatchObject({ code: 'CLOSED' });
    expect(await Promise.all(pending)).toEqual([true, 1]);
    await closed;
    await client.close();
    expect(client.state).toBe('closed');
  });

  test('leaves no connection behind', async () => {
    await using other = await connect(server.address);
    await client.close();
    expect((await other.info()).connections).toBe(1);
  });
});
