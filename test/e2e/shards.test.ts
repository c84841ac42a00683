/** Servers of several shards, as a user starts them, on every runtime; and shards that die. */
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { connect as connectSocket, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, test } from 'vitest';
import { Op } from '../../core/protocol.ts';
import { type Client, connect } from '../../runtime/client.ts';
import { createUringTransport } from '../../transports/uring.ts';
import { type Child, runtimes, startChild } from '../support/children.ts';
import { type RunOptions, run, type ServerChild, startServe } from '../support/command.ts';
import { Counting } from '../support/data.ts';
import { exerciseOperations } from '../support/exercise.ts';
import { WireClient } from '../support/wire.ts';

const folder = mkdtempSync(join(tmpdir(), 'ringkv-shards-'));
afterAll(() => rmSync(folder, { recursive: true }));

const children: Child[] = [];
const clients: Client[] = [];
afterEach(async () => {
  await Promise.all(clients.splice(0).map((client) => client.close()));
  await Promise.all(children.splice(0).map((child) => child.stop('SIGKILL')));
});

async function serve(args: readonly string[], options: RunOptions): Promise<ServerChild> {
  const server = await startServe(args, options);
  children.push(server.child);
  return server;
}

async function clientOf(address: string): Promise<Client> {
  const client = await connect({ address, timeoutMs: 30_000 });
  clients.push(client);
  return client;
}

describe.each(runtimes())('serve --shards 2 on $name', (runtime) => {
  test('is one server to a client', async () => {
    const { child, ready } = await serve(['--shards', '2'], { runtime });
    expect(ready.shards).toBe(2);
    const client = await clientOf(ready.address);
    await exerciseOperations(client);
    const names = Array.from({ length: 500 }, (_, i) => `key:${i}`);
    const batch = client.batch<boolean[]>();
    for (const [i, name] of names.entries()) batch.set(name, i);
    expect(await batch.send()).toEqual(names.map(() => true));
    expect(await Promise.all(names.map((name) => client.get(name)))).toEqual(names.map((_, i) => i));
    const scanned: string[] = [];
    for await (const key of client.scan()) scanned.push(key);
    expect(scanned.sort()).toEqual([...names].sort());
    expect(await client.count()).toBe(names.length);
    expect(await client.info()).toMatchObject({ shards: 2, keys: names.length, connections: 2, pid: ready.pid });
    expect(await run(['shell', '--connect', ready.address, 'count'])).toMatchObject({ code: 0, stdout: '500\n' });
    await client.clear();
    expect(await client.count()).toBe(0);
    await client.close();
    expect(await child.stop('SIGTERM')).toBe(0);
    expect(child.lines).toHaveLength(1);
  });

  test('tells an independent client where each key is', async () => {
    const { ready } = await serve(['--shards', '2'], { runtime });
    const first = await WireClient.dial(ready.address);
    const [hello] = (await first.call([Op.HELLO, { version: 1 }])) as [{ shards: [number, number, string][] }];
    const other = hello.shards[1]![2];
    expect(hello.shards).toEqual([
      [0, 8191, ready.address],
      [8192, 16_383, other],
    ]);
    const results = await first.call([Op.SET, 'hello', 1], [Op.SET, 'foo', 1], [Op.GET, 'hello']);
    expect(results).toEqual([true, { error: 'MOVED', message: `12182 ${other}` }, 1]);
    const second = await WireClient.dial(other);
    expect(await second.call([Op.SET, 'foo', 1], [Op.GET, 'hello'])).toEqual([
      true,
      { error: 'MOVED', message: `866 ${ready.address}` },
    ]);
    await Promise.all([first.close(), second.close()]);
  });

  test('listens at unix sockets side by side, which are gone afterwards', async () => {
    const path = join(folder, `${runtime.name}.sock`);
    const { child, ready } = await serve(['--shards', '2', '--listen', `unix:${path}`], { runtime });
    expect(ready.address).toBe(`unix:${path}`);
    const client = await clientOf(ready.address);
    expect(await Promise.all([client.set('foo', 1), client.set('hello', 2)])).toEqual([true, true]);
    expect([path, `${path}.1`].map((file) => existsSync(file))).toEqual([true, true]);
    await client.close();
    expect(await child.stop('SIGTERM')).toBe(0);
    expect([path, `${path}.1`].map((file) => existsSync(file))).toEqual([false, false]);
  });

  test('tells clients in other folders where a socket is whose path was relative', async () => {
    const name = `relative-${runtime.name}.sock`;
    const { child, ready } = await serve(['--shards', '2', '--listen', `unix:${name}`], { runtime, cwd: folder });
    expect(ready.address).toBe(`unix:${join(folder, name)}`);
    const client = await clientOf(ready.address);
    expect(await Promise.all([client.set('foo', 1), client.set('hello', 2)])).toEqual([true, true]);
    await client.close();
    expect(await child.stop('SIGTERM')).toBe(0);
  });

  test('listens at ports side by side, or at none when one is taken', async () => {
    const [low, high] = await portsSideBySide();
    const taken = createServer().listen(high, '127.0.0.1');
    await once(taken, 'listening');
    const outcome = await run(['serve', '--shards', '2', '--listen', `tcp://127.0.0.1:${low}`], { runtime });
    expect(outcome).toMatchObject({ code: 1, stdout: '' });
    expect(outcome.stderr).toMatch(new RegExp(`^ringkv: .*127\\.0\\.0\\.1:${high}.*in use.*\n$`));
    taken.close();
    await once(taken, 'close');
    const { ready } = await serve(['--shards', '2', '--listen', `tcp://127.0.0.1:${low}`], { runtime });
    const client = await clientOf(ready.address);
    expect((await client.hello()).shards.map(([, , url]) => url)).toEqual([
      `tcp://127.0.0.1:${low}`,
      `tcp://127.0.0.1:${high}`,
    ]);
  });
});

const uring = createUringTransport().availability();
const mortalCells = runtimes().flatMap((runtime) =>
  [runtime.name, 'uring' as const].map((transport) => ({ runtime, name: runtime.name, transport })),
);

describe.each(mortalCells)('shards that die, over $transport on $name', ({ runtime, transport }) => {
  if (transport === 'uring' && !uring.available) {
    test.skip(`io_uring ${uring.reason}`, () => {});
    return;
  }

  async function start(
    ...data: string[]
  ): Promise<{ child: Child; addresses: string[]; tell: (what: string) => Promise<string> }> {
    const socket = join(folder, `${runtime.name}-${transport}-${children.length}-${Math.random()}`);
    const app = 'test/support/shards-app.mjs';
    const child = startChild(runtime, app, [transport, ...data], { env: { RINGKV_TEST_SOCKET: socket } });
    children.push(child);
    const [, addresses] = await child.waitForLine(/^addresses (.*)$/);
    return {
      child,
      addresses: addresses!.split(' '),
      /** Tells the second shard what to do, and resolves to what it says to that until it is gone. */
      async tell(what) {
        const peer = connectSocket(`${socket}.1`);
        peer.on('error', () => {});
        peer.write(what);
        const [first] = await Promise.race([once(peer, 'data'), once(peer, 'close')]);
        return String(first);
      },
    };
  }

  test('are started again, empty and at the same address, while the others go on', async () => {
    const { child, addresses, tell } = await start();
    const client = await clientOf(addresses[0]!);
    const first = await WireClient.dial(addresses[0]!);
    const deaths = [
      ['throw', /told to die$/],
      ['reject', /told to reject$/],
      ['exit', /the thread has ended with 3$/],
    ] as const;
    for (const [i, [how, why]] of deaths.entries()) {
      expect(await client.batch().set('hello', i).set('foo', i).send()).toEqual([true, true]);
      const second = await WireClient.dial(addresses[1]!);
      await tell(how);
      // Its connections end, those of the other shard don't.
      await Promise.race([second.peer.ended, second.peer.closed]);
      await second.close();
      expect(await first.call([Op.GET, 'hello'])).toEqual([i]);
      const [, report] = await child.waitForLine(new RegExp(`^report (.*: ${why.source})`));
      expect(report).toMatch(`shard 1 at ${addresses[1]} has died and is started again, empty, in `);
      expect(await client.get('foo')).toBe(undefined);
      expect(await client.get('hello')).toBe(i);
      const again = await WireClient.dial(addresses[1]!);
      expect(await again.call([Op.COUNT], [Op.GET, 'hello'])).toEqual([
        0,
        { error: 'MOVED', message: `866 ${addresses[0]}` },
      ]);
      await again.close();
    }
    expect(child.lines.filter((line) => line.startsWith('report'))).toHaveLength(deaths.length);
    expect(await client.info()).toMatchObject({ shards: 2, keys: 1 });
    process.kill(child.pid, 'SIGINT');
    const [, info] = await child.waitForLine(/^info (.*)$/);
    expect(JSON.parse(info!)).toMatchObject({ shards: 2, keys: 1 });
    await first.close();
    await client.close();
    expect(await child.stop('SIGTERM')).toBe(0);
    expect(child.lines.at(-1)).toBe('closed');
  });

  // What carries the bytes makes no difference to the log but where it is a ring; on one runtime both are tested.
  if (transport === 'uring' || runtime.name === 'node') {
    test('with all that they have acknowledged, if they have a log', async () => {
      const { child, addresses, tell } = await start(join(folder, `data-${runtime.name}-${transport}`));
      const client = await clientOf(addresses[0]!);
      expect(await client.set('hello', 'the other shard goes on')).toBe(true);
      let value = 0;
      for (const how of ['throw', 'exit']) {
        const counting = await Counting.start(addresses[1]!, 'foo', value, 8);
        await counting.reached(value + 200);
        await tell(how);
        await counting.over;
        // It is started again meanwhile.
        value = (await client.get<number>('foo'))!;
        expect(value).toBeGreaterThanOrEqual(counting.acknowledged);
        expect(value).toBeLessThanOrEqual(counting.sent);
      }
      expect(await client.get('hello')).toBe('the other shard goes on');
      const report = expect.stringContaining('has died and is started again, from its log, in ');
      await expect.poll(() => child.lines.filter((line) => line.startsWith('report'))).toEqual([report, report]);
      await client.close();
      expect(await child.stop('SIGTERM')).toBe(0);
    });
  }

  test('and those that hang are ended when the server is', async () => {
    const { child, addresses, tell } = await start();
    expect(await tell('hang')).toBe('hanging');
    const first = await WireClient.dial(addresses[0]!);
    expect(await first.call([Op.SET, 'hello', 1])).toEqual([true]);
    // Figures are given without it.
    process.kill(child.pid, 'SIGINT');
    const [, info] = await child.waitForLine(/^info (.*)$/);
    expect(JSON.parse(info!)).toMatchObject({ shards: 2, keys: 1, connections: 1 });
    await first.close();
    expect(await child.stop('SIGTERM')).toBe(0);
    expect(child.lines.filter((line) => line.startsWith('report'))).toEqual([]);
  });

  // Deno leaves a thread that hangs to itself, with the ports of its own sockets, until the process ends.
  const ways = ['hang', 'deaf'].filter((way) => !(runtime.name === 'deno' && transport === 'deno' && way === 'hang'));
  test.skipIf(process.platform !== 'linux').each(ways)('nothing is left of them then: %s', async (way) => {
    const { child, addresses, tell } = await start();
    expect(await tell(way)).toMatch(way);
    process.kill(child.pid, 'SIGUSR2');
    const [, held] = await child.waitForLine(/^held (.*)$/);
    const { before, after } = JSON.parse(held!);
    expect(after).toEqual(runtime.name === 'deno' ? { ...before, eventfds: after.eventfds } : before);
    for (const address of addresses) await untilRefused(address);
    expect(await child.stop('SIGTERM')).toBe(0);
  });

  test('and of those that die while they are closed the close tells', async () => {
    const { child, tell } = await start();
    expect(await tell('mortal')).toBe('mortal');
    process.kill(child.pid, 'SIGTERM');
    await child.waitForLine(/^shard 1 has died while it was closed: told to die at the end$/);
    expect(await child.exit).toBe(1);
  });

  test('nor do those keep the process from ending at once', async () => {
    const { child, tell } = await start();
    expect(await tell('hang')).toBe('hanging');
    expect(await child.stop('SIGHUP')).toBe(7);
  });
});

/** Resolves once nobody accepts connections at the address any more: the kernel frees a ring a moment after it is closed. */
async function untilRefused(address: string): Promise<void> {
  const { hostname, port } = new URL(address);
  for (;;) {
    const socket = connectSocket({ host: hostname, port: Number(port) });
    const refusal = new Promise<string | undefined>((resolve) => {
      socket.once('connect', () => resolve(undefined));
      socket.once('error', ({ code }: NodeJS.ErrnoException) => resolve(code));
    });
    if ((await refusal) === 'ECONNREFUSED') return;
    // Who has accepted it may reset it still.
    socket.on('error', () => {}).destroy();
  }
}

/** Two free ports of loopback, the second one higher than the first. */
async function portsSideBySide(): Promise<[low: number, high: number]> {
  for (;;) {
    const low = createServer().listen(0, '127.0.0.1');
    await once(low, 'listening');
    const { port } = low.address() as { port: number };
    const high = createServer().listen(port + 1, '127.0.0.1');
    const isFree = await once(high, 'listening').then(
      () => true,
      () => false,
    );
    await Promise.all([low, high].map((server) => new Promise((resolve) => server.close(resolve))));
    if (isFree) return [port, port + 1];
  }
}
