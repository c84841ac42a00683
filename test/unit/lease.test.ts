/** Replies that a transport has not sent yet keep their place and their bytes, whatever the engine does meanwhile. */
import { describe, expect, test } from 'vitest';
import type { Connection, Lease } from '../../core/connection.ts';
import { createMapEngine } from '../../core/engine/map.ts';
import { createSwissEngine } from '../../core/engine/swiss.ts';
import { LENT_BYTES_MAX } from '../../core/server/lease.ts';
import { Shard } from '../../core/server/shard.ts';
import { request } from '../support/wire.ts';

interface Sent {
  /** Where the reply lies, and what it was when it was sent. */
  readonly offset: number;
  readonly bytes: Buffer;
  readonly lease: Lease;
}

/** A connection that leaves what it is given where it is, as one does whose kernel reads it later. */
class Keeper implements Connection {
  readonly framing = 'stream';
  readonly pendingBytes = 0;
  readonly sent: Sent[] = [];

  send(bytes: Uint8Array, lease?: Lease): void {
    if (lease === undefined) return;
    lease.retain();
    this.sent.push({ offset: bytes.byteOffset, bytes: Buffer.from(bytes), lease });
  }

  pauseReading(): void {}
  resumeReading(): void {}
  end(): void {}
  destroy(): void {}
}

const identity = { version: '0', runtime: 'test', transport: 'test' };
const MiB = 1024 * 1024;

function start(engine = createSwissEngine()) {
  const shard = new Shard({ engine, identity, now: () => 0, shards: () => [[0, 16_383, 'memory:test']] });
  const keeper = new Keeper();
  const session = shard.open(keeper);
  const turn = (...operations: unknown[][]): void => {
    session.data(request(...operations));
    shard.turnEnd();
  };
  const unchanged = ({ offset, bytes }: Sent): boolean =>
    Buffer.compare(bytes, engine.memory.subarray(offset, offset + bytes.length)) === 0;
  return { engine, keeper, turn, unchanged };
}

describe('leases', () => {
  test('what is retained stays as it was through many turns, and through growth of the memory', () => {
    const { engine, keeper, turn, unchanged } = start();
    for (let i = 0; i < 50; i++) turn([2, `key ${i}`, 'x'.repeat(i * 997)], [1, `key ${i}`]);
    turn([2, 'large', Buffer.alloc(9 * MiB, 'large')], [1, 'large']);
    for (let i = 0; i < 50; i++) turn([1, `key ${i}`]);
    expect(keeper.sent.length).toBe(101);
    expect(keeper.sent.every(unchanged)).toBe(true);
    expect(engine.outputBytes).toBe(0);
  });

  test('what is released is used again: two outputs are enough when each turn waits for the one before', () => {
    const { engine, keeper, turn } = start();
    const offsets = new Set<number>();
    let reserved = 0;
    for (let i = 0; i < 1000; i++) {
      turn([0, 'x'.repeat(i % 500)]);
      const last = keeper.sent.at(-1)!;
      offsets.add(last.offset);
      keeper.sent.at(-2)?.lease.release();
      if (i === 100) reserved = engine.memory.length;
    }
    expect(offsets.size).toBeLessThanOrEqual(3);
    expect(engine.memory.length).toBe(reserved);
  });

  test('no more is lent than a bounded part of the memory; the rest has to be copied', () => {
    // Readers that were slow enough once took all of the engine's memory, and nobody was answered any more.
    const { engine, keeper, turn, unchanged } = start();
    const reply = Buffer.alloc(MiB, 'reply');
    for (let i = 0; i < 200; i++) turn([0, reply]);
    // Of an output that has doubled, what lies beyond the reply was given back.
    expect(keeper.sent.length).toBeGreaterThan(60);
    expect(keeper.sent.length).toBeLessThanOrEqual(LENT_BYTES_MAX / MiB);
    expect(keeper.sent.every(unchanged)).toBe(true);
    expect(engine.memory.length).toBeLessThan(4 * LENT_BYTES_MAX);
    const before = keeper.sent.length;
    for (const { lease } of keeper.sent) lease.release();
    turn([0, reply]);
    expect(keeper.sent.length).toBe(before + 1);
  });

  test('a small reply counts for all of the output that it keeps', () => {
    const { engine, keeper, turn } = start();
    for (let i = 0; i < 5000; i++) turn([0, i]);
    expect(keeper.sent.length).toBeGreaterThan(500);
    expect(engine.memory.length).toBeLessThan(2 * LENT_BYTES_MAX);
  });

  test('an output that has grown large is not kept', () => {
    const { engine, keeper, turn } = start();
    const before = engine.room!.allocate(1);
    engine.room!.free(before);
    for (let i = 0; i < 20; i++) {
      turn([0, Buffer.alloc(12 * MiB)]);
      for (const { lease } of keeper.sent.splice(0)) lease.release();
    }
    expect(engine.memory.length).toBeLessThan(100 * MiB);
  });

  test('an engine whose memory moves gives none, and room that was taken keeps its bytes', () => {
    const { keeper, turn } = start(createMapEngine());
    turn([0, 'copied']);
    expect(keeper.sent).toEqual([]);
    const { engine, turn: swissTurn } = start();
    const offset = engine.room!.allocate(4096);
    engine.memory.fill(7, offset, offset + 4096);
    swissTurn([2, 'a', Buffer.alloc(8 * MiB)], [1, 'a'], [18]);
    expect(engine.memory.subarray(offset, offset + 4096).every((byte) => byte === 7)).toBe(true);
    engine.room!.free(offset);
    expect(engine.room!.allocate(2 ** 32)).toBe(0);
  });
});
