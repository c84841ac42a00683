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
    log,
    alarms,
    commits,
    /** Clients write, all in one turn. */
    write(...clients: readonly object[]): void {
      for (const client of clients) {
        committer.append(new Uint8Array(10), 1000);
        committer.executed(client);
      }
      committer.endTurn();
      committer.commit();
    },
    /** A client reads, in a turn. */
    read(client: object): void {
      committer.append(new Uint8Array(0), 1000);
      committer.executed(client);
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

const [a, b, c, d] = [{}, {}, {}, {}];

test('a client alone waits for nobody', () => {
  const { write, sync, commits, alarms } = start();
  for (let i = 0; i < 3; i++) {
    write(a);
    expect(commits).toHaveLength(1);
    sync();
  }
  expect(alarms).toEqual([]);
});

test('who came while a sync was under way waits until those are back whom it has answered', () => {
  const { write, sync, commits } = start();
  write(a, b);
  write(c);
  sync();
  expect(commits).toEqual([]);
  write(a);
  expect(commits).toEqual([]);
  write(b);
  expect(commits).toHaveLength(1);
  sync();
  // They are one group now.
  write(c, a);
  expect(commits).toEqual([]);
  write(b);
  expect(commits).toHaveLength(1);
});

test('who is not one of them is not counted as one, and who has several frames under way only once', () => {
  const { write, sync, commits } = start();
  write(a, b);
  write(b, c);
  sync();
  write(d);
  expect(commits).toEqual([]);
  write(a);
  expect(commits).toHaveLength(1);
});

test('clients whose reads wait for a sync are waited for as well', () => {
  const { write, read, sync, commits } = start();
  write(a);
  read(b);
  write(c);
  sync();
  write(a);
  expect(commits).toEqual([]);
  // Its reply shows what is not durable yet.
  read(b);
  expect(commits).toHaveLength(1);
});

test('of a turn that reads and then writes, all wait for what it has written', () => {
  const { committer, write, read, sync, commits, alarms } = start();
  write(a);
  committer.executed(b);
  write(c);
  sync();
  expect(commits).toEqual([]);
  write(a);
  expect(commits).toHaveLength(1);
  sync();
  // They are back together, of whom one reads.
  read(b);
  write(a, c);
  expect(commits).toEqual([]);
  write(b);
  expect(commits).toHaveLength(1);
  expect(alarms).toHaveLength(1);
});

test('who does not come back is waited for a millisecond, then not for one commit, for three, up to 64', () => {
  const { write, sync, pass, alarms, commits } = start();
  write({});
  /** How many commits begin at once, one client having come during each sync for the first time, until one has to wait. */
  const begunAtOnce = (): number => {
    for (let count = 0; ; count++) {
      write({});
      sync();
      if (commits.length > 0) continue;
      expect(alarms.map(({ ms }) => ms)).toEqual([1]);
      pass();
      expect(commits).toHaveLength(1);
      return count;
    }
  };
  expect(Array.from({ length: 10 }, begunAtOnce)).toEqual([0, 1, 3, 7, 15, 31, 63, 64, 64, 64]);
});

test('with each wait that was of use, the next one in vain costs one commit less', () => {
  const { write, sync, pass, commits } = start();
  for (const stranger of [c, d]) {
    write(stranger);
    write(a);
    sync();
    pass();
    sync();
  }
  // The three that the second wait in vain costs, of which one is over. A third would cost seven.
  for (let skipped = 0; skipped < 2; skipped++) {
    write(a);
    sync();
  }
  write(a);
  write(b);
  sync();
  for (let useful = 0; useful < 6; useful++) {
    expect(commits).toEqual([]);
    write(a);
    if (useful > 0) write(b);
    expect(commits).toHaveLength(1);
    sync();
  }
  write(a);
  // The first alarm is that of a wait before.
  pass();
  pass();
  sync();
  write(a);
  expect(commits).toHaveLength(1);
  write(b);
  sync();
  expect(commits).toEqual([]);
});

test('who is always back does not make up for others who never are', () => {
  const { write, sync, pass, commits } = start();
  let waits = 0;
  for (let round = 0; round < 300; round++) {
    // One goes on whenever he is answered, beside one after the other who writes once.
    write(a);
    if (commits.length === 0) waits++;
    while (commits.length === 0) pass();
    if (round % 3 === 0) write({});
    sync();
  }
  expect(waits).toBeGreaterThan(0);
  expect(waits).toBeLessThan(20);
});

test('nobody waits for who is gone', () => {
  const { committer, write, sync, commits, alarms } = start();
  write(a, b);
  write(c);
  sync();
  write(a);
  expect(commits).toEqual([]);
  committer.left(b);
  expect(commits).toHaveLength(1);
  committer.left(a);
  write(d);
  sync();
  expect(commits).toEqual([]);
  write(c);
  expect(commits).toHaveLength(1);
  expect(alarms).toHaveLength(1);
});

test('an alarm set for those who are gone leaves who came later their own time', () => {
  const { write, sync, pass, alarms, commits } = start();
  write(a);
  write(b);
  sync();
  expect(alarms).toHaveLength(1);
  write(a);
  write(c);
  sync();
  expect(commits).toEqual([]);
  pass();
  expect(commits).toEqual([]);
  pass();
  expect(commits).toHaveLength(1);
});

test('the end of a segment lets nobody wait for those who can not come back before it', () => {
  const { committer, write, sync, pass, commits } = start(3);
  write(a, b, c, d, a, b, c, d);
  write(a, b, c, d, a, b, c, d);
  sync();
  pass();
  while (commits.length > 0) sync();
  expect(committer.settled).toBe(2);
});

test('a segment can end while nobody is here', () => {
  const { committer, log, write, sync, pass, commits } = start(2);
  write(a, b);
  sync();
  log.endSegment();
  committer.commit();
  expect(commits).toEqual([]);
  pass();
  expect(commits).toHaveLength(1);
});

test('a drain waits for nobody', async () => {
  const { committer, write, sync, commits } = start();
  write(a);
  write(b);
  sync();
  expect(commits).toEqual([]);
  const closed = committer.close(2000);
  for (let i = 0; i < 3 && commits.length > 0; i++) {
    sync();
    await Promise.resolve();
  }
  await closed;
});

test('after a failure nobody is waited for', () => {
  const { committer, log, write, pass, commits } = start();
  write(a, b);
  write(c);
  commits.shift()!.done(new Error('EIO'));
  expect(committer.hasFailed).toBe(true);
  pass();
  expect(commits).toEqual([]);
  committer.giveUp();
  committer.goOn(log);
  write(c);
  expect(commits).toHaveLength(1);
});
