/** The client and servers of several shards: real threads behind real sockets, and scripted shards that disagree. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { Client } from '../../core/client/client.ts';
import type { ClientState } from '../../core/client/settings.ts';
import { Op } from '../../core/protocol.ts';
import { type ShardMap, SLOTS } from '../../core/slots.ts';
import { connect } from '../../runtime/client.ts';
import { reach } from '../../runtime/reach.ts';
import { type Server, startServer } from '../../runtime/server.ts';
import { parseAddress } from '../../transports/address.ts';
import { createNodeTransport } from '../../transports/node.ts';
import { exerciseOperations } from '../support/exercise.ts';
import { ManualTimers } from '../support/manual-timers.ts';
import { HELLO, type ScriptedConnection, ScriptedServer, wireError } from '../support/scripted-server.ts';
import { WireClient } from '../support/wire.ts';

const SHARDS = 3;
const folder = mkdtempSync(join(tmpdir(), 'ringkv-shards-'));
afterAll(() => rmSync(folder, { recursive: true }));

describe('a server of three shards', () => {
  let server: Server;
  let client: Client;

  beforeAll(async () => {
    server = await startServer({ listen: 'tcp://127.0.0.1:0', engine: 'map', shards: SHARDS });
  });
  afterAll(() => server?.close());
  beforeEach(async () => {
    client = await connect(server.address);
    await client.clear();
  });
  afterEach(() => client.close());

  const names = Array.from({ length: 1000 }, (_, i) => `key:${i}`);
  const fill = () => Promise.all(names.map((name, i) => client.set(name, i)));

  test('does what one of a single shard does', () => exerciseOperations(client));

  test('keeps keys on every shard, and counts and clears them all', async () => {
    await fill();
    expect(await Promise.all(names.map((name) => client.get(name)))).toEqual(names.map((_, i) => i));
    expect(await client.count()).toBe(names.length);
    const counts: number[] = [];
    for (const address of server.addresses) {
      const shard = await WireClient.dial(address);
      counts.push((await shard.call([Op.COUNT]))[0] as number);
      await shard.close();
    }
    expect(Math.min(...counts)).toBeGreaterThan(names.length / 5);
    expect(counts.reduce((sum, count) => sum + count, 0)).toBe(names.length);
    expect(await client.clear()).toBe(true);
    expect(await client.count()).toBe(0);
  });

  test('gives every key to a scan, once while nothing changes', async () => {
    await fill();
    await client.set('other', 1);
    const keys: string[] = [];
    for await (const key of client.scan({ count: 50 })) keys.push(key);
    expect(keys.sort()).toEqual([...names, 'other'].sort());
    keys.length = 0;
    for await (const key of client.scan({ prefix: 'key:' })) keys.push(key);
    expect(keys.sort()).toEqual([...names].sort());
  });

  test('what is issued in one tick travels in one frame to each shard', async () => {
    await fill();
    const frames = async () => Number((await server.info()).frames);
    const before = await frames();
    await Promise.all(names.map((name) => client.get(name)));
    expect(await frames()).toBe(before + SHARDS);
  });

  test('runs batches on every shard, and gives the results in their order', async () => {
    const batch = client.batch<unknown[]>();
    for (const [i, name] of names.entries()) batch.set(name, i);
    batch.count().ping('here').clear().count();
    for (const name of names) batch.get(name);
    const all = [...names.map(() => true), names.length, 'here', true, 0, ...names.map(() => undefined)];
    expect(await batch.send()).toEqual(all);
    expect(await client.batch().send()).toEqual([]);
  });

  test('takes nothing from a value that it is being given', async () => {
    let inner: Promise<unknown> | undefined;
    const value = {
      get field() {
        inner = client.get('foo').catch((error: unknown) => error);
        return 'outer';
      },
    };
    expect(await client.set('bar', value)).toBe(true);
    expect(await inner).toMatchObject({ code: 'ARGUMENT' });
    expect(await client.get('bar')).toEqual({ field: 'outer' });
  });

  test('runs what belongs together as one', async () => {
    const frames = async () => Number((await server.info()).frames);
    await client.set('{user:1}name', 'Ada');
    const before = await frames();
    expect(await client.batch().get('{user:1}name').add('{user:1}visits', 1).has('{user:1}x').send()).toEqual([
      'Ada',
      1,
      false,
    ]);
    expect(await frames()).toBe(before + 1);
  });

  test('tells of every operation of a batch when some failed', async () => {
    const batch = client.batch<unknown[]>();
    for (const name of names) batch.set(name, 'text');
    batch.add('key:7', 1);
    const error = await batch.send().catch((cause: unknown) => cause);
    expect(error).toMatchObject({ code: 'BATCH', message: expect.stringContaining('1 of 1001 operations failed') });
    const { results } = error as { results: unknown[] };
    expect(results.slice(0, -1)).toEqual(names.map(() => true));
    expect(results.at(-1)).toMatchObject({ code: 'TYPE' });
  });

  test('INFO and HELLO tell of all shards', async () => {
    await fill();
    const info = await client.info();
    expect(info).toMatchObject({ shards: SHARDS, keys: names.length, engine: 'map', pid: process.pid });
    // This connection to each of them.
    expect(info.connections).toBe(SHARDS);
    expect(await server.info()).toMatchObject({ shards: SHARDS, keys: names.length, connections: SHARDS });
    expect((await client.hello()).shards).toEqual([
      [0, 5460, server.addresses[0]],
      [5461, 10_921, server.addresses[1]],
      [10_922, 16_383, server.addresses[2]],
    ]);
  });

  test('is connected to where keys are asked for, and nowhere else', async () => {
    await using other = await connect(server.addresses[1]!);
    const connections = async () => Number((await server.info()).connections);
    const before = await connections();
    // Slots 5061, 12182 and 9000-odd: of the first, the last and the second shard.
    await other.get('bar');
    expect(await connections()).toBe(before + 1);
    await other.get('bar');
    await other.get('{bar}x');
    expect(await connections()).toBe(before + 1);
    await other.get('foo');
    expect(await connections()).toBe(before + 2);
    expect(other.state).toBe('connected');
  });

  test('an independent client is told where a key is, and that is where it is', async () => {
    const shard = await WireClient.dial(server.addresses[0]!);
    const [moved, own] = await shard.call([Op.SET, 'foo', 1], [Op.SET, 'bar', 1]);
    expect(moved).toEqual({ error: 'MOVED', message: `12182 ${server.addresses[2]}` });
    expect(own).toBe(true);
    await shard.close();
    const other = await WireClient.dial(server.addresses[2]!);
    expect(await other.call([Op.SET, 'foo', 1], [Op.COUNT])).toEqual([true, 1]);
    await other.close();
  });

  test('what can’t be sent is refused, and time and signals bound what can', async () => {
    await expect(client.set('foo', null)).rejects.toMatchObject({ code: 'ARGUMENT' });
    await expect(client.get('foo', { timeoutMs: 0 })).rejects.toMatchObject({ code: 'ARGUMENT' });
    await expect(client.get('foo', { signal: AbortSignal.abort() })).rejects.toMatchObject({ code: 'ABORTED' });
    const batch = client.batch().get('foo').get('bar');
    await expect(batch.send({ signal: AbortSignal.abort() })).rejects.toMatchObject({ code: 'ABORTED' });
    expect(await client.batch().get('foo').get('bar').send({ timeoutMs: 60_000 })).toEqual([undefined, undefined]);
  });

  test('a closed client has answered all, refuses the rest and leaves no connection', async () => {
    const states: ClientState[] = [];
    const other = await connect({ address: server.address, onState: (state) => states.push(state) });
    const pending = [other.set('foo', 1), other.set('bar', 2), other.count()];
    const closed = other.close();
    for (const late of [
      () => other.get('foo'),
      () => other.count(),
      () => other.batch().get('foo').get('bar').send(),
    ]) {
      await expect(late()).rejects.toMatchObject({ code: 'CLOSED' });
    }
    expect(await Promise.all(pending)).toEqual([true, true, 2]);
    await closed;
    expect(other.state).toBe('closed');
    expect(states).toEqual(['connected', 'closed']);
    await client.close();
    await expect.poll(async () => (await server.info()).connections).toBe(0);
  });
});

describe('a server of shards that can’t be', () => {
  test.each([0, 257, 1.5, Number.NaN])('%d shards', async (shards) => {
    await expect(startServer({ listen: 'tcp://127.0.0.1:0', shards })).rejects.toThrow('from 1 to 256');
  });

  test.each([
    ['tcp://127.0.0.1:65535', 'port 65536 is above 65535'],
    [`unix:/${'x'.repeat(106)}`, 'the path has 109 bytes'],
  ])('two at %s', async (listen, message) => {
    await expect(startServer({ listen, shards: 2 })).rejects.toThrow(message);
  });

  test('two within memory', async () => {
    const options = { listen: 'memory:here', transport: 'memory', shards: 2 } as const;
    await expect(startServer(options)).rejects.toThrow("can't be shared by threads");
  });

  test('one whose address is taken: none is left', async () => {
    const path = join(folder, 'taken');
    await using _taken = await startServer({ listen: `unix:${path}.1`, engine: 'map' });
    await expect(startServer({ listen: `unix:${path}`, shards: 2 })).rejects.toThrow(/taken\.1.*in use/);
    await expect(connect(`unix:${path}`)).rejects.toMatchObject({ code: 'CONNECTION' });
  });
});

describe('a server that comes back with other shards', () => {
  test.each([
    [1, 2],
    [2, 3],
    [3, 1],
  ])('after %i there are %i', async (before, after) => {
    const listen = `unix:${join(folder, `${before}-${after}`)}`;
    const names = Array.from({ length: 100 }, (_, i) => `key:${i}`);
    const first = await startServer({ listen, engine: 'map', shards: before });
    await using client = await connect(listen);
    await Promise.all(names.map((name) => client.set(name, 1)));
    const scan = client.scan({ count: 5 });
    expect((await scan.next()).done).toBe(false);
    await first.close();
    await expect.poll(() => client.state).toBe('reconnecting');
    const waiting = Promise.all([client.count(), ...names.map((name) => client.get(name))]);
    await using second = await startServer({ listen, engine: 'map', shards: after });
    expect(await waiting).toEqual([0, ...names.map(() => undefined)]);
    await Promise.all(names.map((name) => client.set(name, 2)));
    expect(await client.count()).toBe(names.length);
    expect((await second.info()).keys).toBe(names.length);
    const scanned = new Set<string>();
    for await (const key of scan) scanned.add(key);
    expect([...scanned].sort()).toEqual([...names].sort());
    await expect.poll(() => client.state).toBe('connected');
  });
});

describe('shards that are not as they were told', () => {
  let a: ScriptedServer;
  let b: ScriptedServer;
  let timers: ManualTimers;
  let states: ClientState[];

  beforeEach(async () => {
    [a, b] = [await ScriptedServer.start(), await ScriptedServer.start()];
    timers = new ManualTimers();
    states = [];
  });
  afterEach(() => Promise.all([a.stop(), b.stop()]));

  const half = SLOTS / 2;
  const map = (lower: string, upper: string): ShardMap => [
    [0, half - 1, lower],
    [half, SLOTS - 1, upper],
  ];
  /** `bar` has slot 5061, `foo` has 12182. */
  const moved = (slot: number, server: ScriptedServer) => wireError('MOVED', `${slot} ${server.address}`);

  async function open(): Promise<{ client: Client; home: ScriptedConnection }> {
    const greeted = a.greeted({ ...HELLO, shards: map(a.address, b.address) });
    const transport = createNodeTransport();
    // The client of one test may tell of its end only while the next one runs.
    const said = states;
    const client = await Client.open({
      timers,
      onState: (state) => said.push(state),
      ...reach(parseAddress(a.address), transport.connect.bind(transport)),
    });
    return { client, home: await greeted };
  }

  /** What home answers to a GET of its own. */
  function answered(client: Client, home: ScriptedConnection): Promise<unknown> {
    const got = client.get('bar');
    void home.frame().then(() => home.reply([1]));
    return got;
  }

  test('MOVED is followed, by what HELLO then tells', async () => {
    const { client, home } = await open();
    const got = client.get('foo');
    const other = await b.greeted({ ...HELLO, shards: map(a.address, b.address) });
    expect(await other.frame()).toEqual([[Op.GET, 'foo']]);
    other.reply([moved(12_182, a)]);
    expect(await other.frame()).toEqual([[Op.HELLO, { version: 1 }]]);
    other.reply([{ ...HELLO, shards: map(b.address, a.address) }]);
    expect(await home.frame()).toEqual([[Op.GET, 'foo']]);
    home.reply(['here']);
    expect(await got).toBe('here');
    // It is remembered.
    const next = [client.get('foo'), client.get('bar')];
    expect(await home.frame()).toEqual([[Op.GET, 'foo']]);
    expect(await other.frame()).toEqual([[Op.GET, 'bar']]);
    home.reply([1]);
    other.reply([2]);
    expect(await Promise.all(next)).toEqual([1, 2]);
  });

  test('many that moved ask once, and each is sent as it was issued', async () => {
    const { client, home } = await open();
    const value = ['as it was'];
    const all = [client.set('foo', value), client.add('{foo}n', 1), client.get('bar')];
    value[0] = 'changed';
    const other = await b.greeted({ ...HELLO, shards: map(a.address, b.address) });
    expect(await home.frame()).toEqual([[Op.GET, 'bar']]);
    home.reply(['bar']);
    expect(await other.frame()).toHaveLength(2);
    other.reply([moved(12_182, a), moved(12_182, a)]);
    expect(await other.frame()).toEqual([[Op.HELLO, { version: 1 }]]);
    other.reply([{ ...HELLO, shards: map(b.address, a.address) }]);
    expect(await home.frame()).toEqual([
      [Op.SET, 'foo', ['as it was']],
      [Op.ADD, '{foo}n', 1],
    ]);
    home.reply([true, 1]);
    expect(await Promise.all(all)).toEqual([true, 1, 'bar']);
  });

  test('of a batch, what moved is sent again, and the rest is not', async () => {
    const { client, home } = await open();
    const sent = client.batch().add('bar', 1).add('foo', 1).count().add('bar', 1).send();
    const other = await b.greeted({ ...HELLO, shards: map(a.address, b.address) });
    expect(await home.frame()).toEqual([[Op.ADD, 'bar', 1], [Op.COUNT], [Op.ADD, 'bar', 1]]);
    home.reply([1, 5, 2]);
    expect(await other.frame()).toEqual([[Op.ADD, 'foo', 1], [Op.COUNT]]);
    other.reply([moved(12_182, a), 6]);
    expect(await other.frame()).toEqual([[Op.HELLO, { version: 1 }]]);
    other.reply([{ ...HELLO, shards: map(b.address, a.address) }]);
    expect(await home.frame()).toEqual([[Op.ADD, 'foo', 1]]);
    home.reply([7]);
    expect(await sent).toEqual([1, 7, 11, 2]);
  });

  test('shards that send each other’s clients round and round are told on after the second time', async () => {
    const { client } = await open();
    const failed = expect(client.get('foo')).rejects.toMatchObject({ code: 'MOVED' });
    const other = await b.greeted({ ...HELLO, shards: map(a.address, b.address) });
    await other.frame();
    other.reply([moved(12_182, a)]);
    await other.frame();
    other.reply([{ ...HELLO, shards: map(a.address, b.address) }]);
    expect(await other.frame()).toEqual([[Op.GET, 'foo']]);
    other.reply([moved(12_182, a)]);
    await failed;
  });

  test('a shard that does not answer leaves the others alone', async () => {
    const { client, home } = await open();
    const batch = client
      .batch()
      .set('bar', 1)
      .set('foo', 1)
      .get('bar')
      .send()
      .catch((error: unknown) => error);
    const single = client.get('foo').catch((error: unknown) => error);
    const other = await b.greeted({ ...HELLO, shards: map(a.address, b.address) });
    expect(await home.frame()).toHaveLength(2);
    expect(await other.frame()).toHaveLength(2);
    home.reply([true, 1]);
    const last = client.get('bar');
    await home.frame();
    home.reply([1]);
    expect(await last).toBe(1);
    timers.advance(5000);
    expect(await batch).toMatchObject({ code: 'BATCH', results: [true, { code: 'UNKNOWN_OUTCOME' }, 1] });
    expect(await single).toMatchObject({ code: 'TIMEOUT' });
  });

  test.each([
    ['alone', (client: Client) => client.clear(), []],
    ['in a batch', (client: Client) => client.batch().clear().get('bar').send(), ['BAR']],
  ])(
    'a CLEAR %s that one shard has done, and another could not be asked for, is not said to have changed nothing',
    async (_, issue, others) => {
      const { client, home } = await open();
      const outcome = issue(client).catch((error: unknown) => error);
      expect((await home.frame())[0]).toEqual([Op.CLEAR]);
      home.reply([true, ...others]);
      await b.connection();
      // The reply has to be read before the time is over.
      expect(await answered(client, home)).toBe(1);
      timers.advance(5000);
      const unknown = { code: 'UNKNOWN_OUTCOME', cause: { code: 'TIMEOUT' } };
      expect(await outcome).toMatchObject(
        others.length === 0 ? unknown : { code: 'BATCH', results: [unknown, ...others] },
      );
    },
  );

  test('a CLEAR that no shard was asked for has changed nothing', async () => {
    const { client, home } = await open();
    home.socket.destroy();
    await expect.poll(() => client.state).toBe('reconnecting');
    const outcome = client.clear().catch((error: unknown) => error);
    timers.advance(5000);
    expect(await outcome).toMatchObject({ code: 'TIMEOUT' });
  });

  test('a batch that no shard took fails with their common reason', async () => {
    const { client, home } = await open();
    const batch = client
      .batch()
      .get('bar')
      .get('foo')
      .send()
      .catch((error: unknown) => error);
    const other = await b.greeted({ ...HELLO, shards: map(a.address, b.address) });
    await Promise.all([home.frame(), other.frame()]);
    timers.advance(5000);
    expect(await batch).toMatchObject({ code: 'TIMEOUT' });
  });

  test('a connection to any shard that is lost is told of, and mended', async () => {
    const { client } = await open();
    const got = client.get('foo');
    const other = await b.greeted({ ...HELLO, shards: map(a.address, b.address) });
    await other.frame();
    other.socket.destroy();
    await expect.poll(() => client.state).toBe('reconnecting');
    const again = b.greeted({ ...HELLO, shards: map(a.address, b.address) });
    timers.advance(100);
    const second = await again;
    expect(await second.frame()).toEqual([[Op.GET, 'foo']]);
    second.reply([1]);
    expect(await got).toBe(1);
    expect(states).toEqual(['connected', 'reconnecting', 'connected']);
  });

  test.each([
    [{ shards: 'none' }],
    [{ shards: [[0, 16_383]] }],
    [{ shards: [['0', 1, 'tcp://127.0.0.1:1']] }],
    [{ shards: [3] }],
  ])('a map that is none is refused: %j', async (fields) => {
    const opening = expect(connect(a.address)).rejects.toMatchObject({ code: 'PROTOCOL' });
    await a.greeted({ ...HELLO, ...fields });
    await opening;
  });
});

describe('where a shard is looked for', () => {
  const connectors = (given: string) => {
    const calls: string[] = [];
    const { connect: home, connectShard } = reach(parseAddress(given), async (address) => {
      calls.push(JSON.stringify(address));
      throw new Error('not really');
    });
    return async (url: string): Promise<string> => {
      const found = connectShard(url);
      if (found === home) return 'home';
      await expect(found(() => expect.unreachable(), new AbortController().signal)).rejects.toThrow();
      return calls.pop() ?? 'nowhere';
    };
  };

  test.each([
    ['tcp://127.0.0.1:7464', 'tcp://127.0.0.1:7464', 'home'],
    ['tcp://127.0.0.1:7464', 'tcp://127.0.0.1:7465', { kind: 'tcp', host: '127.0.0.1', port: 7465 }],
    ['tcp://localhost:7464', 'tcp://0.0.0.0:7464', 'home'],
    ['tcp://localhost:7464', 'tcp://0.0.0.0:7465', { kind: 'tcp', host: 'localhost', port: 7465 }],
    ['tcp://[::1]:7464', 'tcp://[::]:7465', { kind: 'tcp', host: '::1', port: 7465 }],
    ['ws://cache.test:7464', 'ws://0.0.0.0:7465', { kind: 'ws', host: 'cache.test', port: 7465 }],
    ['tcp://localhost:7464', 'tcp://10.0.0.0:7465', { kind: 'tcp', host: '10.0.0.0', port: 7465 }],
    ['unix:/run/a', 'unix:/run/a', 'home'],
    ['unix:/run/a', 'unix:/run/a.1', { kind: 'unix', path: '/run/a.1' }],
    ['unix:/run/a', 'no address', 'nowhere'],
  ])('given %s, %s is at %j', async (given, url, there) => {
    expect(await connectors(given)(url)).toBe(typeof there === 'string' ? there : JSON.stringify(there));
  });
});
