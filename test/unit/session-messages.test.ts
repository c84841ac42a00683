/** Sessions on connections that carry messages: a message is a payload, and everything else is as on a stream. */
import { describe, expect, test } from 'vitest';
import type { Connection, ConnectionHandler, Lease } from '../../core/connection.ts';
import { createMapEngine } from '../../core/engine/map.ts';
import { createSwissEngine } from '../../core/engine/swiss.ts';
import { Shard, type ShardOptions } from '../../core/server/shard.ts';
import { concat, encode } from '../support/bytes.ts';

const MiB = 1024 * 1024;
const PING = 0;
const GET = 1;
const SET = 2;

function createShard(options: Partial<ShardOptions> = {}): Shard {
  return new Shard({
    engine: createMapEngine(),
    identity: { version: '0', runtime: 'test', transport: 'test' },
    now: () => 0,
    shards: () => [[0, 16_383, 'memory:test']],
    ...options,
  });
}

const request = (...operations: readonly unknown[]): Uint8Array => encode(operations);
const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString('latin1');

/** A connection that carries messages, and notes what it was asked. */
class Messages implements Connection {
  readonly framing = 'message';
  readonly sent: Buffer[] = [];
  /** How many messages left in each cork. */
  readonly corked: number[] = [];
  pendingBytes = 0;
  reading = true;
  ended = false;
  /** What is sent stays pending until `drain`. */
  isStuck = false;
  retainsLeases = false;
  readonly leases: Lease[] = [];

  send(bytes: Uint8Array, lease?: Lease): void {
    if (this.ended) throw new Error('send after end');
    this.sent.push(Buffer.from(bytes));
    if (this.isStuck) this.pendingBytes += bytes.length;
    if (!this.retainsLeases || lease === undefined) return;
    lease.retain();
    this.leases.push(lease);
  }

  cork(sends: () => void): void {
    const before = this.sent.length;
    sends();
    this.corked.push(this.sent.length - before);
  }

  pauseReading(): void {
    this.reading = false;
  }

  resumeReading(): void {
    this.reading = true;
  }

  end(): void {
    this.ended = true;
  }

  destroy(): void {
    this.ended = true;
  }

  /** The peer reads everything, and goes on doing so. */
  drain(handler: ConnectionHandler): void {
    this.isStuck = false;
    this.pendingBytes = 0;
    handler.drain();
  }
}

describe('messages', () => {
  test('each is a payload, and each reply is one message without a header', () => {
    const shard = createShard();
    const connection = new Messages();
    const handler = shard.open(connection);
    handler.data(request([SET, 'a', 1]));
    shard.turnEnd();
    handler.data(request([GET, 'a']));
    handler.data(request());
    handler.data(request([PING, 'x'.repeat(70_000)]));
    shard.turnEnd();
    expect(connection.sent.map((message) => message.toString('hex').slice(0, 4))).toEqual([
      '91c3',
      '9101',
      '90',
      '91db',
    ]);
    expect(connection.sent.at(-1)!.length).toBe(1 + 5 + 70_000);
  });

  test('the replies of a turn leave in one cork, and a single one by itself', () => {
    const shard = createShard();
    const [one, other] = [new Messages(), new Messages()];
    const [first, second] = [shard.open(one), shard.open(other)];
    for (let i = 0; i < 5; i++) first.data(request([PING, i]));
    second.data(request([PING, 'other']));
    shard.turnEnd();
    expect([one.corked, one.sent.length]).toEqual([[5], 5]);
    expect([other.corked, other.sent.length]).toEqual([[], 1]);
  });

  test('each message that a transport keeps retains the lease of its output', () => {
    const shard = createShard({ engine: createSwissEngine() });
    const connection = new Messages();
    connection.retainsLeases = true;
    const handler = shard.open(connection);
    for (let i = 0; i < 3; i++) handler.data(request([PING, i]));
    shard.turnEnd();
    expect([connection.leases.length, new Set(connection.leases).size]).toEqual([3, 1]);
    for (const lease of connection.leases) lease.release();
  });

  test('a payload that lies in the memory of the engine is executed there', () => {
    const shard = createShard({ engine: createSwissEngine() });
    const connection = new Messages();
    const handler = shard.open(connection);
    const payload = request([PING, 'here']);
    const { room } = shard;
    const offset = room!.allocate(4096);
    room!.memory.set(payload, offset);
    handler.data(room!.memory.subarray(offset, offset + payload.length));
    shard.turnEnd();
    expect(text(connection.sent[0]!)).toContain('here');
    room!.free(offset);
  });
});

describe('back-pressure', () => {
  test('messages that come while the session is blocked are kept, and answered in their order', () => {
    const shard = createShard();
    const connection = new Messages();
    connection.isStuck = true;
    const handler = shard.open(connection);
    handler.data(request([PING, 'x'.repeat(MiB + 1)]));
    shard.turnEnd();
    expect(connection.reading).toBe(false);
    for (let i = 0; i < 20; i++) handler.data(request([PING, `late ${i}`], [SET, 'k', i]));
    handler.data(request());
    shard.turnEnd();
    expect([connection.sent.length, shard.engine.stats().keys]).toEqual([1, 0]);
    connection.drain(handler);
    while (shard.turnEnd());
    expect(connection.reading).toBe(true);
    expect(connection.sent.slice(1, -1).map((message) => /late \d+/.exec(text(message))?.[0])).toEqual(
      Array.from({ length: 20 }, (_, i) => `late ${i}`),
    );
    expect(text(connection.sent.at(-1)!)).toBe('\x90');
  });

  test('what is kept of a message that is too long is its length, which is refused in its turn', () => {
    const shard = createShard({ maxFrameBytes: 2 * MiB });
    const connection = new Messages();
    connection.isStuck = true;
    const handler = shard.open(connection);
    handler.data(request([PING, 'x'.repeat(MiB + 1)]));
    shard.turnEnd();
    handler.data(request([PING, 'before']));
    handler.data(new Uint8Array(2 * MiB + 1));
    handler.data(request([SET, 'behind', 1]));
    connection.drain(handler);
    while (shard.turnEnd());
    expect(connection.sent.slice(1).map((message) => /before|SIZE/.exec(text(message))?.[0])).toEqual([
      'before',
      'SIZE',
    ]);
    expect([connection.ended, shard.engine.stats().keys]).toEqual([true, 0]);
  });
});

describe('refusals', () => {
  const unreadable: [string, Uint8Array, string][] = [
    ['no array', encode({ no: 'array' }), 'FRAME'],
    ['empty', new Uint8Array(0), 'FRAME'],
    ['truncated', Uint8Array.of(0x92, 0xc0), 'FRAME'],
    ['with the header of a frame', concat(Uint8Array.of(0xce, 0, 0, 0, 3), encode([[PING]])), 'FRAME'],
    ['too long', new Uint8Array(1025), 'SIZE'],
  ];
  test.each(unreadable)(
    'a payload that is %s: one message, after the replies before it, then the end',
    (_, bytes, code) => {
      for (const engine of [createMapEngine(), createSwissEngine()]) {
        const shard = createShard({ engine, maxFrameBytes: 1024 });
        const connection = new Messages();
        const handler = shard.open(connection);
        handler.data(request([PING, 'before']));
        handler.data(bytes);
        handler.data(request([SET, 'behind', 1]));
        shard.turnEnd();
        expect(connection.sent.length).toBe(2);
        expect(text(connection.sent[0]!)).toContain('before');
        // MessagePack's ext type 1, and nothing before it.
        expect(text(connection.sent[1]!)).toMatch(new RegExp(`^(?:\\xc7.|[\\xd4-\\xd8])\\x01[^]*${code}`));
        expect([connection.ended, shard.engine.stats().keys]).toEqual([true, 0]);
      }
    },
  );
});
