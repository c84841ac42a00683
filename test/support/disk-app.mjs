// What a test has each runtime do with the disk on real files. Arguments: the directory, and what to do there.

import { Buffer } from 'node:buffer';
import { readFileSync, statSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';

const { DirectoryDisk } = await import('../../dist/runtime/disk/directory.js');

const [directory, task] = process.argv.slice(2);
const disk = new DirectoryDisk(directory);

/** Bytes that tell where in a file they belong. */
function pattern(length, start = 0) {
  return Uint8Array.from({ length }, (_, i) => ((start + i) * 2654435761) >>> 24);
}

function check(condition, what) {
  if (!condition) throw new Error(what);
}

async function code(promise) {
  return promise.then(
    () => 'no error',
    (error) => error.code,
  );
}

function commit(file, offset, bytes, sync) {
  return new Promise((resolve, reject) => {
    let calls = 0;
    file.commit(offset, bytes, sync, (error) => {
      check(++calls === 1, 'done was called twice');
      if (error) reject(error);
      else resolve();
    });
  });
}

const tasks = {
  async checksum() {
    // The check value of ISO 3309 and ITU-T V.42, and a checksum that goes on.
    check(disk.crc32(Buffer.from('123456789')) === 0xcbf43926, 'it is not CRC-32');
    const bytes = pattern(200_000);
    const whole = disk.crc32(bytes);
    for (const cut of [0, 1, 15, 16, 17, 65_536, 199_999]) {
      const joined = disk.crc32(bytes.subarray(cut), disk.crc32(bytes.subarray(0, cut)));
      check(joined === whole, `in two pieces, cut at ${cut}, it is another`);
    }
    // As from WebAssembly's memory, which the engine's bytes lie in.
    const memory = new Uint8Array(new WebAssembly.Memory({ initial: 1 }).buffer);
    memory.set(bytes.subarray(0, 1000), 7);
    check(disk.crc32(memory.subarray(7, 1007)) === disk.crc32(bytes.subarray(0, 1000)), 'a view on memory');
  },

  async files() {
    check((await code(disk.open('missing'))) === 'ENOENT', 'a file that is not there can be opened');
    const file = await disk.open('one', { create: true });
    check((await code(disk.open('one', { create: true }))) === 'EEXIST', 'a file can be made twice');
    const bytes = pattern(3_000_000);
    await file.write(1000, bytes);
    check((await file.size()) === 3_001_000, 'size');
    const read = new Uint8Array(bytes.length + 5);
    check((await file.read(1000, read)) === bytes.length, 'a read at the end tells how much there was');
    check(Buffer.compare(read.subarray(0, bytes.length), bytes) === 0, 'what was written is not what is read');
    check((await file.read(5_000_000, read)) === 0, 'a read behind the end');
    const huge = new Uint8Array(2 ** 31 + 4096);
    check((await file.read(0, huge)) === 3_001_000, 'a read of more than a call of the runtimes takes');
    await file.truncate(2000);
    await file.truncate(4000);
    await file.read(0, read);
    check(
      read.subarray(2000, 4000).every((byte) => byte === 0),
      'what was cut off comes back',
    );
    await file.sync();
    check(statSync(`/proc/self/fd/${file.descriptor}`).size === 4000, 'the descriptor is not that of the system');
    await file.close();
    await disk.rename('one', 'two');
    await disk.syncDirectory();
    symlinkSync('two', join(directory, 'link'));
    check((await disk.list()).sort().join() === 'link,two', 'the names');
    await disk.remove('link');
    await disk.remove('two');
    check((await disk.list()).length === 0, 'a removed file is there');
  },

  async commits() {
    await (await disk.open('segment', { create: true })).close();
    const file = disk.openForCommits('segment');
    // Several without sync while one with sync is under way.
    const synced = commit(file, 0, pattern(100_000), true);
    await commit(file, 100_000, pattern(100_000, 100_000), false);
    await commit(file, 200_000, pattern(50, 200_000), false);
    await synced;
    await commit(file, 0, new Uint8Array(), true);
    file.close();
    const again = await disk.open('segment');
    const read = new Uint8Array(200_050);
    await again.read(0, read);
    check(Buffer.compare(read, pattern(200_050)) === 0, 'what was committed is not what is read');
    await again.close();
  },

  // The directory is on a file system with room for less than this.
  async full() {
    const file = await disk.open('full', { create: true });
    check((await code(file.write(0, pattern(1_000_000)))) === 'ENOSPC', 'a full disk takes more');
    await file.truncate(0);
    await file.close();
    const commits = disk.openForCommits('full');
    check((await code(commit(commits, 0, pattern(1_000_000), true))) === 'ENOSPC', 'a full disk takes a commit');
    commits.close();
    const small = await disk.open('full');
    await small.truncate(0);
    await small.write(0, pattern(1000));
    await small.close();
  },

  async compactions() {
    const { DirectoryKeeper } = await import('../../dist/runtime/log/keeper.js');
    const settings = { directory, engine: 'swiss', slots: { first: 0, last: 16383 }, segmentBytes: 65_536 };
    const keeper = new DirectoryKeeper(settings);
    await keeper.prepare(1);
    const first = await keeper.compact({ sequence: 0, checksum: 0, nextSegment: 1 });
    check((await disk.list()).includes(first.name), 'there is no snapshot');
    // To end a thread that is loading koffi ends a process of Node.
    const libraries = process.platform === 'linux' ? readFileSync('/proc/self/maps', 'utf8') : '';
    check(!libraries.includes('koffi'), 'a compaction calls foreign functions');
    // The next one begins as soon as the first is known to be done, and is ended at any moment.
    for (const delay of [0, 5, 20, 40, 60]) {
      const next = keeper.compact({ sequence: 0, checksum: 0, nextSegment: 2 });
      let isOver = false;
      next.catch(() => {}).finally(() => (isOver = true));
      await new Promise((resolve) => setTimeout(resolve, delay));
      await keeper.stop();
      await new Promise((resolve) => setImmediate(resolve));
      check(isOver, `after ${delay} ms, a compaction goes on though it was stopped`);
    }
  },

  // So many at once that some meet a full queue, or see the end of their connection before its start.
  async presence() {
    const { isPresent, showPresence } = await import('../../dist/runtime/disk/presence.js');
    const path = `${directory}/socket.${process.pid}`;
    const presence = await showPresence(path);
    check(presence !== undefined, 'there can be no socket');
    const answers = await Promise.all(Array.from({ length: 2000 }, () => isPresent(path)));
    check(
      answers.every((answer) => answer === true),
      `a process that lives is taken for ${answers.find((answer) => answer !== true)}`,
    );
    await presence.end();
    check((await isPresent(path)) === undefined, 'a socket that is not there says something');
  },

  // Two servers on one directory.
  async lock() {
    const { lockDirectory } = await import('../../dist/runtime/disk/lock.js');
    await lockDirectory(directory);
    process.stdout.write('locked\n');
    setInterval(() => {}, 1000);
    await new Promise(() => {});
  },
};

await tasks[task]();
process.stdout.write('ok\n');
