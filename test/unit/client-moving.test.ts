/** What is under way when a server comes back with other shards, and when a shard sends a client on. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Client } from '../../core/client/client.ts';
import { type ClientOptions, DEFAULT_TIMEOUT_MS } from '../../core/client/settings.ts';
import { Op } from '../../core/protocol.ts';
import { type ShardMap, SLOTS } from '../../core/slots.ts';
import { reach } from '../../runtime/reach.ts';
import { parseAddress } from '../../transports/address.ts';
import { createNodeTransport } from '../../transports/node.ts';
import { ManualTimers } from '../support/manual-timers.ts';
import { HELLO, type ScriptedConnection, ScriptedServer, wireError } from '../support/scripted-server.ts';

let a: ScriptedServer;
let b: ScriptedServer;
let c: ScriptedServer;
let timers: ManualTimers;

beforeEach(async () => {
  [a, b, c] = [await ScriptedServer.start(), await ScriptedServer.start(), await ScriptedServer.start()];
  timers = new ManualTimers();
});
afterEach(() => Promise.all([a.stop(), b.stop(), c.stop()]));

/** The slots, divided evenly. `bar` has slot 5061, `foo` has 12182: with two, the first has `bar`, the second `foo`. */
function map(...servers: ScriptedServer[]): ShardMap {
  const first = (shard: number): number => Math.floor((shard * SLOTS) / servers.length);
  return servers.map(({ address }, shard) => [first(shard), first(shard + 1) - 1, address]);
}

const hello = (shards: ShardMap) => ({ ...HELLO, shards });

/** A client of `a`, which says that these are the shards. */
async function open(
  shards: ShardMap,
  options: Pick<ClientOptions, 'timeoutMs'> = {},
): Promise<{ client: Client; home: ScriptedConnection }> {
  const greeted = a.greeted(hello(shards));
  const transport = createNodeTransport();
  const connectors = reach(parseAddress(a.address), transport.connect.bind(transport));
  return { client: await Client.open({ timers, ...connectors, ...options }), home: await greeted };
}

/** The server at `a` is lost and comes back, with these shards. */
async function comeBack(client: Client, home: ScriptedConnection, shards: ShardMap): Promise<ScriptedConnection> {
  home.socket.destroy();
  await expect.poll(() => client.state).toBe('reconnecting');
  const again = a.greeted(hello(shards));
  timers.advance(100);
  return await again;
}

const outcome = (promise: Promise<unknown>): Promise<unknown> => promise.catch((error: unknown) => error);

describe('a server of one shard that comes back with two', () => {
  test('has what was in flight, and what was waiting, where it belongs now', async () => {
    const { client, home } = await open([]);
    const flying = [client.get('foo'), client.count(), client.batch().count().get('foo').get('bar').send()];
    expect(await home.frame()).toHaveLength(5);
    home.socket.destroy();
    await expect.poll(() => client.state).toBe('reconnecting');
    const value = ['as it was'];
    const waiting = [client.set('foo', value), client.clear(), client.ping('here')];
    value[0] = 'changed';
    const again = a.greeted(hello(map(a, b)));
    timers.advance(100);
    const [first, second] = await Promise.all([again, b.greeted(hello(map(a, b)))]);
    expect(await first.frame()).toEqual([[Op.COUNT], [Op.COUNT], [Op.GET, 'bar'], [Op.CLEAR], [Op.PING, 'here']]);
    expect(await second.frame()).toEqual([
      [Op.GET, 'foo'],
      [Op.COUNT],
      [Op.COUNT],
      [Op.GET, 'foo'],
      [Op.SET, 'foo', ['as it was']],
      [Op.CLEAR],
    ]);
    first.reply([5, 5, 'BAR', true, 'here']);
    second.reply(['FOO', 7, 7, 'FOO', true, true]);
    expect(await Promise.all(flying)).toEqual(['FOO', 12, [12, 'FOO', 'BAR']]);
    expect(await Promise.all(waiting)).toEqual([true, true, 'here']);
  });

  test('keeps the time and the signal of what it moves', async () => {
    const { client, home } = await open([]);
    const abort = new AbortController();
    const aborted = outcome(client.get('foo', { signal: abort.signal }));
    const late = outcome(client.get('foo', { timeoutMs: 500 }));
    await home.frame();
    await comeBack(client, home, map(a, b));
    const second = await b.greeted(hello(map(a, b)));
    await second.frame();
    abort.abort();
    expect(await aborted).toMatchObject({ code: 'ABORTED' });
    timers.advance(400);
    expect(await late).toMatchObject({ code: 'TIMEOUT' });
  });

  test('answers what was issued before the client was closed', async () => {
    const { client, home } = await open([]);
    const got = client.get('foo');
    await home.frame();
    const closed = client.close();
    home.socket.destroy();
    const again = a.greeted(hello(map(a, b)));
    await timers.started();
    timers.advance(100);
    await again;
    const second = await b.greeted(hello(map(a, b)));
    await second.frame();
    second.reply(['FOO']);
    expect(await got).toBe('FOO');
    for (const connection of [await again, second]) {
      await connection.ended();
      connection.socket.end();
    }
    await closed;
    expect(client.state).toBe('closed');
  });
});

describe('shards that change in the middle of a batch', () => {
  test('COUNT is asked again, of those there are now', async () => {
    const { client, home } = await open(map(a, b));
    const sent = client.batch().count().add('bar', 1).send();
    await home.frame();
    home.reply([5, 1]);
    const other = await b.greeted(hello(map(b, a)));
    expect(await other.frame()).toEqual([[Op.COUNT]]);
    other.reply([6]);
    expect(await home.frame()).toEqual([[Op.COUNT]]);
    expect(await other.frame()).toEqual([[Op.COUNT]]);
    home.reply([1]);
    other.reply([2]);
    expect(await sent).toEqual([3, 1]);
  });

  test('CLEAR is not done again, behind what came after it', async () => {
    const { client, home } = await open(map(a, b));
    const sent = outcome(client.batch().clear().set('bar', 1).send());
    await home.frame();
    home.reply([true, true]);
    const other = await b.greeted(hello(map(b, a)));
    await other.frame();
    other.reply([true]);
    expect(await sent).toMatchObject({ code: 'BATCH', results: [{ code: 'UNKNOWN_OUTCOME' }, true] });
  });

  test('what a shard that left never got, and then no shard answered, fails as one', async () => {
    const { client, home } = await open(map(a, b));
    const sent = outcome(client.batch().get('foo').get('{foo}').send());
    await b.connection();
    const again = await comeBack(client, home, []);
    expect(await again.frame()).toHaveLength(2);
    timers.advance(5000);
    expect(await sent).toMatchObject({ code: 'TIMEOUT' });
  });
});

test('a scan starts anew with the shards there are, though they are fewer', async () => {
  const { client, home } = await open(map(a, b, c));
  const scan = client.scan();
  /** Has the scan ask this shard, and answers it. */
  const page = async (asked: Promise<ScriptedConnection>, cursor: number, key: string): Promise<unknown> => {
    const next = scan.next();
    const shard = await asked;
    await shard.frame();
    shard.reply([[cursor, [key]]]);
    return (await next).value;
  };
  expect(await page(Promise.resolve(home), 0, 'k0')).toBe('k0');
  const other = b.greeted(hello(map(a, b, c)));
  expect(await page(other, 0, 'k1')).toBe('k1');
  expect(await page(c.greeted(hello(map(a, b, c))), 7, 'k2')).toBe('k2');
  const again = comeBack(client, home, map(a, b));
  await again;
  await expect.poll(() => client.state).toBe('connected');
  expect(await page(again, 0, 'k0')).toBe('k0');
  expect(await page(other, 0, 'k1')).toBe('k1');
  expect(await scan.next()).toEqual({ done: true, value: undefined });
});

describe('while the map is asked for', () => {
  /** Operations on `foo`, and perhaps `bar`, are sent; `foo` has moved, and HELLO is not answered yet. */
  async function moving<R>(issue: (client: Client) => Promise<R>, options?: Pick<ClientOptions, 'timeoutMs'>) {
    const { client, home } = await open(map(a, b), options);
    const result = issue(client);
    const settled = outcome(result);
    const other = await b.greeted(hello(map(a, b)));
    await other.frame();
    other.reply([wireError('MOVED', `12182 ${a.address}`)]);
    expect(await other.frame()).toEqual([[Op.HELLO, { version: 1 }]]);
    return { client, home, other, result, settled };
  }

  test('time-outs hold', async () => {
    const { settled } = await moving((client) => client.set('foo', 1, { timeoutMs: 200 }));
    timers.advance(200);
    expect(await settled).toMatchObject({ code: 'TIMEOUT', message: 'no reply to SET in time' });
  });

  test('a client that has for ever can be closed, though the map never comes', async () => {
    const forever = { timeoutMs: Number.POSITIVE_INFINITY };
    const { client, home, other, settled } = await moving(
      (client) => client.set('foo', 1, { timeoutMs: 200 }),
      forever,
    );
    timers.advance(200);
    expect(await settled).toMatchObject({ code: 'TIMEOUT' });
    const closed = client.close();
    timers.advance(DEFAULT_TIMEOUT_MS);
    await Promise.all([home.ended(), other.ended()]);
    for (const { socket } of [home, other]) socket.end();
    await closed;
    expect(client.state).toBe('closed');
  });

  test('signals hold', async () => {
    const abort = new AbortController();
    const { settled } = await moving((client) => client.get('foo', { signal: abort.signal }));
    abort.abort('enough');
    expect(await settled).toMatchObject({ code: 'ABORTED', cause: 'enough' });
  });

  test('a batch that is given up tells what was done', async () => {
    const { client, home } = await open(map(a, b));
    const sent = outcome(client.batch().set('bar', 1).set('foo', 1).send({ timeoutMs: 200 }));
    await home.frame();
    home.reply([true]);
    const other = await b.greeted(hello(map(a, b)));
    await other.frame();
    other.reply([wireError('MOVED', `12182 ${a.address}`)]);
    await other.frame();
    timers.advance(200);
    expect(await sent).toMatchObject({ code: 'BATCH', results: [true, { code: 'TIMEOUT' }] });
  });

  test('a client that is closed goes on with what was issued', async () => {
    const { client, home, other, result } = await moving((client) => client.get('foo'));
    const closed = client.close();
    await expect(client.get('bar')).rejects.toMatchObject({ code: 'CLOSED' });
    other.reply([hello(map(b, a))]);
    expect(await home.frame()).toEqual([[Op.GET, 'foo']]);
    home.reply(['here']);
    expect(await result).toBe('here');
    await Promise.all([home.ended(), other.ended()]);
    for (const { socket } of [home, other]) socket.end();
    await closed;
    expect(client.state).toBe('closed');
  });
});
