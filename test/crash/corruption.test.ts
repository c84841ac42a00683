/**
 * Damage of every kind to a log of 200 records: what is recovered is exactly what the first of them made, however many, or
 * recovery refuses and names a file and a place in it. Never is there another state.
 */
import { crc32 } from 'node:zlib';
import { expect, test } from 'vitest';
import { createMapEngine } from '../../core/engine/map.ts';
import { createSwissEngine } from '../../core/engine/swiss.ts';
import { compact } from '../../core/log/compaction.ts';
import { LogError } from '../../core/log/errors.ts';
import { RECORD_HEADER_BYTES, SEGMENT_HEADER_BYTES } from '../../core/log/format.ts';
import { Log } from '../../core/log/log.ts';
import { readLog } from '../../core/log/read-log.ts';
import { recover, replayLog } from '../../core/log/recovery.ts';
import { planRepair, repair } from '../../core/log/repair.ts';
import { prepareSegment } from '../../core/log/segments.ts';
import type { SnapshotPosition } from '../../core/log/snapshot-format.ts';
import { Op } from '../../core/protocol.ts';
import { array, encode } from '../support/bytes.ts';
import type { EngineFactory } from '../support/engines.ts';
import { FixedDisk, filesOf, run, stateOf, writeLog } from '../support/log-files.ts';
import { Random } from '../support/random.ts';
import { SimulatedMachine, StoppedError } from '../support/simulated-disk.ts';

const RECORDS = 200;
const SECTOR_BYTES = 512;

type Files = ReadonlyMap<string, Uint8Array>;

const log = await writeLog(RECORDS, 3000);
const SEGMENTS = [...log.files.keys()].sort();
const withSnapshot = await compacted(log.files);
const SNAPSHOT = [...withSnapshot.keys()].find((name) => name.endsWith('.snapshot'))!;
const PLACES = await placesOf(log.files);

/** Where the bytes of a record are, without those that align the next one. */
interface Place {
  readonly file: string;
  readonly start: number;
  readonly end: number;
}

async function placesOf(files: Files): Promise<Place[]> {
  const places: Place[] = [];
  await readLog(new FixedDisk(files), {
    payload: () => {},
    record: ({ bodyBytes }, _, { file, offset }) => {
      places.push({ file, start: offset, end: offset + RECORD_HEADER_BYTES + bodyBytes });
    },
  });
  return places;
}

function machineOf(files: Files): SimulatedMachine {
  const machine = new SimulatedMachine(new Random(1));
  for (const [name, content] of files) machine.put(name, content);
  return machine;
}

/** The first segments as a snapshot, and the others. */
async function compacted(files: Files): Promise<Files> {
  const { disk } = machineOf(files);
  await compact(disk, createMapEngine({ redo: true }), await cut(3));
  return filesOf(disk);
}

/** Where the log is cut for a snapshot that has all segments before this one. */
async function cut(nextSegment: number): Promise<SnapshotPosition> {
  const { end } = await replayLog(machineOf(log.files).disk, createMapEngine({ redo: true }), nextSegment);
  return { ...end.position, nextSegment };
}

/** How many records are recovered, or why none. The state must be theirs. */
async function recovered(files: Files, factory: EngineFactory = createMapEngine): Promise<number | LogError> {
  const engine = factory({ redo: true });
  return refusalOr(async () => {
    const { sequence } = (await recover(machineOf(files).disk, engine)).position;
    if (stateOf(engine) !== log.states[sequence]) throw new Error(`another state than after record ${sequence}`);
    return sequence;
  });
}

/** How many records are read, or why none. Their bodies must be what they were. Much faster than `recovered`. */
async function read(files: Files): Promise<number | LogError> {
  return refusalOr(async () => {
    const payload = (): void => {};
    const record = ({ sequence }: { sequence: number }, body: Uint8Array): void => {
      if (Buffer.compare(body, log.bodies[sequence - 1]!) !== 0) throw new Error(`another record ${sequence}`);
    };
    const { end } = await readLog(new FixedDisk(files), { payload, record });
    return end.position.sequence;
  });
}

async function refusalOr(act: () => Promise<number>): Promise<number | LogError> {
  try {
    return await act();
  } catch (error) {
    if (!(error instanceof LogError)) throw error;
    if (!/^\d{12}\.(log|snapshot)$/.test(error.file) || !(error.offset >= 0)) throw error;
    return error;
  }
}

/**
 * How many records may be recovered, when that is not refused. All were synced, so one that is not what it was is damage. Only where
 * none after it is what it was can nobody tell it from the end of what was written: the log ends before it then. Otherwise all have
 * to be there.
 */
function recoverable(files: Files): number | 'none' {
  const isWhole = ({ file, start, end }: Place): boolean => {
    const [is, was] = [files.get(file), log.files.get(file)!];
    // A segment that is not there is in the snapshot.
    return is === undefined || is === was || Buffer.compare(is.subarray(start, end), was.subarray(start, end)) === 0;
  };
  const first = PLACES.findIndex((place) => !isWhole(place));
  if (first < 0) return RECORDS;
  return PLACES.slice(first).some(isWhole) ? 'none' : first;
}

/** What came out how often: the code of a refusal, or whether all was there or the first records, which may be none but these. */
async function tally(
  cases: Iterable<Files>,
  look: (files: Files) => Promise<number | LogError>,
): Promise<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (const files of cases) {
    const result = await look(files);
    if (typeof result === 'number' && result !== recoverable(files)) {
      throw new Error(`${result} records were recovered; it should have been ${recoverable(files)}, or a refusal`);
    }
    const name = typeof result === 'number' ? (result === RECORDS ? 'all' : 'first') : result.code;
    counts[name] = (counts[name] ?? 0) + 1;
  }
  return counts;
}

function damaged(files: Files, name: string, damage: (bytes: Uint8Array) => Uint8Array): Files {
  return new Map(files).set(name, damage(files.get(name)!.slice()));
}

/** Bytes up to the zeros that a file ends with. */
function usedBytes(bytes: Uint8Array): number {
  return bytes.findLastIndex((byte) => byte !== 0) + 1;
}

function* truncations(files: Files, names: readonly string[]): Generator<Files> {
  for (const name of names) {
    // A little more than what is used: the zeros behind it are as good as no bytes.
    for (let length = 0; length <= usedBytes(files.get(name)!) + 64; length++) {
      yield damaged(files, name, (bytes) => bytes.slice(0, length));
    }
  }
}

function* flippedBits(files: Files, names: readonly string[]): Generator<Files> {
  for (const name of names) {
    const usedBits = 8 * usedBytes(files.get(name)!);
    for (let bit = 0; bit < usedBits; bit++) {
      // Of the page of a segment's header only the first bytes mean something.
      if (name.endsWith('.log') && bit === 64 * 8) bit = SEGMENT_HEADER_BYTES * 8;
      yield damaged(files, name, (bytes) => {
        bytes[bit >> 3]! ^= 1 << (bit & 7);
        return bytes;
      });
    }
  }
}

function* zeroedSectors(files: Files, names: readonly string[]): Generator<Files> {
  for (const name of names) {
    for (let start = 0; start < usedBytes(files.get(name)!); start += SECTOR_BYTES) {
      yield damaged(files, name, (bytes) => bytes.fill(0, start, start + SECTOR_BYTES));
    }
  }
}

function outcomes(counts: Record<string, number>): string[] {
  return Object.keys(counts).sort();
}

test('what is whole is recovered, by both engines', async () => {
  expect(SEGMENTS.length).toBeGreaterThan(4);
  expect(log.bodies.length).toBe(RECORDS);
  for (const files of [log.files, withSnapshot]) {
    expect(await read(files)).toBe(RECORDS);
    expect(await recovered(files)).toBe(RECORDS);
    expect(await recovered(files, createSwissEngine)).toBe(RECORDS);
  }
});

test('every truncation', { timeout: 900_000 }, async () => {
  const expected = ['BROKEN_CHAIN', 'SHORT_READ', 'all', 'first'];
  expect(outcomes(await tally(truncations(log.files, SEGMENTS), read))).toEqual(expected);
  expect(outcomes(await tally(truncations(withSnapshot, [SNAPSHOT]), recovered))).toEqual(['SHORT_READ', 'all']);
});

test('every bit', { timeout: 900_000 }, async () => {
  const expected = [
    'BAD_BODY_CHECKSUM',
    'BAD_HEADER_CHECKSUM',
    'BAD_MAGIC',
    'BAD_VERSION',
    'BROKEN_CHAIN',
    'all',
    'first',
  ];
  expect(outcomes(await tally(flippedBits(log.files, SEGMENTS), read))).toEqual(expected);
  const ofSnapshot = ['BAD_BODY_CHECKSUM', 'BAD_HEADER_CHECKSUM', 'BAD_MAGIC', 'BAD_VERSION'];
  expect(outcomes(await tally(flippedBits(withSnapshot, [SNAPSHOT]), recovered))).toEqual(ofSnapshot);
});

test('every zeroed sector, by both engines', { timeout: 900_000 }, async () => {
  for (const files of [log.files, withSnapshot]) {
    const names = [...files.keys()].filter((name) => /log|snapshot/.test(name));
    const counts = await tally(zeroedSectors(files, names), recovered);
    expect(await tally(zeroedSectors(files, names), (damaged) => recovered(damaged, createSwissEngine))).toEqual(
      counts,
    );
    expect(counts.all ?? 0).toBeLessThan(names.length * 8);
  }
});

test('segments that are missing, doubled, in another order, or stale', async () => {
  for (const [i, name] of SEGMENTS.entries()) {
    const without = new Map(log.files);
    without.delete(name);
    const result = await recovered(without);
    // A log that ends earlier is one, too; any other is refused.
    if (i === SEGMENTS.length - 1) expect(result).toBeGreaterThan(0);
    else expect(result).toMatchObject({ code: 'MISSING_SEGMENT', file: name });
    for (const other of SEGMENTS) {
      if (other === name) continue;
      const doubled = new Map(log.files).set(name, log.files.get(other)!);
      expect(await recovered(doubled)).toMatchObject({ code: 'MISPLACED_SEGMENT', file: name, offset: 0 });
      expect(await recovered(doubled.set(other, log.files.get(name)!))).toMatchObject({ code: 'MISPLACED_SEGMENT' });
    }
  }
  // A copy of an earlier time: the same segment with fewer records.
  const stale = damaged(log.files, SEGMENTS[1]!, (bytes) => bytes.fill(0, SEGMENT_HEADER_BYTES + 1000));
  expect(await recovered(stale)).toMatchObject({ file: SEGMENTS[1] });
  // One of another log, which has other salts and checksums.
  const foreign = await writeLog(RECORDS, 3000);
  for (const name of SEGMENTS.slice(1, -1)) {
    expect(await recovered(new Map(log.files).set(name, foreign.files.get(name)!))).toMatchObject({
      code: expect.any(String),
      file: expect.any(String),
    });
  }
});

test('of a damaged snapshot nothing is executed when the segments are still there', async () => {
  const { disk } = machineOf(new Map());
  const { name, salt, sizeBytes } = await prepareSegment(disk, 1, 1024 * 1024);
  const file = disk.openForCommits(name, () => {});
  const shard = new Log({ index: 1, salt, sizeBytes, file }, { sequence: 0, checksum: 0 }, crc32);
  const engine = createMapEngine({ redo: true });
  const change = (timeMs: number, ...operation: unknown[]): void => {
    shard.append(run(engine, array([encode(operation)]), timeMs).redo, timeMs);
    shard.endTurn();
  };
  change(1000, Op.SET, 'n', 10, 1000);
  // It has expired by then, and is counted anew.
  change(5000, Op.ADD, 'n', 1);
  // Enough for the snapshot to have several blocks.
  for (let i = 0; i < 10; i++) change(6000, Op.SET, `large${i}`, new Uint8Array(60_000));
  const batch = shard.take()!;
  file.commit(batch.offset, batch.bytes, false, () => {});
  await prepareSegment(disk, 2, sizeBytes);
  const before = await filesOf(disk);
  const snapshot = await compact(disk, createMapEngine({ redo: true }), { ...shard.position, nextSegment: 2 });
  const whole = (await filesOf(disk)).get(snapshot.name)!;
  for (const bytes of [whole.subarray(0, -10), whole]) {
    const recoveredEngine = createMapEngine({ redo: true });
    const { disk } = machineOf(new Map(before).set(snapshot.name, bytes));
    const { damagedSnapshot } = await recover(disk, recoveredEngine);
    expect(damagedSnapshot?.code).toBe(bytes === whole ? undefined : 'SHORT_READ');
    expect(stateOf(recoveredEngine, 7000)).toBe(stateOf(engine, 7000));
  }
});

test('a compaction refuses a damaged log, also where its last segment ends, and leaves every file as it was', async () => {
  const position = await cut(3);
  const [, last] = SEGMENTS as [string, string];
  const ends = usedBytes(log.files.get(last)!);
  const without = new Map(log.files);
  without.delete(last);
  const cases: readonly Files[] = [
    ...zeroedSectors(log.files, [last]),
    ...[SEGMENT_HEADER_BYTES + 500, ends - 1].map((at) =>
      damaged(log.files, last, (bytes) => {
        bytes[at]! ^= 1;
        return bytes;
      }),
    ),
    damaged(log.files, last, (bytes) => bytes.subarray(0, SEGMENT_HEADER_BYTES)),
    without,
  ];
  let refused = 0;
  for (const files of cases) {
    const { disk } = machineOf(files);
    const compacting = compact(disk, createMapEngine({ redo: true }), position);
    const result = await refusalOr(async () => (await compacting).sequence);
    if (result instanceof LogError) {
      refused++;
      expect(await filesOf(disk)).toEqual(files);
    } else {
      // What was damaged was no record.
      expect(await recovered(await filesOf(disk))).toBe(RECORDS);
    }
  }
  expect(refused).toBeGreaterThan(cases.length / 3);
  const { disk } = machineOf(log.files);
  expect(await compact(disk, createMapEngine({ redo: true }), position)).toMatchObject(position);
});

function* fuzzed(random: Random, count: number): Generator<Files> {
  for (let i = 0; i < count; i++) {
    let files: Files = random.chance(0.5) ? log.files : withSnapshot;
    for (let change = random.between(1, 5); change > 0; change--) {
      const name = random.pick([...files.keys()]);
      files = damaged(files, name, (bytes) => {
        const start = random.below(bytes.length + 1);
        const length = random.pick([1, 4, 8, 100]);
        if (random.chance(0.2)) return bytes.slice(0, start);
        if (random.chance(0.3)) bytes.copyWithin(start, random.below(bytes.length), start + length);
        else bytes.set(random.bytes(length).subarray(0, bytes.length - start), start);
        return bytes;
      });
    }
    yield files;
  }
}

test('bytes of a fuzzer', { timeout: 900_000 }, async () => {
  const { all, first, ...refused } = await tally(fuzzed(new Random(1), 3000), recovered);
  // Some of it hits no record, some the last one, and most a record that others follow.
  expect(all).toBeGreaterThan(100);
  expect(first).toBeGreaterThan(10);
  expect(outcomes(refused).length).toBeGreaterThan(5);
});

// A server whose disk was full, and whose last write was cut short by that, could not be started again.
test('a torn write is kept aside, or cut off alone when the disk is full', async () => {
  // The last that has records.
  const name = SEGMENTS.at(-2)!;
  const files = damaged(log.files, name, (bytes) => {
    bytes[usedBytes(bytes) - 1]! ^= 1;
    return bytes;
  });
  for (const isFull of [false, true]) {
    const machine = machineOf(files);
    const total = [...files.values()].reduce((sum, { length }) => sum + length, 0);
    if (isFull) machine.capacityBytes = total + 10;
    const { position, torn } = await recover(machine.disk, createMapEngine({ redo: true }));
    expect(position.sequence).toBe(RECORDS - 1);
    const keptAs = isFull ? undefined : name.replace('.log', '.broken');
    expect(torn).toMatchObject({ file: name, records: 0, keptAs });
    expect((await machine.disk.list()).filter((one) => one.endsWith('.broken'))).toEqual(isFull ? [] : [keptAs]);
    machine.capacityBytes = Infinity;
    expect(await recovered(await filesOf(machine.disk))).toBe(RECORDS - 1);
  }
});

test('a repair keeps what lies before the damage, and says what it drops', async () => {
  const name = SEGMENTS[2]!;
  const body = SEGMENT_HEADER_BYTES + 500;
  const files = damaged(log.files, name, (bytes) => {
    bytes[body]! ^= 1;
    return bytes;
  });
  const before = await recovered(files);
  expect(before).toBeInstanceOf(LogError);
  const machine = machineOf(files);
  expect(await planRepair(machineOf(log.files).disk)).toBeUndefined();
  const plan = (await planRepair(machine.disk))!;
  expect(plan.damage).toMatchObject({ file: name });
  await repair(machine.disk, plan);
  expect(await planRepair(machine.disk)).toBeUndefined();
  const kept = await recovered(await filesOf(machine.disk));
  const dropped = plan.losses.reduce((sum, { records }) => sum + records, 0);
  // The damaged record itself is none that is whole.
  expect(kept).toBe(RECORDS - dropped - 1);
});

// Segments and snapshots as a crash between the renaming of the second snapshot and the removal of what it replaces leaves them.
test('a repair also sets aside the damaged snapshot of what it cuts off, whenever it is interrupted', async () => {
  const { disk } = machineOf(log.files);
  await compact(disk, createMapEngine({ redo: true }), await cut(5));
  const newest = [...(await filesOf(disk))].find(([name]) => name.endsWith('.snapshot'))!;
  const flip = (name: string, at: number) => (files: Files) =>
    damaged(files, name, (bytes) => {
      bytes[at]! ^= 1;
      return bytes;
    });
  const name = SEGMENTS[3]!;
  const both: Files = new Map([...log.files, [SNAPSHOT, withSnapshot.get(SNAPSHOT)!], newest]);
  const files = flip(name, SEGMENT_HEADER_BYTES + 500)(flip(newest[0], 70)(both));
  const kept = new Set<number | LogError>();
  let isInterrupted = true;
  for (let operations = 0; isInterrupted; operations++) {
    const machine = machineOf(files);
    machine.disk.stopAfter(operations);
    try {
      await repair(machine.disk, (await planRepair(machine.disk))!);
      machine.disk.stopAfter(Infinity);
      isInterrupted = false;
    } catch (error) {
      if (!(error instanceof StoppedError)) throw error;
      machine.losePower();
      const plan = await planRepair(machine.disk);
      if (plan !== undefined) {
        expect(plan.damage).toMatchObject({ file: name });
        await repair(machine.disk, plan);
      }
    }
    expect(await planRepair(machine.disk)).toBeUndefined();
    kept.add(await recovered(await filesOf(machine.disk)));
  }
  expect([...kept]).toEqual([expect.any(Number)]);
});

test('every zeroed sector can be repaired, also of a snapshot and of headers', { timeout: 900_000 }, async () => {
  for (const files of zeroedSectors(withSnapshot, [...withSnapshot.keys()])) {
    const machine = machineOf(files);
    const plan = await planRepair(machine.disk);
    if (plan !== undefined) await repair(machine.disk, plan);
    expect(await recovered(await filesOf(machine.disk))).toBeTypeOf('number');
  }
});
