/** The data directory: who may have it, and what it must hold. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { decodeManifest, encodeManifest, ManifestError } from '../../core/log/manifest.ts';
import { divideSlots } from '../../core/slots.ts';
import { openDataDirectory, openExistingDirectory, shardDirectory } from '../../runtime/disk/data-directory.ts';
import { DirectoryLockedError, lockDirectory } from '../../runtime/disk/lock.ts';
import { showPresence } from '../../runtime/disk/presence.ts';

const SEGMENT_BYTES = 8192;

let directory: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'ringkv-data-'));
});

afterEach(() => rm(directory, { recursive: true }));

test('a directory has a log for each shard, and opens again for as many', async () => {
  const shards = divideSlots(2);
  const path = join(directory, 'new', 'data');
  const first = await openDataDirectory(path, shards, SEGMENT_BYTES);
  for (const slots of shards) expect(await readdir(shardDirectory(path, slots))).toEqual(['000000000001.log']);
  await first.lock.release();
  await (await openDataDirectory(path, shards, SEGMENT_BYTES)).lock.release();
  const existing = await openExistingDirectory(path);
  expect(existing.shards).toEqual(shards);
  await existing.lock.release();
  await expect(openDataDirectory(path, divideSlots(1))).rejects.toThrow('start with --shards 2');
  // A refusal does not keep the lock.
  await (await openExistingDirectory(path)).lock.release();
});

test('a first start that was interrupted is begun again', async () => {
  const shards = divideSlots(1);
  const log = shardDirectory(directory, shards[0]!);
  await mkdir(log);
  // As the zeros of the first segment were being written.
  await writeFile(join(log, '000000000001.spare'), new Uint8Array(100));
  for (let start = 0; start < 2; start++) {
    await (await openDataDirectory(directory, shards, SEGMENT_BYTES)).lock.release();
    expect(await readdir(log)).toEqual(['000000000001.log']);
  }
});

test('a log that is gone is missed', async () => {
  const shards = divideSlots(2);
  await (await openDataDirectory(directory, shards, SEGMENT_BYTES)).lock.release();
  await rm(shardDirectory(directory, shards[1]!), { recursive: true });
  await expect(openExistingDirectory(directory)).rejects.toThrow(ManifestError);
});

test('where there can be no directory, it says so', async () => {
  const file = join(directory, 'file');
  await writeFile(file, '');
  await symlink(join(directory, 'nowhere'), join(directory, 'dangling'));
  const dangling = join(directory, 'dangling');
  for (const [path, message] of [
    [file, `${file} is no directory`],
    [join(file, 'data'), 'ENOTDIR'],
    [dangling, `${dangling} is no directory`],
    [join(dangling, 'data'), `${dangling} is no directory`],
    // A directory that takes nothing: with `recursive`, Node 20 tried without end.
    ['/proc/data', 'ENOENT'],
    ['/proc/self/data/more', 'ENOENT'],
  ] as const) {
    await expect(openDataDirectory(path, divideSlots(1)), path).rejects.toThrow(message);
  }
});

test('what is no data directory is none', async () => {
  await expect(openExistingDirectory(directory)).rejects.toThrow('no data directory');
});

test('a manifest is read as it was written, and anything else refused', () => {
  const shards = divideSlots(3);
  const text = encodeManifest({ shards });
  expect(decodeManifest(text, 'manifest')).toEqual({ shards });
  const others = ['', 'null', '[]', '{"version":2}', text.replace('"version":2', '"version":1')];
  for (const other of [...others, text.replace('5461', '5462'), text.slice(0, -2), text.replace('16383', '9')]) {
    expect(() => decodeManifest(other, 'manifest'), other).toThrow(ManifestError);
  }
});

test('a second one is told who has it', async () => {
  const lock = await lockDirectory(directory);
  await expect(lockDirectory(directory)).rejects.toThrow(`in use by the server with process id ${process.pid}`);
  await expect(lockDirectory(directory)).rejects.toThrow(DirectoryLockedError);
  await lock.release();
  await lock.release();
  await (await lockDirectory(directory)).release();
  expect(await readdir(directory)).toEqual([]);
});

// Two who both removed a stale second lock once took the first from each other.
const stale = [[], ['lock'], ['lock', 'lock.next'], ['lock', 'lock.next', 'lock.next.next']];
test.each(stale)('of many at once, one gets it; after those that are gone, who left: %s', async (...files) => {
  for (const file of files) await writeFile(join(directory, file), holder({ boot: 'an earlier run of the machine' }));
  const attempts = await Promise.allSettled(Array.from({ length: 20 }, () => lockDirectory(directory)));
  const locks = attempts.filter((attempt) => attempt.status === 'fulfilled');
  expect(locks.length).toBe(1);
  await locks[0]!.value.release();
  expect(await readdir(directory)).toEqual([]);
});

test('the lock of a process that is gone is taken over, and one whose id belongs to another now', async () => {
  const child = spawn(process.execPath, ['-e', '']);
  await once(child, 'exit');
  const gone = [holder({ pid: child.pid! }), holder({ started: '1' }), holder({ boot: 'other' })];
  for (const text of gone) {
    await writeFile(join(directory, 'lock'), text);
    const lock = await lockDirectory(directory);
    expect(JSON.parse(await readFile(join(directory, 'lock'), 'utf8')).pid).toBe(process.pid);
    await lock.release();
  }
});

// Found by `bench durability --power-loss`: the name of the lock was durable, and what was in it was not.
test.each(['', '\0'.repeat(200)])(
  "a lock that has lost its content with the power is nobody's: %j",
  async (content) => {
    await writeFile(join(directory, 'lock'), content);
    const lock = await lockDirectory(directory);
    await expect(lockDirectory(directory)).rejects.toThrow(`process id ${process.pid}`);
    await lock.release();
  },
);

test('who listens on the socket of a lock lives, whatever can be seen of processes here', async () => {
  const boot = (await readFile('/proc/sys/kernel/random/boot_id', 'utf8').catch(() => '')).trim();
  const elsewhere = holder({ boot, namespace: 'another', host: 'a-container', token: 'abc' });
  const presence = (await showPresence(join(directory, 'lock.abc')))!;
  await writeFile(join(directory, 'lock'), elsewhere);
  await expect(lockDirectory(directory)).rejects.toThrow(
    'in use by the server with process id 1 in another container, whose host name is a-container',
  );
  await presence.end();
  // Nothing is known of one that has no socket.
  await expect(lockDirectory(directory)).rejects.toThrow('in use by process 1 on a-container, or was: remove');
  expect(await readdir(directory)).toEqual(['lock']);
});

test('where there can be no socket, processes that see each other still keep each other out', async () => {
  const deep = join(directory, 'd'.repeat(100));
  await mkdir(deep);
  const lock = await lockDirectory(deep);
  expect(await readdir(deep)).toEqual(['lock']);
  await expect(lockDirectory(deep)).rejects.toThrow(`process id ${process.pid}`);
  await lock.release();
});

test('the lock of another machine is left alone, and so is what is none', async () => {
  await writeFile(join(directory, 'lock'), holder({ host: 'elsewhere', boot: 'other' }));
  await expect(lockDirectory(directory)).rejects.toThrow('process 1 on elsewhere');
  await writeFile(join(directory, 'lock'), holder({ token: '../lock' }));
  await expect(lockDirectory(directory)).rejects.toThrow('no lock of ringkv');
  await writeFile(join(directory, 'lock'), 'anything');
  await expect(lockDirectory(directory)).rejects.toThrow('no lock of ringkv');
});

// Two on one file system took the directory from each other.
test('the lock of another machine that has the same name is left alone, but not that of an earlier run of this one', async ({
  skip,
}) => {
  const machine = (await readFile('/etc/machine-id', 'utf8').catch(() => '')).trim();
  if (!/^[0-9a-f]{32}$/.test(machine)) skip('this machine has no id');
  const other = machine.replace(/^./, (digit) => (digit === '0' ? '1' : '0'));
  await writeFile(join(directory, 'lock'), holder({ machine: other, boot: 'other' }));
  await expect(lockDirectory(directory)).rejects.toThrow(
    `in use by process 1 on another machine that is called ${hostname()}, too, or was: remove ${join(directory, 'lock')}`,
  );
  for (const own of [machine, '']) {
    await writeFile(join(directory, 'lock'), holder({ machine: own, boot: 'other' }));
    await (await lockDirectory(directory)).release();
  }
});

function holder(fields: Record<string, unknown>): string {
  const none = { machine: '', boot: '', namespace: '', started: '', token: '' };
  return JSON.stringify({ pid: 1, host: hostname(), ...none, ...fields });
}
