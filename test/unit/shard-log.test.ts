/** The log of a shard looks after its files, which are real: segments, and snapshots when it has grown. */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, unlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import type { Engine } from '../../core/engine/engine.ts';
import { createSwissEngine } from '../../core/engine/swiss.ts';
import { RECORD_HEADER_BYTES, SEGMENT_HEADER_BYTES } from '../../core/log/format.ts';
import { recover } from '../../core/log/recovery.ts';
import type { SnapshotPosition } from '../../core/log/snapshot-format.ts';
import { Op } from '../../core/protocol.ts';
import { ALL_SLOTS } from '../../core/slots.ts';
import { DirectoryDisk } from '../../runtime/disk/directory.ts';
import { failureOf } from '../../runtime/log/damage.ts';
import { DirectoryKeeper, type LogKeeper } from '../../runtime/log/keeper.ts';
import { RemoteKeeper } from '../../runtime/log/remote-keeper.ts';
import { ShardLog } from '../../runtime/log/shard-log.ts';
import type { FileWriter } from '../../transports/transport.ts';
import { dump } from '../support/engines.ts';
import { request } from '../support/wire.ts';

const SEGMENT_BYTES = 64 * 1024;
const MAX_LOG_BYTES = 2 * SEGMENT_BYTES;
const HEADER_BYTES = 5;

const cleanUps: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});

function temporaryDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'ringkv-shard-log-'));
  cleanUps.push(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

async function start(
  around: (keeper: DirectoryKeeper, directory: string) => Partial<LogKeeper> = () => ({}),
  elapsed: () => number = () => performance.now(),
  now: () => number = Date.now,
  directory = temporaryDirectory(),
) {
  const engine = createSwissEngine({ redo: true });
  const real = new DirectoryKeeper({ directory, engine: 'swiss', slots: ALL_SLOTS, segmentBytes: SEGMENT_BYTES });
  const keeper: LogKeeper = {
    prepare: (index) => real.prepare(index),
    compact: (before) => real.compact(before),
    ...around(real, directory),
  };
  const lines: string[] = [];
  const log = await ShardLog.open(
    { directory, fsync: 'everysec', segmentBytes: SEGMENT_BYTES, maxLogBytes: MAX_LOG_BYTES, snapshotEveryMs: 0 },
    { engine, keeper, report: (line) => void lines.push(line), now, elapsed },
  );
  let closed: Promise<void> | undefined;
  /** Afterwards the directory is nobody's. */
  const close = (): Promise<void> => {
    closed ??= log.close().finally(() => real.stop());
    return closed;
  };
  cleanUps.push(() => close().catch(() => {}));
  const { committer } = log;
  /** A turn that sets a key. */
  const set = (bytes: number, ...ttlMs: readonly number[]): void => {
    const frame = request([Op.SET, 'k', Buffer.alloc(bytes), ...ttlMs]);
    const offset = engine.reserveInput(frame.length);
    engine.memory.set(frame, offset);
    engine.execute(offset + HEADER_BYTES, frame.length - HEADER_BYTES, now());
    committer.append(engine.redo(), engine.redoTimeMs);
    committer.endTurn();
    committer.commit();
  };
  const tick = (): void => committer.tick();
  /** Ticks until INFO tells of so many snapshots. */
  const snapshots = (count: number): Promise<void> =>
    expect
      .poll(
        () => {
          tick();
          return log.info().snapshots;
        },
        { timeout: 30_000 },
      )
      .toBe(count);
  return { directory, engine, log, committer, lines, set, tick, snapshots, close };
}

test('a log that has grown is compacted once, whatever is written meanwhile', async () => {
  let goOn!: () => void;
  const held = new Promise<void>((resolve) => {
    goOn = resolve;
  });
  const compactions: unknown[] = [];
  let unprepared = 0;
  const { set, tick, snapshots } = await start((keeper) => ({
    async prepare(index) {
      unprepared++;
      return keeper.prepare(index).finally(() => unprepared--);
    },
    async compact(before) {
      compactions.push(before);
      await held;
      return keeper.compact(before);
    },
  }));
  set(MAX_LOG_BYTES + 1);
  await expect
    .poll(
      () => {
        tick();
        return compactions.length;
      },
      { timeout: 30_000 },
    )
    .toBe(1);
  set(10);
  await expect.poll(() => unprepared, { timeout: 30_000 }).toBe(0);
  tick();
  goOn();
  await snapshots(1);
  tick();
  await expect.poll(() => unprepared, { timeout: 30_000 }).toBe(0);
  tick();
  expect(compactions.length).toBe(1);
});

// The disk was filled with segments, each closed with the one record that came between two attempts.
test('a snapshot that can not be made is tried again up to the same record, and closes no further segment', async () => {
  let nowMs = 1_000_000;
  let isFull = true;
  const cuts: unknown[] = [];
  const { directory, log, set, tick, snapshots } = await start(
    (keeper) => ({
      async compact(position) {
        cuts.push(position);
        if (isFull) throw new Error('ENOSPC');
        return keeper.compact(position);
      },
    }),
    () => nowMs,
  );
  set(10);
  log.snapshot();
  for (let attempts = 1; attempts <= 6; attempts++) {
    await expect
      .poll(
        () => {
          tick();
          return cuts.length;
        },
        { timeout: 30_000 },
      )
      .toBe(attempts);
    set(10);
    nowMs += 10_000;
  }
  expect(new Set(cuts.map((cut) => JSON.stringify(cut))).size).toBe(1);
  // The one that was closed, the one in use, and the next.
  expect(readdirSync(directory).filter((name) => name.endsWith('.log')).length).toBeLessThanOrEqual(3);
  isFull = false;
  await snapshots(1);
  // What was written since is still in the log, and the next snapshot has it.
  expect(log.info().logFileBytes).toBeGreaterThan(6 * 10);
  log.snapshot();
  await snapshots(2);
  expect(log.info().logFileBytes).toBe(0);
});

test('a segment that could be prepared does not end the pause after a snapshot that could not be made', async () => {
  let goOn!: () => void;
  const held = new Promise<void>((resolve) => {
    goOn = resolve;
  });
  let prepared = 0;
  let attempts = 0;
  const { log, lines, set, tick } = await start(
    (keeper) => ({
      async prepare(index) {
        if (index === 3) await held;
        return keeper.prepare(index).finally(() => prepared++);
      },
      async compact() {
        attempts++;
        throw new Error('ENOSPC');
      },
    }),
    () => 1_000_000,
  );
  await expect.poll(() => prepared, { timeout: 30_000 }).toBe(1);
  set(10);
  log.snapshot();
  await expect.poll(() => lines, { timeout: 30_000 }).toEqual([expect.stringMatching(/no snapshot could be made/)]);
  tick();
  goOn();
  await expect.poll(() => prepared, { timeout: 30_000 }).toBe(2);
  tick();
  expect(attempts).toBe(1);
});

test('after a failure in the segment that a snapshot waited for, snapshots are made again', async () => {
  const { log, committer, lines, set, snapshots } = await start();
  const transport = failing();
  log.listening(transport, () => {});
  set(10);
  await expect
    .poll(
      () => {
        log.snapshot();
        return committer.failure?.message;
      },
      { timeout: 30_000 },
    )
    .toBe('EIO');
  transport.files.isOpen = false;
  await snapshots(1);
  expect(lines.at(-1)).toMatch(/goes on/);
  set(10);
  log.snapshot();
  await snapshots(2);
});

/** A transport whose files fail, and what is told when the state begins to be written anew, and when that is over. */
function failing(begun: () => void = () => {}, over: () => void = () => {}) {
  return {
    files: {
      isOpen: true,
      write: (...[, , , , done]: Parameters<FileWriter['write']>) => done(new Error('EIO')),
    },
    attend() {
      begun();
      return over;
    },
  };
}

// Another server may have the directory afterwards, and would take the files for old ones.
test('closing waits for a state that is being written anew', async () => {
  const { directory, log, committer, set, tick, close } = await start();
  const events: string[] = [];
  let closed: Promise<void> | undefined;
  const transport = failing(
    () => events.push('begun'),
    () => events.push('over'),
  );
  // Called in the middle of it, before the state is read.
  log.listening(transport, () => {
    transport.files.isOpen = false;
    closed ??= close().then(() => void events.push('closed'));
  });
  set(100_000);
  tick();
  expect(committer.failure?.message).toBe('EIO');
  await expect.poll(() => closed !== undefined, { timeout: 30_000 }).toBe(true);
  await closed;
  expect(events).toEqual(['begun', 'over', 'closed']);
  expect(readdirSync(directory).filter((name) => name.endsWith('.tmp'))).toEqual([]);
});

// It once said that everything would be written anew.
test('a last sync that fails is told by the close', async () => {
  const { log, lines, set, close } = await start();
  log.listening(failing(), () => {});
  set(10);
  await expect(close()).rejects.toThrow(/^the log in \S+ has failed \(EIO\) and was not made durable at the end: /);
  expect(lines).toEqual([]);
});

test('a state that can not be written anew is tried again after pauses that grow, until it can', async () => {
  let isPrepared = false;
  const { directory, log, committer, lines, set, tick } = await start((keeper) => ({
    prepare: (index) => keeper.prepare(index).finally(() => (isPrepared = true)),
  }));
  const begunMs: number[] = [];
  const transport = failing(() => begunMs.push(performance.now()));
  log.listening(transport, () => {});
  await expect.poll(() => isPrepared, { timeout: 30_000 }).toBe(true);
  rmSync(directory, { recursive: true });
  const startMs = performance.now();
  set(10);
  tick();
  expect(committer.failure?.message).toBe('EIO');
  await expect.poll(() => begunMs.length, { timeout: 30_000 }).toBeGreaterThanOrEqual(3);
  mkdirSync(directory);
  transport.files.isOpen = false;
  await expect.poll(() => lines.at(-1), { timeout: 30_000 }).toMatch(/goes on/);
  const pauses = begunMs.map((atMs, i) => atMs - (begunMs[i - 1] ?? startMs));
  // A timer may be a moment early, and late by as much as the machine has else to do.
  for (const [i, pauseMs] of [100, 200, 400].entries()) expect(pauses[i]).toBeGreaterThan(pauseMs - 5);
  expect(lines.filter((line) => line.includes('has failed'))).toHaveLength(1);
  expect(committer.failure).toBeUndefined();
});

test('what can not be prepared is tried again after pauses that grow to 10 seconds, and are short again after a minute', async () => {
  let nowMs = 1_000_000;
  let attempts = 0;
  const { lines, tick } = await start(
    () => ({
      async prepare() {
        attempts++;
        throw new Error('ENOSPC');
      },
    }),
    () => nowMs,
    // The clock that is set back by an hour has nothing to do with it.
    () => 1_000_000_000 - 36 * nowMs,
  );
  const told = (): string[] => lines.map((line) => /tried again in (\d+) ms: ENOSPC/.exec(line)![1]!);
  const pauses = [100, 200, 400, 800, 1600, 3200, 6400, 10_000, 10_000];
  for (const [i, pauseMs] of pauses.entries()) {
    await expect.poll(() => told().map(Number)).toEqual(pauses.slice(0, i + 1));
    nowMs += pauseMs - 1;
    tick();
    expect(attempts).toBe(i + 1);
    nowMs++;
    tick();
  }
  await expect.poll(told).toHaveLength(pauses.length + 1);
  nowMs += 100_000;
  tick();
  await expect.poll(() => told().at(-1)).toBe('100');
});

test('a prepared segment that can not be opened is prepared again', async () => {
  let isFirst = true;
  const { lines, set, snapshots, log } = await start((keeper, directory) => ({
    async prepare(index) {
      const segment = await keeper.prepare(index);
      if (isFirst) unlinkSync(join(directory, segment.name));
      isFirst = false;
      return segment;
    },
  }));
  await expect.poll(() => lines).toEqual([expect.stringMatching(/no further segment could be prepared.*ENOENT/)]);
  set(10);
  log.snapshot();
  await snapshots(1);
});

test('a snapshot that can not be made is made room for: no spare file remains', async () => {
  const directory = temporaryDirectory();
  const keeper = new DirectoryKeeper({ directory, engine: 'swiss', slots: ALL_SLOTS, segmentBytes: SEGMENT_BYTES });
  cleanUps.push(() => keeper.stop());
  for (const index of [1, 2, 3, 4]) await keeper.prepare(index);
  const spares = (): string[] => readdirSync(directory).filter((name) => name.endsWith('.spare'));
  await keeper.compact({ sequence: 0, checksum: 0, nextSegment: 3 });
  expect(spares()).toEqual(['000000000001.spare', '000000000002.spare']);
  // The log has no such record.
  const refused = expect(keeper.compact({ sequence: 7, checksum: 0, nextSegment: 4 })).rejects.toThrow(/record 7/);
  // One is taken, the other makes room.
  const prepared = keeper.prepare(5);
  await refused;
  expect((await prepared).name).toBe('000000000005.log');
  expect(spares()).toEqual([]);
});

test('the time goes on over a restart where it was, whatever the clock says, and of a clock far behind it is told', async () => {
  let nowMs = 1_000_000_000;
  const first = await start(undefined, undefined, () => nowMs);
  first.set(10, 1000);
  // The key expires, which leaves no record, and then the clock is set back.
  first.engine.sweep(nowMs + 2000, 100);
  nowMs -= 10_000;
  await first.close();
  const again = await start(undefined, undefined, () => nowMs, first.directory);
  expect(again.engine.redoTimeMs).toBe(1_000_002_000);
  expect(again.engine.stats().keys).toBe(0);
  expect(again.lines).toEqual([]);
  await again.close();
  nowMs -= 3_600_000;
  const last = await start(undefined, undefined, () => nowMs, first.directory);
  expect(last.lines).toEqual([
    expect.stringMatching(/^the time of the log in \S+ is 3612 s ahead of the system's clock: /),
  ]);
});

// The snapshot that would have made the space waited for the segment that had none.
test('a log that can not go on in another segment is compacted up to where its own begins', async () => {
  let isFull = true;
  const cuts: SnapshotPosition[] = [];
  const { directory, engine, log, lines, set, tick, snapshots, close } = await start((keeper) => ({
    async prepare(index) {
      if (index > 2 && isFull) throw Object.assign(new Error('no space'), { code: 'ENOSPC' });
      return keeper.prepare(index);
    },
    async compact(position) {
      cuts.push(position);
      const snapshot = await keeper.compact(position);
      isFull = false;
      return snapshot;
    },
  }));
  await expect
    .poll(
      () => {
        set(SEGMENT_BYTES / 2);
        tick();
        return lines[0];
      },
      { timeout: 30_000 },
    )
    .toMatch(/no further segment could be prepared.*no space/);
  while (Number(log.info().logFileBytes) <= MAX_LOG_BYTES) set(SEGMENT_BYTES / 2);
  await snapshots(1);
  expect(cuts).toMatchObject([{ nextSegment: 2 }]);
  // Now there is space, and what was behind the cut goes into the next snapshot.
  log.snapshot();
  await snapshots(2);
  expect(log.info().logFileBytes).toBe(0);
  await close();
  await expectWhole(directory, engine);
});

// It was found again and again, and the next start refused the directory.
test.each([
  ['on its thread', (keeper: DirectoryKeeper): LogKeeper => keeper],
  ['in a thread of its own', remoteFrom],
])('a log that a snapshot finds damaged is written anew, its shard %s', async (_, reach) => {
  let isDamaged = false;
  const { directory, engine, log, committer, lines, set, snapshots, close } = await start((keeper, path) => {
    const reached = reach(keeper);
    return {
      prepare: (index) => reached.prepare(index),
      async compact(position) {
        if (!isDamaged) flipByte(join(path, '000000000001.log'), SEGMENT_HEADER_BYTES + RECORD_HEADER_BYTES + 20);
        isDamaged = true;
        return reached.compact(position);
      },
    };
  });
  set(100);
  log.snapshot();
  set(200);
  await snapshots(1);
  expect(lines).toEqual([
    expect.stringMatching(/^the log in \S+ has failed \(\S+000000000001\.log at offset 4096: .*\): writes answer LOG/),
    expect.stringMatching(/goes on/),
  ]);
  expect(committer.failure).toBeUndefined();
  expect(readdirSync(directory)).not.toContain('000000000001.log');
  set(300);
  log.snapshot();
  await snapshots(2);
  await close();
  await expectWhole(directory, engine);
});

/** A keeper whose tasks and answers are posted from thread to thread. */
function remoteFrom(keeper: DirectoryKeeper): LogKeeper {
  const remote = new RemoteKeeper((id, task) => {
    keeper.do(structuredClone(task)).then(
      (result) => remote.done(id, structuredClone(result)),
      (error: unknown) => remote.undone(id, structuredClone(failureOf(error))),
    );
  });
  return remote;
}

function flipByte(path: string, offset: number): void {
  const bytes = readFileSync(path);
  bytes[offset]! ^= 0xff;
  writeFileSync(path, bytes);
}

/** What is in a directory, which is nobody's, is all that the engine has. */
async function expectWhole(directory: string, engine: Engine): Promise<void> {
  const recovered = createSwissEngine({ redo: true });
  const { torn, damagedSnapshot } = await recover(new DirectoryDisk(directory), recovered);
  expect({ torn, damagedSnapshot }).toEqual({ torn: undefined, damagedSnapshot: undefined });
  // Nobody took the replies of the turns.
  engine.clearOutput();
  const nowMs = Math.max(engine.redoTimeMs, recovered.redoTimeMs);
  expect(dump(recovered, nowMs)).toEqual(dump(engine, nowMs));
}
