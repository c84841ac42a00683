/** What can go wrong in a server of several shards beside the shards themselves: their threads' starts. */
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { connect as connectSocket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterAll, afterEach, beforeEach, expect, test, vi } from 'vitest';
import { ALL_SLOTS } from '../../core/slots.ts';
import { type Client, connect } from '../../runtime/client.ts';
import { shardDirectory } from '../../runtime/disk/data-directory.ts';
import { ShardThread } from '../../runtime/shard-thread.ts';
import { Supervisor, type SupervisorOptions } from '../../runtime/supervisor.ts';
import { createUringTransport } from '../../transports/uring.ts';
import { root } from '../support/children.ts';

const shardScript = join(root, 'dist/runtime/shard-worker.js');
const mortalScript = join(root, 'test/support/mortal-shard.mjs');

const uring = createUringTransport().availability();

const folder = mkdtempSync(join(tmpdir(), 'ringkv-supervisor-'));
const orders = join(folder, 'orders');
let opened: { close(graceMs: number): Promise<void> }[] = [];
beforeEach(() => vi.stubEnv('RINGKV_TEST_SOCKET', orders));
afterEach(async () => {
  vi.unstubAllEnvs();
  vi.restoreAllMocks();
  await Promise.all(opened.splice(0).map((one) => one.close(0)));
});
afterAll(() => rmSync(folder, { recursive: true }));

const options = {
  listen: 'tcp://127.0.0.1:0',
  transport: 'node',
  engine: 'map',
  shards: 2,
  script: mortalScript,
  report() {},
} satisfies SupervisorOptions;

async function start(options: SupervisorOptions): Promise<{ supervisor: Supervisor; client: Client }> {
  const supervisor = await Supervisor.start(options);
  const client = await connect({ address: supervisor.addresses[0]!, timeoutMs: 30_000 });
  opened = [{ close: () => client.close() }, supervisor];
  return { supervisor, client };
}

const isOfThread = (resource: string): boolean => resource === 'MessagePort';

/** Lets the second shard die. */
async function kill(): Promise<void> {
  const peer = connectSocket(`${orders}.1`);
  peer.on('error', () => {});
  peer.write('throw');
  await once(peer, 'close');
}

/** Tells the second shard something that it answers. */
async function tell(what: string): Promise<void> {
  const peer = connectSocket(`${orders}.1`);
  peer.on('error', () => {});
  peer.write(what);
  await once(peer, 'data');
  peer.destroy();
}

function startThread(): ShardThread {
  const settings = { listen: options.listen, transport: 'node', engine: 'map' } as const;
  const thread = new ShardThread(shardScript, 'shard', settings, { report() {} });
  opened = [thread];
  return thread;
}

test('a thread that can not even be started again has died once more', async () => {
  const scripts = [mortalScript, mortalScript, 'of no place', mortalScript];
  const reports: string[] = [];
  const { client } = await start({
    ...options,
    get script() {
      return scripts.shift()!;
    },
    report: (line) => void reports.push(line),
  });
  await client.set('foo', 1);
  await kill();
  expect(await client.get('foo')).toBe(undefined);
  expect(reports).toEqual([
    expect.stringMatching(/again, empty, in 50 ms: told to die$/),
    expect.stringMatching(/again, empty, in 100 ms: .*of no place/),
  ]);
});

test('when one can not be started, the start fails with the reason, and none is left', async () => {
  const scripts = [mortalScript, 'of no place'];
  const before = process.getActiveResourcesInfo().filter(isOfThread);
  const started = Supervisor.start({
    ...options,
    get script() {
      return scripts.shift()!;
    },
  });
  await expect(started).rejects.toThrow('of no place');
  expect(process.getActiveResourcesInfo().filter(isOfThread)).toEqual(before);
});

test('a thread keeps nothing of the answers that it gave', async () => {
  setFlagsFromString('--expose-gc');
  const collectGarbage = runInNewContext('gc') as () => void;
  const thread = startThread();
  await thread.listening;
  const answers: WeakRef<object>[] = [];
  for (let i = 0; i < 10; i++) answers.push(new WeakRef((await thread.info())!));
  // What a WeakRef was made of is kept until the job is over.
  await setImmediate();
  collectGarbage();
  // The last one may still be in a register of its message's.
  expect(answers.slice(0, -1).filter((answer) => answer.deref() !== undefined)).toEqual([]);
});

test('a thread is not ended while its log is being made durable', async () => {
  // It once was, one second after the time of grace, and the server said that it had ended in order.
  const synced = join(folder, 'synced');
  const lines: string[] = [];
  vi.stubEnv('RINGKV_TEST_SYNCED', synced);
  vi.stubEnv('RINGKV_TEST_SYNC_MS', '3000');
  mkdirSync(shardDirectory(folder, ALL_SLOTS));
  const log = { fsync: 'everysec', segmentBytes: 65_536, maxLogBytes: 262_144, snapshotEveryMs: 0 } as const;
  const supervisor = await Supervisor.start({
    ...options,
    shards: 1,
    script: join(root, 'test/support/slow-disk-shard.mjs'),
    log: { ...log, data: folder },
    report: (line) => void lines.push(line),
  });
  await supervisor.close(500);
  expect(existsSync(synced)).toBe(true);
  expect(lines).toEqual([]);
});

// The listener of a ring once waited for its files, and nobody knew that the connections were gone.
test.skipIf(!uring.available)('nor while its ring is making it durable', async () => {
  const synced = join(folder, 'ring-synced');
  const data = mkdtempSync(join(folder, 'ring-'));
  vi.stubEnv('RINGKV_TEST_SYNCED', synced);
  vi.stubEnv('RINGKV_TEST_SYNC_MS', '4000');
  mkdirSync(shardDirectory(data, ALL_SLOTS));
  const log = { fsync: 'always', segmentBytes: 65_536, maxLogBytes: 262_144, snapshotEveryMs: 0 } as const;
  const { supervisor, client } = await start({
    ...options,
    transport: 'uring',
    shards: 1,
    script: join(root, 'test/support/slow-ring-shard.mjs'),
    log: { ...log, data },
  });
  const written = client.set('k', 1);
  written.catch(() => {});
  await expect.poll(() => existsSync(`${synced}.begun`), { timeout: 30_000 }).toBe(true);
  await supervisor.close(500);
  expect(existsSync(synced)).toBe(true);
  await expect(written).rejects.toMatchObject({ code: 'UNKNOWN_OUTCOME' });
});

test('a shard that dies while it is closed is told by the close, which ends the others', async () => {
  const { supervisor } = await start(options);
  await tell('mortal');
  await expect(supervisor.close(60_000)).rejects.toThrow(
    'shard 1 has died while it was closed: told to die at the end',
  );
  opened = [];
});

test('whoever waits for a thread that ends gets an answer, and so does who asks later', async () => {
  const thread = startThread();
  await thread.listening;
  const waiting = [thread.setMap([]), thread.info()];
  await Promise.all([thread.close(0), ...waiting]);
  await thread.ended;
  expect(await Promise.all([thread.info(), thread.setMap([]), thread.close(0)])).toEqual([
    undefined,
    undefined,
    undefined,
  ]);
});
