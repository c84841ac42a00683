/** When a group commit under `always` begins. */
import { crc32 } from 'node:zlib';
import { expect, test } from 'vitest';
import { Committer } from '../../core/log/committer.ts';
import { Log } from '../../core/log/log.ts';

/** A committer whose commits and whose time end when the test says so. */
function start(segments = 1) {
  const commits: { readonly bytes: number; readonly done: (error?: Error) => void }[] = [];
  const alarms: { readonly ms: number; readonly call: () => void }[] = [];
  const file = {
    commit: (_offset: number, bytes: Uint8Array, _sync: boolean, done: (error?: Error) => void) => {
      commits.push({ bytes: bytes.length, done });
    },
    close: () => {},
  };
  const segment = (index: number) => ({ index, salt: new Uint8Array(8), sizeBytes: 200, file });
  const log = new Log(segment(1), { sequence: 0, checksum: 0 }, crc32);
  for (let index = 2; index <= segments; index++) log.addSegment(segment(index));
  const committer = new Committer(log, 'always');
  committer.gather((ms, call) => alarms.push({ ms, call }));
  return {
    committer,
    alarms,
    commits,
    /** So many clients write, in a turn. */
    write(clients: number): void {
      for (let client = 0; client < clients; client++) committer.append(new Uint8Array(10), 1000);
      committer.endTurn();
      committer.commit();
    },
    /** So many clients read, in a turn. */
    read(clients: number): void {
      for (let client = 0; client < clients; client++) committer.append(new Uint8Array(0), 1000);
      committer.endTurn();
      committer.commit();
    },
    /** The sync under way returns. */
    sync(): void {
      commits.shift()!.done();
    },
    /** A millisecond goes by. */
    pass(): void {
      for (const { call } of alarms.splice(0)) call();
    },
  };
}

test('a client alone waits for nobody', () => {
  const { write, sync, commits, alarms } = start();
  for (let i = 0; i < 3; i++) {
    write(1);
    expect(commits).toHaveLength(1);
    sync();
  }
  expect(alarms).toEqual([]);
});

test('who came while a sync was under way waits until those are back whom it has answered', () => {
  const { write, sync, commits } = start();
  write(2);
  write(3);
  sync();
  expect(commits).toEqual([]);
  write(1);
  expect(commits).toEqual([]);
  write(1);
  expect(commits).toHaveLength(1);
  sync();
  // All five are one group now.
  write(4);
  expect(commits).toEqual([]);
  write(1);
  expect(commits).toHaveLength(1);
});

test('clients whose reads wait for a sync are waited for as well', () => {
  const { write, read, sync, commits } = start();
  write(1);
  read(1);
  write(1);
  sync();
  write(1);
  expect(commits).toEqual([]);
  // Its reply shows what is not durable yet.
  read(1);
  expect(commits).toHaveLength(1);
});

test('who does not come back is waited for a millisecond, then not for one commit, for two, up to 64', () => {
  const { write, sync, pass, alarms, commits } = start();
  /** How many commits begin at once, one client having come during each sync, until one has to wait. */
  const begunAtOnce = (): number => {
    for (let count = 0; ; count++) {
      write(1);
      sync();
      if (commits.length > 0) continue;
      expect(alarms.map(({ ms }) => ms)).toEqual([1]);
      pass();
      expect(commits).toHaveLength(1);
      return count;
    }
  };
  write(1);
  expect(Array.from({ length: 10 }, begunAtOnce)).toEqual([0, 1, 2, 4, 8, 16, 32, 64, 64, 64]);
});

test('when those who were waited for are back, the next wait in vain counts as the first', () => {
  const { write, sync, pass, commits } = start();
  /** One comes during a sync; whether the next has to wait. */
  const waits = (): boolean => {
    write(1);
    sync();
    return commits.length === 0;
  };
  write(1);
  expect(waits()).toBe(true);
  pass();
  expect([waits(), waits()]).toEqual([false, true]);
  pass();
  expect([waits(), waits(), waits()]).toEqual([false, false, true]);
  write(1);
  expect(commits).toHaveLength(1);
  expect(waits()).toBe(true);
  // The first alarm is that of the wait before.
  pass();
  pass();
  expect([waits(), waits()]).toEqual([false, true]);
});

test('an alarm set for those who are gone leaves who came later their own time', () => {
  const { write, sync, pass, alarms, commits } = start();
  write(1);
  write(1);
  sync();
  expect(alarms).toHaveLength(1);
  write(1);
  sync();
  write(1);
  expect(commits).toEqual([]);
  pass();
  expect(commits).toEqual([]);
  pass();
  expect(commits).toHaveLength(1);
});

test('the end of a segment, a drain and a failure let nobody wait', async () => {
  const full = start(3);
  full.write(9);
  full.write(9);
  full.sync();
  full.pass();
  while (full.commits.length > 0) full.sync();
  expect(full.committer.settled).toBe(2);

  const drained = start();
  drained.write(1);
  drained.write(1);
  drained.sync();
  expect(drained.commits).toEqual([]);
  const closed = drained.committer.close(2000);
  await Promise.resolve();
  while (drained.commits.length > 0) {
    drained.sync();
    await Promise.resolve();
  }
  await closed;

  const failed = start();
  failed.write(2);
  failed.write(1);
  failed.commits.shift()!.done(new Error('EIO'));
  expect(failed.committer.hasFailed).toBe(true);
  failed.pass();
  expect(failed.commits).toEqual([]);
});
