/** The client's queue: frames are cut from one buffer, which stays small though much is given up or sent. */
import { decode } from '@msgpack/msgpack';
import { describe, expect, test } from 'vitest';
import { ClosedError } from '../../core/client/errors.ts';
import { operations } from '../../core/client/operations.ts';
import { Queue } from '../../core/client/queue.ts';
import { Request } from '../../core/client/request.ts';
import { MAX_FRAME_OPERATIONS, Op } from '../../core/protocol.ts';

function add(queue: Queue, key: string): Request {
  const span = queue.write(operations.get, [key]);
  const request = new Request(
    operations.get,
    span,
    Number.POSITIVE_INFINITY,
    () => {},
    () => {},
  );
  queue.push(request);
  return request;
}

function giveUp(queue: Queue, request: Request): void {
  request.reject(new ClosedError('given up'));
  queue.giveUp(request);
}

/** The keys of each frame. */
function frames(queue: Queue, payloadBytesMax: number): string[][] {
  const keys: string[][] = [];
  for (
    let frame = queue.take(payloadBytesMax, MAX_FRAME_OPERATIONS);
    frame !== undefined;
    frame = queue.take(payloadBytesMax, MAX_FRAME_OPERATIONS)
  ) {
    expect(frame.bytes.length).toBe(5 + new DataView(frame.bytes.buffer, frame.bytes.byteOffset).getUint32(1));
    expect(frame.bytes.length - 5).toBeLessThanOrEqual(payloadBytesMax);
    const operations = decode(frame.bytes.subarray(5)) as [number, string][];
    expect(operations.every(([code]) => code === Op.GET)).toBe(true);
    keys.push(operations.map(([, key]) => key));
  }
  expect(queue.isEmpty).toBe(true);
  return keys;
}

describe('the queue', () => {
  test.each([15, 16, 65_535, 65_536])('puts %i operations into one frame', (count) => {
    const queue = new Queue();
    for (let i = 0; i < count; i++) add(queue, 'k');
    expect(frames(queue, 1e9).map((keys) => keys.length)).toEqual([count]);
  });

  test('cuts frames of every size, and none of what was given up', () => {
    for (let size = 20; size <= 200; size += 3) {
      const queue = new Queue();
      const names = Array.from({ length: 100 }, (_, i) => `key${i}`);
      const requests = names.map((name) => add(queue, name));
      requests.forEach((request, i) => {
        if (i % 7 === 3 || i > 90) giveUp(queue, request);
      });
      expect(frames(queue, size).flat()).toEqual(names.filter((_, i) => i % 7 !== 3 && i <= 90));
    }
  });

  test('gives the memory of what was given up back, though something waits for ever', () => {
    const queue = new Queue();
    const first = add(queue, 'waits for ever');
    for (let i = 0; i < 2000; i++) giveUp(queue, add(queue, 'x'.repeat(1000)));
    expect(add(queue, 'last').start).toBeLessThan(200_000);
    expect(frames(queue, 1000).flat()).toEqual(['waits for ever', 'last']);
    expect(first.isSettled).toBe(false);
  });

  test('starts over once all was sent', () => {
    const queue = new Queue();
    const { start } = add(queue, 'x'.repeat(60_000));
    frames(queue, 1e6);
    expect(add(queue, 'y').start).toBe(start);
  });

  test('puts back what was sent before what waits', () => {
    const queue = new Queue();
    const requests = ['a', 'b', 'c'].map((key) => add(queue, key));
    const bytes = queue.take(1000, MAX_FRAME_OPERATIONS)!.bytes.slice();
    add(queue, 'd');
    requests[1]!.reject(new ClosedError('given up'));
    queue.putBack(requests.map((request) => ({ request, bytes })));
    expect(frames(queue, 1000)).toEqual([['a', 'c', 'd']]);
  });

  test('keeps what is larger than may be taken now', () => {
    const queue = new Queue();
    for (const key of ['one', 'a much longer one']) add(queue, key);
    expect(decode(queue.take(10, MAX_FRAME_OPERATIONS)!.bytes.subarray(5))).toEqual([[Op.GET, 'one']]);
    expect(queue.take(10, MAX_FRAME_OPERATIONS)).toBeUndefined();
    expect(queue.isEmpty).toBe(false);
    expect(frames(queue, 100)).toEqual([['a much longer one']]);
  });

  test('stays small when something always waits', () => {
    const queue = new Queue();
    const key = 'k'.repeat(60_000);
    for (let i = 0; i < 3; i++) add(queue, key);
    for (let i = 0; i < 200; i++) {
      add(queue, key);
      const { bytes } = queue.take(100_000, MAX_FRAME_OPERATIONS)!;
      expect(decode(bytes.subarray(5))).toEqual([[Op.GET, key]]);
      expect(bytes.buffer.byteLength).toBeLessThan(8 * 1024 * 1024);
    }
  });
});
