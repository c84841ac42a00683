/** What a snapshot is made of when the engine can hardly answer, and of values that look like its errors. */
import { expect, test } from 'vitest';
import { createSwissEngine } from '../../core/engine/swiss.ts';
import type { Disk } from '../../core/log/disk.ts';
import { replayLog } from '../../core/log/recovery.ts';
import { UnreadableEngineError, writeSnapshot } from '../../core/log/snapshot-write.ts';
import { Op } from '../../core/protocol.ts';
import { array, encode } from '../support/bytes.ts';
import { dump, elements, oracle, results, subject, takeAllRoom } from '../support/engines.ts';
import { Random } from '../support/random.ts';
import { SimulatedMachine } from '../support/simulated-disk.ts';
import { MEMORY_LIMIT } from './semantics/errors.ts';

const MiB = 1024 * 1024;
const POSITION = { sequence: 0, checksum: 0, nextSegment: 1 };

test('an engine that has no memory to answer makes no snapshot', async () => {
  // The error in the place of the value was taken for the value, and the log that had it was removed.
  const engine = createSwissEngine({ redo: true });
  const value = 'x'.repeat(4 * MiB);
  results(engine, [encode([Op.SET, 'key', value])], 0);
  const taken = takeAllRoom(engine);
  const { disk } = new SimulatedMachine(new Random(1));
  await expect(writeSnapshot(disk, engine, POSITION)).rejects.toThrow(UnreadableEngineError);
  expect(await disk.list()).toEqual([]);
  taken.forEach(engine.room!.free);
  await writeSnapshot(disk, engine, POSITION);
  const recovered = subject({ redo: true });
  await replayLog(disk, recovered, POSITION.nextSegment);
  expect(Buffer.compare(results(recovered, [encode([Op.GET, 'key'])], 0)[0]!, encode(value))).toBe(0);
});

test.each([
  ['swiss', subject],
  ['map', oracle],
])('a value that looks like an error is kept, engine %s', async (_, create) => {
  const engine = create({ redo: true });
  const names = ['error', 'other', 'expiring'];
  const sets = names.map((key) => [Op.SET, key, MEMORY_LIMIT, key === 'expiring' ? 1000 : null]);
  expect(results(engine, sets.map(encode), 0)).toEqual(elements(array(sets.map(() => encode(true)))));
  const { disk } = new SimulatedMachine(new Random(1));
  await writeSnapshot(disk, engine, POSITION);
  const recovered = create({ redo: true });
  await replayLog(disk, recovered, POSITION.nextSegment);
  expect(dump(recovered, 0)).toEqual(dump(engine, 0));
  expect(dump(recovered, 0).length).toBe(3);
});

/** Lets something happen before each write to a file of a disk, as others run while a real one works. */
function beforeWrites(disk: Disk, call: () => void): void {
  const open = disk.open.bind(disk);
  disk.open = async (name, options) => {
    const file = await open(name, options);
    const write = file.write.bind(file);
    file.write = (offset, bytes) => {
      call();
      return write(offset, bytes);
    };
    return file;
  };
}

// A nil was written as the value of a key that had expired, and the snapshot could never be read.
test.each([
  ['swiss', subject],
  ['map', oracle],
])('keys that expire while a snapshot is written do no harm to it, engine %s', async (_, create) => {
  const engine = create({ redo: true });
  // Together they are more than a reply may hold, so that some have to be asked for alone.
  const large = 'x'.repeat(12 * MiB);
  for (let i = 0; i < 6; i++) results(engine, [encode([Op.SET, `large ${i}`, large, 1000])], 0);
  for (let i = 0; i < 6; i++) {
    results(engine, [encode([Op.SET, `stays ${i}`, 'x'.repeat(1000)])], 0);
    results(engine, [encode([Op.SET, `error ${i}`, MEMORY_LIMIT, 1000])], 0);
  }
  const { disk } = new SimulatedMachine(new Random(1));
  beforeWrites(disk, () => engine.sweep(2000, 0));
  await writeSnapshot(disk, engine, POSITION);
  const recovered = create({ redo: true });
  await replayLog(disk, recovered, POSITION.nextSegment);
  expect(dump(recovered, 2000)).toEqual(dump(engine, 2000));
  expect(dump(recovered, 2000).length).toBe(6);
});
