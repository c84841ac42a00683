/** The append side of the log: which bytes go where, and how segments follow one another. */
import { crc32 } from 'node:zlib';
import { expect, test } from 'vitest';
import { RECORD_HEADER_BYTES, recordBytes, SEGMENT_HEADER_BYTES } from '../../core/log/format.ts';
import { Log, type LogSegment } from '../../core/log/log.ts';
import { FRAME_HEADER_BYTES } from '../../core/protocol.ts';

const START = { sequence: 0, checksum: 0 };

/** A segment whose file is never used: what is to be written is seen in the batches. */
function segment(index: number, sizeBytes = 1024 * 1024): LogSegment {
  const file = {
    commit: () => {
      throw new Error('nothing is committed here');
    },
    close: () => {},
  };
  return { index, salt: new Uint8Array(8).fill(index), sizeBytes, file };
}

function bytesInRecord(...redos: Uint8Array[]): number {
  return recordBytes(redos.reduce((sum, redo) => sum + FRAME_HEADER_BYTES + redo.length, 0));
}

test('a turn is one record, however many payloads it has, and a turn without changes is none', () => {
  const log = new Log(segment(1), START, crc32);
  expect(log.endTurn()).toBe(0);
  expect(log.take()).toBeUndefined();
  const first = new Uint8Array(10).fill(1);
  const second = new Uint8Array(20).fill(2);
  log.append(first, 1000);
  log.append(new Uint8Array(), 1000);
  log.append(second, 1000);
  expect(log.take()).toBeUndefined();
  expect(log.endTurn()).toBe(1);
  const batch = log.take()!;
  expect(batch).toMatchObject({ offset: SEGMENT_HEADER_BYTES, sequence: 1, lastOfSegment: false });
  expect(batch.bytes.length).toBe(bytesInRecord(first, second));
  expect(batch.bytes.subarray(RECORD_HEADER_BYTES, RECORD_HEADER_BYTES + 15)).toEqual(
    new Uint8Array([0xce, 0, 0, 0, 10, ...first]),
  );
});

test('payloads of different times are in different records', () => {
  const log = new Log(segment(1), START, crc32);
  log.append(new Uint8Array(1), 1000);
  log.append(new Uint8Array(1), 1001);
  expect(log.endTurn()).toBe(2);
});

test('turns that end while a batch is under way make the next one, right behind it', () => {
  const log = new Log(segment(1), START, crc32);
  log.append(new Uint8Array(100), 1000);
  log.endTurn();
  const first = log.take()!;
  const copy = first.bytes.slice();
  for (let turn = 0; turn < 2000; turn++) {
    log.append(new Uint8Array(100).fill(turn), 1000);
    log.endTurn();
  }
  const second = log.take()!;
  expect(second).toMatchObject({ offset: first.offset + first.bytes.length, sequence: 2001 });
  expect(second.bytes.length).toBe(2000 * bytesInRecord(new Uint8Array(100)));
  expect(first.bytes).toEqual(copy);
});

test('a record that is open when a batch is taken stays whole', () => {
  const log = new Log(segment(1), START, crc32);
  log.append(new Uint8Array(8).fill(1), 1000);
  log.endTurn();
  log.append(new Uint8Array(8).fill(2), 1000);
  expect(log.take()!.sequence).toBe(1);
  log.append(new Uint8Array(8).fill(3), 1000);
  expect(log.endTurn()).toBe(2);
  const body = log.take()!.bytes.subarray(RECORD_HEADER_BYTES);
  expect([...body.subarray(5, 13), ...body.subarray(18, 26)]).toEqual([...Array(8).fill(2), ...Array(8).fill(3)]);
});

test('a full segment is closed by a batch that says so, and the next begins behind its header', () => {
  const redo = new Uint8Array(1000);
  const room = bytesInRecord(redo);
  const log = new Log(segment(1, SEGMENT_HEADER_BYTES + 2 * room), START, crc32);
  log.addSegment(segment(2));
  expect(() => log.addSegment(segment(4))).toThrow(RangeError);
  for (let turn = 0; turn < 3; turn++) {
    log.append(redo, 1000);
    log.endTurn();
  }
  expect(log.needsSegment).toBe(true);
  expect(log.take()).toMatchObject({ segment: { index: 1 }, sequence: 2, lastOfSegment: true });
  expect(log.take()).toMatchObject({ segment: { index: 2 }, offset: SEGMENT_HEADER_BYTES, sequence: 3 });
  expect(log.take()).toBeUndefined();
});

test('a segment that ends with everything taken is closed by an empty batch', () => {
  const redo = new Uint8Array(1000);
  const log = new Log(segment(1, SEGMENT_HEADER_BYTES + bytesInRecord(redo)), START, crc32);
  log.addSegment(segment(2));
  log.append(redo, 1000);
  log.endTurn();
  const first = log.take()!;
  log.append(redo, 1000);
  log.endTurn();
  expect(log.take()).toMatchObject({ offset: first.offset + first.bytes.length, sequence: 1, lastOfSegment: true });
  expect(log.take()).toMatchObject({ segment: { index: 2 }, sequence: 2 });
});

test('while no other segment is prepared, a full one grows; so does one for a record larger than it', () => {
  const log = new Log(segment(1, 2 * SEGMENT_HEADER_BYTES), START, crc32);
  log.append(new Uint8Array(100_000), 1000);
  log.append(new Uint8Array(100_000), 1001);
  log.endTurn();
  expect(log.take()).toMatchObject({ segment: { index: 1 }, sequence: 2, lastOfSegment: false });
  log.addSegment(segment(2));
  log.append(new Uint8Array(1), 1002);
  log.endTurn();
  expect(log.take()).toMatchObject({ segment: { index: 1 }, sequence: 2, lastOfSegment: true });
  expect(log.take()).toMatchObject({ segment: { index: 2 }, sequence: 3 });
});

test('the log knows where it ended when its segment was begun', () => {
  const log = new Log(segment(1, 2 * SEGMENT_HEADER_BYTES), START, crc32);
  log.append(new Uint8Array(10), 1000);
  log.endTurn();
  expect(log.segmentStart).toEqual(START);
  log.addSegment(segment(2));
  const { position } = log;
  log.append(new Uint8Array(SEGMENT_HEADER_BYTES), 1000);
  log.endTurn();
  expect(log.segment.index).toBe(2);
  expect(log.segmentStart).toEqual(position);
  log.addSegment(segment(3));
  expect(log.endSegment()).toBe(true);
  expect(log.segmentStart).toEqual(log.position);
});
