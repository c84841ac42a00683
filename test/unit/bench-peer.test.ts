/** What a connection of the load generator sends at once. */
import { expect, test } from 'vitest';
import { FramePool } from '../../bench/load/frames.ts';
import { Peer, type Task } from '../../bench/load/peer.ts';
import { READ, Values, writeKey } from '../../bench/load/workload.ts';
import type { Connection } from '../../transports/transport.ts';

const FRAMES = 6;
const values = new Values(17);
const pool = new FramePool(
  { keyNumbers: Uint32Array.from({ length: FRAMES }, (_, i) => i), versions: new Uint8Array(FRAMES).fill(READ) },
  1,
  values,
);

/** The reply to a frame of the pool. */
function reply(frame: number): Uint8Array {
  const bytes = new Uint8Array(pool.replyBytes(frame));
  bytes.set([0xce, 0, 0, 0, bytes.length - 5, 0x91, 0xa0 | values.length]);
  values.write(bytes, 7, frame, 0);
  return bytes;
}

function peerOn(framing: Connection['framing'], sent: Uint8Array[]) {
  const connection = { framing, send: (bytes: Uint8Array) => sent.push(bytes.slice()), destroy() {} };
  const peer = new Peer(connection as unknown as Connection, FRAMES);
  const failures: Error[] = [];
  let next = 3;
  const task: Task = {
    pool,
    // The frames go round: the pool's last one is followed by its first.
    replied: (one, _millis, nowMs) => one.send(next++ % FRAMES, nowMs),
    fail: (error) => failures.push(error),
  };
  peer.begin(task);
  for (const frame of [0, 1, 2]) peer.send(frame, 0);
  return { peer, failures };
}

test('frames whose turn comes with the same chunk leave together', () => {
  const sent: Uint8Array[] = [];
  const { peer, failures } = peerOn('stream', sent);
  expect(sent).toEqual([0, 1, 2].map((frame) => pool.frame(frame)));
  peer.data(Buffer.concat([0, 1, 2].map(reply)));
  expect(sent.slice(3)).toEqual([pool.frame(3, 3)]);
  // The third reply comes in two pieces.
  peer.data(Buffer.concat([reply(3), reply(4), reply(5).subarray(0, 9)]));
  peer.data(reply(5).subarray(9));
  expect(sent.slice(4)).toEqual([pool.frame(0, 2), pool.frame(2)]);
  expect(failures).toEqual([]);
});

test('across the end of the pool they leave in two', () => {
  const sent: Uint8Array[] = [];
  const { peer, failures } = peerOn('stream', sent);
  peer.data(reply(0));
  peer.data(reply(1));
  sent.length = 0;
  // 5, then 0 and 1.
  peer.data(Buffer.concat([2, 3, 4].map(reply)));
  expect(sent).toEqual([pool.frame(5), pool.frame(0, 2)]);
  expect(failures).toEqual([]);
});

test('messages stay apart', () => {
  const sent: Uint8Array[] = [];
  const { peer, failures } = peerOn('message', sent);
  for (const frame of [0, 1]) peer.data(reply(frame).subarray(5));
  expect(sent.slice(3)).toEqual([pool.payload(3), pool.payload(4)]);
  expect(failures).toEqual([]);
});

test('nothing leaves after a wrong reply', () => {
  const sent: Uint8Array[] = [];
  const { peer, failures } = peerOn('stream', sent);
  const wrong = reply(1);
  writeKey(wrong, 6, 7);
  peer.data(Buffer.concat([reply(0), wrong]));
  expect(sent).toHaveLength(3);
  expect(failures).toHaveLength(1);
});
