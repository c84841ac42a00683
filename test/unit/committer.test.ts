/** What a committer does with the files of a log that has failed. */
import { crc32 } from 'node:zlib';
import { expect, test } from 'vitest';
import { Committer } from '../../core/log/committer.ts';
import { Log, type LogSegment } from '../../core/log/log.ts';

const START = { sequence: 0, checksum: 0 };

/** Commits end when the test says so. */
class Files {
  readonly closed: number[] = [];
  readonly commits: { readonly sync: boolean; readonly done: (error?: Error) => void }[] = [];
  /** With this every commit fails at once. */
  fault: Error | undefined;

  segment(index: number): LogSegment {
    const file = {
      commit: (_offset: number, _bytes: Uint8Array, sync: boolean, done: (error?: Error) => void) => {
        if (this.fault !== undefined) done(this.fault);
        else this.commits.push({ sync, done });
      },
      close: () => this.closed.push(index),
    };
    return { index, salt: new Uint8Array(8).fill(index), sizeBytes: 1024 * 1024, file };
  }
}

/** A turn that changes something. */
function change(committer: Committer): void {
  committer.append(new Uint8Array(10), 1000);
  committer.endTurn();
}

test('each file of a log that has failed is closed once, those of segments that had ended included', () => {
  const files = new Files();
  const log = new Log(files.segment(1), START, crc32);
  const committer = new Committer(log, 'always');
  for (const index of [2, 3]) log.addSegment(files.segment(index));
  for (let segment = 0; segment < 2; segment++) {
    committer.append(new Uint8Array(10), 1000);
    log.endSegment();
  }
  committer.commit();
  files.commits.shift()!.done(new Error('a sync failed'));
  committer.goOn(new Log(files.segment(4), log.position, crc32));
  expect(files.closed.sort()).toEqual([1, 2, 3]);
});

test('a log goes on while a write and a sync are under way on the one before, whose file is closed after both', () => {
  const files = new Files();
  const log = new Log(files.segment(1), START, crc32);
  const committer = new Committer(log, 'everysec');
  change(committer);
  files.commits.shift()!.done();
  committer.tick();
  change(committer);
  const [sync, write] = files.commits.splice(0);
  sync!.done(new Error('a sync failed'));
  const { position } = log;
  committer.goOn(new Log(files.segment(2), position, crc32));
  expect(files.closed).toEqual([]);
  write!.done();
  expect(files.closed).toEqual([1]);
  change(committer);
  files.commits.shift()!.done();
  expect(committer.settled).toBe(position.sequence + 1);
});

test('a log that is closed after a failed sync leaves the file open that a write still uses', async () => {
  const files = new Files();
  const committer = new Committer(new Log(files.segment(1), START, crc32), 'everysec');
  change(committer);
  files.commits.shift()!.done();
  committer.tick();
  change(committer);
  const [sync] = files.commits;
  const closed = committer.close(1000);
  sync!.done(new Error('a sync failed'));
  await closed;
  expect(files.closed).toEqual([]);
});

// What was given up was taken back, and readers waited for it.
test('a write that fails at once, as the end of a segment is told, leaves everything settled', () => {
  const files = new Files();
  const log = new Log(files.segment(1), START, crc32);
  const committer = new Committer(log, 'everysec');
  log.addSegment(files.segment(2));
  committer.host = { settled: () => {}, failed: () => committer.giveUp(), resumed: () => {} };
  committer.upkeep = {
    segmentEnded() {
      files.fault = new Error('a write failed');
      committer.commit();
    },
    failed: () => {},
    tick: () => {},
    info: () => ({}),
  };
  change(committer);
  files.commits.shift()!.done();
  log.endSegment();
  change(committer);
  files.commits.shift()!.done();
  expect(committer.failure).toBe(files.fault);
  expect(committer.settled).toBe(2);
});

test('a log that is found to be damaged while a sync is under way has its files closed once, after that', () => {
  const files = new Files();
  const log = new Log(files.segment(1), START, crc32);
  const committer = new Committer(log, 'everysec');
  log.addSegment(files.segment(2));
  change(committer);
  files.commits.shift()!.done();
  committer.tick();
  // It waits for the sync, which is of the same file.
  log.endSegment();
  change(committer);
  const [sync, ...others] = files.commits.splice(0);
  expect(others).toEqual([]);
  committer.fail(new Error('damage'));
  expect(committer.hasFailed).toBe(true);
  committer.goOn(new Log(files.segment(3), log.position, crc32));
  expect(files.closed).toEqual([]);
  sync!.done();
  expect(files.closed.sort()).toEqual([1, 2]);
});
