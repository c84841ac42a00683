/**
 * What was acknowledged is there again: servers on real files, killed in the middle of their work, on every runtime and
 * transport and under every policy. `RINGKV_KILL_ROUNDS` says how many rounds there are in all, 20 by default.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, test } from 'vitest';
import { FSYNC_POLICIES } from '../../core/log/committer.ts';
import { Op } from '../../core/protocol.ts';
import { startServer } from '../../runtime/server.ts';
import { describeCells } from '../support/cells.ts';
import { type Child, root, runtimes, startChild } from '../support/children.ts';
import { type RunOptions, run, type ServerChild, startServe } from '../support/command.ts';
import { Counting, Setting, temporaryDirectory } from '../support/data.ts';
import { request, WireClient } from '../support/wire.ts';

const ROUNDS = Number(process.env.RINGKV_KILL_ROUNDS ?? 20);

/** So many cells are tested, where all can run; the rounds are divided over them. */
const CELLS = 11;

/** Small segments, which a start has written soon. */
const SMALL_LOG = ['--max-log', '4m'];

/** So small that a round goes through several segments, and through a snapshot in the long ones. */
const TINY_LOG = ['--max-log', '1m'];

const folder = temporaryDirectory();

const children: Child[] = [];
afterEach(async () => {
  await Promise.all(children.splice(0).map((child) => child.stop('SIGKILL')));
});

function snapshotsIn(data: string): string[] {
  return readdirSync(data, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.snapshot'));
}

async function serve(args: readonly string[], options: RunOptions = {}): Promise<ServerChild> {
  const server = await startServe(args.includes('--max-log') ? args : [...SMALL_LOG, ...args], options);
  children.push(server.child);
  return server;
}

describe('killed at a random moment', () => {
  let cells = 0;
  describeCells(({ runtime, transport, kinds }) => {
    const cell = cells++;
    const rounds = Math.ceil(ROUNDS / CELLS);
    test(`nothing that was acknowledged is lost, in ${rounds} rounds`, { timeout: 60_000 * rounds }, async () => {
      const data = join(folder, `kill-${cell}`);
      const listen = kinds.includes('ws') ? ['--listen', 'ws://127.0.0.1:0'] : [];
      const start = (round: number): Promise<ServerChild> => {
        const policy = FSYNC_POLICIES[(cell + round) % FSYNC_POLICIES.length]!;
        return serve(['--transport', transport, '--data', data, '--fsync', policy, ...TINY_LOG, ...listen], {
          runtime,
        });
      };
      let bounds = ['a', 'b', 'c'].map((key) => ({ key, acknowledged: 0, sent: 0 }));
      for (let round = 0; round <= rounds; round++) {
        const { child, ready } = await start(round);
        const client = await WireClient.dial(ready.address);
        const results = await client.call(...bounds.map(({ key }) => [Op.GET, key]));
        const values = results.map((result) => (result ?? 0) as number);
        for (const [i, { key, acknowledged, sent }] of bounds.entries()) {
          const where = `${key} in round ${round}, acknowledged ${acknowledged}, sent ${sent}`;
          expect(values[i], where).toBeGreaterThanOrEqual(acknowledged);
          expect(values[i], where).toBeLessThanOrEqual(sent);
        }
        await client.close();
        if (round === rounds) break;
        const counting = await Promise.all(
          bounds.map(({ key }, i) => Counting.start(ready.address, key, values[i]!, 1 + 4 * i)),
        );
        await counting[0]!.reached(values[0]! + 1 + Math.floor(Math.random() * 600));
        await child.stop('SIGKILL');
        await Promise.all(counting.map(({ over }) => over));
        bounds = counting;
      }
    });
  });
});

describe('a server with data', () => {
  test('says so in its ready line, and has everything after an orderly end, on another runtime as well', async () => {
    const data = join(folder, 'orderly');
    const first = await serve(['--data', data, '--fsync', 'always']);
    expect(first.ready).toMatchObject({ data, fsync: 'always' });
    const client = await WireClient.dial(first.ready.address);
    expect(
      await client.call([Op.SET, 'k', [1, 'two']], [Op.SET, 't', 1, 3_600_000], [Op.DEL, 'k'], [Op.SET, 'l', 2]),
    ).toEqual([true, true, true, true]);
    await client.close();
    expect(await first.child.stop('SIGTERM')).toBe(0);
    const second = await serve(['--data', data]);
    expect(second.ready.fsync).toBe('everysec');
    const again = await WireClient.dial(second.ready.address);
    const [k, l, ttl] = await again.call([Op.GET, 'k'], [Op.GET, 'l'], [Op.TTL, 't']);
    expect([k, l]).toEqual([null, 2]);
    expect(ttl).toBeGreaterThan(3_000_000);
    expect(ttl).toBeLessThan(3_600_000);
    const [info] = (await again.call([Op.INFO])) as [Record<string, unknown>];
    expect(info).toMatchObject({ logPolicy: 'everysec', logState: 'writable', tornRecords: 0 });
    expect(info.recoveredRecords).toBeGreaterThan(0);
    await again.close();
  });

  // It once went on executing what they sent until the time of grace was over, and then dropped replies.
  test.each(['auto', 'node'])(
    'ends soon though clients write without a pause, by the transport %s',
    async (transport) => {
      const data = join(folder, `busy-${transport}`);
      const where = ['--data', data, '--fsync', 'always', '--transport', transport];
      // Those that a sync answers write while the next one is under way.
      const command = [process.execPath, '--import', join(root, 'test/support/slow-syncs.mjs')];
      const { child, ready } = await serve(where, { runtime: { name: 'node', command } });
      const clients = await Promise.all(['a', 'b', 'c', 'd'].map((name) => Setting.start(ready.address, name)));
      await Promise.all(clients.map((client) => client.reached(50)));
      const askedMs = performance.now();
      expect(await child.stop('SIGTERM')).toBe(0);
      expect(performance.now() - askedMs).toBeLessThan(2500);
      await Promise.all(clients.map(({ over }) => over));
      const again = await serve(where);
      const client = await WireClient.dial(again.ready.address);
      for (const { name, acknowledged } of clients) {
        const gets = Array.from({ length: acknowledged }, (_, i) => [Op.GET, `${name}:${i}`]);
        expect(await client.call(...gets)).toEqual(gets.map((_, i) => i));
      }
      await client.close();
      expect(await again.child.stop()).toBe(0);
    },
  );

  test('and several shards has it in one directory for each, and refuses another number of them', async () => {
    const data = join(folder, 'shards');
    const first = await serve(['--data', data, '--shards', '3']);
    const client = await WireClient.dial(first.ready.address);
    await client.call([Op.SET, '{b}', 1], [Op.SET, '{c}', 1]);
    await client.close();
    expect(await first.child.stop('SIGTERM')).toBe(0);
    expect(readdirSync(data).filter((name) => name.startsWith('slots-')).length).toBe(3);
    const { code, stderr } = await run(['serve', '--data', data, '--listen', 'tcp://127.0.0.1:0', ...SMALL_LOG]);
    expect(code).toBe(1);
    expect(stderr).toMatch(/3 shards.*--shards 3/);
  });

  test.each(runtimes())('keeps a second one off, which names its process id, on $name', async (runtime) => {
    const data = join(folder, `second-${runtime.name}`);
    const where = ['--data', data, '--transport', runtime.name];
    const { child, ready } = await serve(where, { runtime });
    const second = await run(['serve', ...where, '--listen', 'tcp://127.0.0.1:0', ...SMALL_LOG], { runtime });
    expect(second).toEqual({
      code: 1,
      stdout: '',
      stderr: `ringkv: ${data} is in use by the server with process id ${child.pid}\n`,
    });
    const client = await WireClient.dial(ready.address);
    expect(await client.call([Op.SET, 'k', 1])).toEqual([true]);
    await client.close();
    expect(await child.stop()).toBe(0);
  });

  test.each(runtimes())(
    'ends at once at a second SIGTERM, with all that was acknowledged, on $name',
    async (runtime) => {
      const data = join(folder, `twice-${runtime.name}`);
      const { child, ready } = await serve(['--data', data], { runtime });
      const client = await WireClient.dial(ready.address);
      expect(await client.call([Op.SET, 'k', Buffer.alloc(8_000_000, 'x')])).toEqual([true]);
      // Who never takes its reply is waited for, after the first.
      client.peer.pause();
      client.peer.write(request([Op.GET, 'k']));
      const asking = setInterval(() => void child.stop('SIGTERM'), 100);
      expect(await child.exit).toBe(128 + constants.signals.SIGTERM);
      clearInterval(asking);
      await client.close();
      const again = await serve(['--data', data], { runtime });
      const reader = await WireClient.dial(again.ready.address);
      expect(await reader.call([Op.HAS, 'k'])).toEqual([true]);
      await reader.close();
    },
  );

  test('without it is a cache, and says so', async () => {
    const { child, ready } = await serve([]);
    expect(ready.data).toBe(undefined);
    expect(child.lines.at(-1)).toMatch(/ data=none$/);
    expect(child.stderr).toMatch(/is a cache here/);
  });

  test('makes a snapshot when the log has grown, and has all of it afterwards, also without the log', async () => {
    const data = join(folder, 'compaction');
    const { child, ready } = await serve(['--data', data, '--fsync', 'no', '--max-log', '1m']);
    const client = await WireClient.dial(ready.address);
    const value = 'x'.repeat(1000);
    let info: Record<string, number> = {};
    // What is written while a snapshot is made does not count towards the next one: a slow disk may take long for it.
    let counted = 0;
    for (let i = 0; counted < 100_000 && !(info.snapshots! >= 2); i += 100) {
      const sets = Array.from({ length: 100 }, (_, j) => [Op.SET, `key-${(i + j) % 3000}`, `${value}${i + j}`]);
      await client.call(...sets, [Op.SET, 'last', i]);
      [info] = (await client.call([Op.INFO])) as [Record<string, number>];
      if (info.snapshotIsRunning === 0) counted += 100;
    }
    expect(info.snapshots).toBeGreaterThanOrEqual(2);
    const [last, count] = await client.call([Op.GET, 'last'], [Op.COUNT]);
    await client.close();
    await child.stop('SIGKILL');
    const again = await serve(['--data', data]);
    const reader = await WireClient.dial(again.ready.address);
    expect(await reader.call([Op.GET, 'last'], [Op.COUNT])).toEqual([last, count]);
    await reader.close();
  });

  test('makes one when "ringkv snapshot" asks for it', async () => {
    const data = join(folder, 'signal');
    const { child, ready } = await serve(['--data', data, '--shards', '2']);
    const client = await WireClient.dial(ready.address);
    await client.call([Op.SET, '{b}', 1], [Op.SET, '{c}', 1], [Op.SET, '{d}', 1]);
    const asked = await run(['snapshot', '--data', data]);
    expect(asked).toMatchObject({ code: 0, stderr: '' });
    expect(asked.stdout).toContain(`process id ${child.pid}`);
    while (snapshotsIn(data).length === 0) await client.call([Op.INFO]);
    await client.close();
    await child.stop();
    const nobody = await run(['snapshot', '--data', data]);
    expect(nobody).toMatchObject({ code: 1, stderr: `ringkv: no server of this machine uses ${data}\n` });
    const unreadable = await run(['snapshot', '--data', '/dev/null']);
    expect(unreadable).toMatchObject({ code: 1, stderr: expect.stringMatching(/^ringkv: can't ask .*ENOTDIR.*\n$/) });
  });

  test.each(runtimes())('a wish that comes while $name starts is kept until it serves', async (runtime) => {
    const data = join(folder, `early-${runtime.name}`);
    const first = await serve(['--data', data], { runtime });
    const client = await WireClient.dial(first.ready.address);
    await client.call([Op.SET, 'k', 1]);
    await client.close();
    await first.child.stop('SIGKILL');
    const child = startChild(runtime, 'dist/ringkv.js', ['serve', '--listen', 'tcp://127.0.0.1:0', '--data', data]);
    children.push(child);
    const ready = child.waitForLine(/ ready /);
    let isOver = false;
    void ready
      .catch(() => {})
      .finally(() => {
        isOver = true;
      });
    // Before that nobody knows its process id.
    const isLocked = (): boolean => readFileSync(join(data, 'lock'), 'utf8').includes(`"pid":${child.pid},`);
    while (!isOver) {
      if (isLocked()) process.kill(child.pid, 'SIGUSR2');
      await sleep(1);
    }
    await ready;
    await expect.poll(() => snapshotsIn(data), { timeout: 5000 }).toHaveLength(1);
    expect(await child.stop()).toBe(0);
  });

  test.skipIf(!runtimes().some(({ name }) => name === 'bun'))(
    'makes one by SIGUSR2 to who has started it under another runtime',
    async () => {
      const data = join(folder, 'relaunched');
      const { child, ready } = await serve(['--runtime', 'bun', '--data', data]);
      expect(ready.pid).not.toBe(child.pid);
      const client = await WireClient.dial(ready.address);
      await client.call([Op.SET, 'k', 1]);
      process.kill(child.pid, 'SIGUSR2');
      await expect.poll(() => snapshotsIn(data), { timeout: 5000 }).toHaveLength(1);
      await client.close();
      expect(await child.stop()).toBe(0);
    },
  );

  test('asks no program for one that would end by it, though it has the directory', async () => {
    const data = join(folder, 'embedded');
    await using _ = await startServer({ listen: 'tcp://127.0.0.1:0', data, transport: 'node' });
    const refused = await run(['snapshot', '--data', data]);
    expect(refused.code).toBe(1);
    expect(refused.stderr).toMatch(/^ringkv: process \d+ uses .* calls its snapshot\(\)\n$/);
  });
});
