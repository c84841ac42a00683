/** What preparing, snapshots and starting over leave on a disk that fails. */
import { expect, test } from 'vitest';
import { createMapEngine } from '../../core/engine/map.ts';
import { compact, startOver } from '../../core/log/compaction.ts';
import { type Disk, isDiskFull } from '../../core/log/disk.ts';
import { SEGMENT_HEADER_BYTES } from '../../core/log/format.ts';
import { recover } from '../../core/log/recovery.ts';
import { fileName, prepareSegment } from '../../core/log/segments.ts';
import { writeSnapshot } from '../../core/log/snapshot-write.ts';
import { Op } from '../../core/protocol.ts';
import { array, encode } from '../support/bytes.ts';
import { run } from '../support/log-files.ts';
import { Random } from '../support/random.ts';
import { DiskFault, SimulatedMachine } from '../support/simulated-disk.ts';

const SEGMENT_BYTES = SEGMENT_HEADER_BYTES + 1000;
const POSITION = { sequence: 7, checksum: 1 };

test.each([
  ['segment', (machine: SimulatedMachine) => prepareSegment(machine.disk, 1, SEGMENT_BYTES)],
  [
    'snapshot',
    ({ disk }: SimulatedMachine) =>
      writeSnapshot(disk, createMapEngine({ redo: true }), { ...POSITION, nextSegment: 1 }),
  ],
])('a %s whose write or sync has failed leaves no file that could be synced again', async (_, make) => {
  let failures = 0;
  for (let seed = 0; seed < 100; seed++) {
    const machine = new SimulatedMachine(new Random(seed));
    machine.faultProbability = 0.2;
    try {
      await make(machine);
    } catch (error) {
      expect(error).toBeInstanceOf(DiskFault);
      expect([...machine.names.keys()]).toEqual([]);
      failures++;
    }
  }
  expect(failures).toBeGreaterThan(10);
});

test('of the segments that are given up after a failure none is used again', async () => {
  const { disk } = new SimulatedMachine(new Random(1));
  for (const index of [1, 2]) await prepareSegment(disk, index, SEGMENT_BYTES);
  const options = { segmentBytes: SEGMENT_BYTES };
  const { segment, snapshot } = await startOver(disk, createMapEngine({ redo: true }), POSITION, 3, options);
  expect((await disk.list()).sort()).toEqual([segment.name, snapshot.name]);
});

// It stayed read-only beside a gigabyte of them.
test.each(['spare', 'tmp'] as const)('a state that is written anew takes the room of .%s files', async (kind) => {
  const machine = new SimulatedMachine(new Random(1));
  const engine = createMapEngine({ redo: true });
  run(engine, array([encode([Op.SET, 'k', new Uint8Array(SEGMENT_BYTES / 2)])]), 1000);
  await prepareSegment(machine.disk, 1, SEGMENT_BYTES);
  for (const index of [2, 3]) machine.put(fileName(index, kind), new Uint8Array(SEGMENT_BYTES));
  machine.capacityBytes = 3 * SEGMENT_BYTES;
  const again = () => startOver(machine.disk, engine, POSITION, 4, { segmentBytes: SEGMENT_BYTES });
  await expect(again()).rejects.toMatchObject({ code: 'ENOSPC' });
  const { segment, snapshot } = await again();
  expect((await machine.disk.list()).sort()).toEqual([segment.name, snapshot.name]);
});

test.each([
  ['start', (disk: Disk) => recover(disk, createMapEngine({ redo: true }))],
  ['snapshot', (disk: Disk) => writeSnapshot(disk, createMapEngine({ redo: true }), { ...POSITION, nextSegment: 9 })],
])('a %s removes what interrupted snapshots have left', async (_, begin) => {
  const machine = new SimulatedMachine(new Random(1));
  for (const index of [3, 5]) machine.put(fileName(index, 'tmp'), new Uint8Array(1000));
  await begin(machine.disk);
  expect((await machine.disk.list()).filter((name) => name.endsWith('.tmp'))).toEqual([]);
});

test('the segments that a snapshot has made useless are used again', async () => {
  const { disk } = new SimulatedMachine(new Random(1));
  for (let index = 1; index <= 20; index++) await prepareSegment(disk, index, SEGMENT_BYTES);
  const { name } = await compact(disk, createMapEngine({ redo: true }), { sequence: 0, checksum: 0, nextSegment: 20 });
  const names = await disk.list();
  expect(names.filter((one) => one.endsWith('.spare'))).toHaveLength(16);
  expect(names.filter((one) => !one.endsWith('.spare')).sort()).toEqual(['000000000020.log', name].sort());
  await prepareSegment(disk, 21, SEGMENT_BYTES);
  expect((await disk.list()).filter((one) => one.endsWith('.spare'))).toHaveLength(15);
});

// What the old files take was waited for, which only the new ones can free.
test('a state that is written anew needs no room for a whole segment', async () => {
  const machine = new SimulatedMachine(new Random(1));
  const engine = createMapEngine({ redo: true });
  run(engine, array([encode([Op.SET, 'k', 1])]), 1000);
  await prepareSegment(machine.disk, 1, SEGMENT_BYTES);
  // Enough for a header and a small snapshot, but not for both segments.
  machine.capacityBytes = SEGMENT_BYTES + SEGMENT_HEADER_BYTES + 500;
  const { segment, snapshot } = await startOver(machine.disk, engine, POSITION, 2, { segmentBytes: SEGMENT_BYTES });
  expect(segment.sizeBytes).toBe(SEGMENT_HEADER_BYTES);
  expect((await machine.disk.list()).sort()).toEqual([segment.name, snapshot.name]);
  expect((await prepareSegment(machine.disk, 3, SEGMENT_BYTES)).sizeBytes).toBe(SEGMENT_BYTES);
});

test('a segment that is there already is as long as it is, whatever was asked for', async () => {
  const { disk } = new SimulatedMachine(new Random(1));
  await prepareSegment(disk, 1, SEGMENT_HEADER_BYTES);
  expect((await prepareSegment(disk, 1, SEGMENT_BYTES)).sizeBytes).toBe(SEGMENT_HEADER_BYTES);
});

test('a disk is full when there is no space, or no more of it may be used', () => {
  const codes = ['ENOSPC', 'EDQUOT', 'EIO'].map((code) => ({ code }));
  expect(codes.map(isDiskFull)).toEqual([true, true, false]);
  // As Node tells EDQUOT.
  expect(isDiskFull({ errno: -122, code: 'Unknown system error -122' })).toBe(true);
  expect(isDiskFull(undefined)).toBe(false);
});
