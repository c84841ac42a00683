/** The log of a shard looks after its files, which are real: segments, and snapshots when it has grown. */
import { mkdtempSync, rmSync, unlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { createSwissEngine } from '../../core/engine/swiss.ts';
import { ALL_SLOTS } from '../../core/slots.ts';
import { DirectoryKeeper, type LogKeeper } from '../../runtime/log/keeper.ts';
import { ShardLog } from '../../runtime/log/shard-log.ts';
import { request } from '../support/wire.ts';

const SEGMENT_BYTES = 64 * 1024;
const MAX_LOG_BYTES = 2 * SEGMENT_BYTES;
const HEADER_BYTES = 5;

const cleanUps: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});

async function start(around: (keeper: LogKeeper, directory: string) => Partial<LogKeeper> = () => ({})) {
  const directory = mkdtempSync(join(tmpdir(), 'ringkv-shard-log-'));
  cleanUps.push(() => rmSync(directory, { recursive: true }));
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
    { engine, keeper, report: (line) => void lines.push(line), now: Date.now },
  );
  cleanUps.push(async () => {
    await log.close();
    await real.stop();
  });
  const { committer } = log;
  /** A turn that sets a key. */
  const set = (bytes: number): void => {
    const frame = request([2, 'k', Buffer.alloc(bytes)]);
    const offset = engine.reserveInput(frame.length);
    engine.memory.set(frame, offset);
    engine.execute(offset + HEADER_BYTES, frame.length - HEADER_BYTES, Date.now());
    committer.append(engine.redo(), engine.redoTimeMs);
    committer.endTurn();
    committer.commit();
  };
  const tick = (): void => committer.tick(Date.now());
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
  return { log, committer, lines, set, tick, snapshots };
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

test('after a failure in the segment that a snapshot waited for, snapshots are made again', async () => {
  const { log, committer, lines, set, snapshots } = await start();
  let isFailing = true;
  const files = {
    get isOpen() {
      return isFailing;
    },
    write(...[, , , , done]: [number, number, Uint8Array, boolean, (error?: Error) => void]) {
      done(new Error('EIO'));
    },
  };
  log.listening({ files }, () => {});
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
  isFailing = false;
  await snapshots(1);
  expect(lines.at(-1)).toMatch(/goes on/);
  set(10);
  log.snapshot();
  await snapshots(2);
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
