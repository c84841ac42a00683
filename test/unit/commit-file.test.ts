/** What a shard's commits ask of a ring: to make durable what has to be, and no more. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { DirectoryDisk } from '../../runtime/disk/directory.ts';
import { RingCommitFile } from '../../runtime/log/commit-file.ts';
import type { Durable, FileWriter } from '../../transports/transport.ts';

const folder = mkdtempSync(join(tmpdir(), 'ringkv-commit-'));
afterAll(() => rmSync(folder, { recursive: true }));

class Recorder implements FileWriter {
  isOpen = true;
  readonly asked: { bytes: string; durable: Durable }[] = [];

  write(_descriptor: number, _offset: number, bytes: Uint8Array, durable: Durable, done: () => void): void {
    this.asked.push({ bytes: String(Buffer.from(bytes)), durable });
    done();
  }
}

function open(name: string, files: FileWriter): RingCommitFile {
  writeFileSync(join(folder, name), '');
  return new RingCommitFile(new DirectoryDisk(folder).openForCommits(name), () => files);
}

function commit(file: RingCommitFile, offset: number, text: string, sync: boolean): Promise<void> {
  return new Promise((resolve, reject) => {
    file.commit(offset, Buffer.from(text), sync, (error) => (error === undefined ? resolve() : reject(error)));
  });
}

test('where every write is synced, each makes durable its own bytes', async () => {
  const files = new Recorder();
  const file = open('always', files);
  await commit(file, 0, 'one', true);
  await commit(file, 3, 'two', true);
  expect(files.asked).toEqual([
    { bytes: 'one', durable: 'write' },
    { bytes: 'two', durable: 'write' },
  ]);
  file.close();
});

test('after one that was not, a sync is for all of the file', async () => {
  const files = new Recorder();
  const file = open('everysec', files);
  await commit(file, 0, 'one', false);
  expect(readFileSync(join(folder, 'everysec'), 'utf8')).toBe('one');
  await commit(file, 3, 'two', true);
  await commit(file, 3, '', true);
  expect(files.asked).toEqual([
    { bytes: 'two', durable: 'file' },
    { bytes: '', durable: 'file' },
  ]);
  file.close();
});

test('a sync that comes alone is for all of the file, and without a ring the file is written where it is', async () => {
  const files = new Recorder();
  const file = open('closed', files);
  await commit(file, 0, '', true);
  files.isOpen = false;
  await commit(file, 0, 'one', true);
  expect(files.asked).toEqual([{ bytes: '', durable: 'file' }]);
  expect(readFileSync(join(folder, 'closed'), 'utf8')).toBe('one');
  file.close();
});
