/** Sessions and shards where a socket would be in the way: what a connection costs, and turns that end early. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, expect, test } from 'vitest';
import type { Connection, ConnectionHandler } from '../../core/connection.ts';
import { createMapEngine } from '../../core/engine/map.ts';
import { Shard } from '../../core/server/shard.ts';
import { concat } from '../support/bytes.ts';
import { request } from '../support/wire.ts';

function createShard(): Shard {
  return new Shard({
    engine: createMapEngine(),
    identity: { version: '0', runtime: 'test', transport: 'test' },
    now: () => 0,
    url: () => 'memory:test',
  });
}

/** A connection whose kernel takes as much as it is told to, and that notes what it was asked. */
class Pipe implements Connection {
  readonly sent: Buffer[] = [];
  pendingBytes = 0;
  reading = true;
  ended = false;
  #room: number;

  constructor(room = Number.POSITIVE_INFINITY) {
    this.#room = room;
  }

  send(bytes: Uint8Array): void {
    if (this.ended) throw new Error('send after end');
    this.sent.push(Buffer.from(bytes));
    this.pendingBytes += Math.max(0, bytes.length - this.#room);
    this.#room = Math.max(0, this.#room - bytes.length);
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
    this.pendingBytes = 0;
    this.#room = Number.POSITIVE_INFINITY;
    handler.drain();
  }

  get replies(): number {
    return this.sent.reduce((sum, bytes) => sum + bytes.toString('latin1').split('\xce\x00').length - 1, 0);
  }
}

const MiB = 1024 * 1024;
const SET = 2;
const GET = 1;
const PING = 0;

/** A shard that holds a value of 1 MiB, and a connection to it. */
function heavyShard(pipe: Pipe): { shard: Shard; handler: ConnectionHandler } {
  const shard = createShard();
  const handler = shard.open(pipe);
  handler.data(request([SET, 'heavy', 'x'.repeat(MiB)]));
  shard.turnEnd();
  pipe.sent.length = 0;
  return { shard, handler };
}

describe('an idle connection', () => {
  test('costs less than 1 KiB of ours, also after it has been busy', () => {
    setFlagsFromString('--expose-gc');
    const collect = runInNewContext('gc') as () => void;
    const shard = createShard();
    const count = 20_000;
    const pipes = Array.from({ length: count }, () => new Pipe());
    const used = (): number => {
      collect();
      const { heapUsed, arrayBuffers } = process.memoryUsage();
      return heapUsed + arrayBuffers;
    };
    const before = used();
    const handlers = pipes.map((pipe) => shard.open(pipe));
    const frames = request([PING, 'x'.repeat(5000)]);
    for (const handler of handlers.slice(0, 1000)) {
      handler.data(frames.subarray(0, 3000));
      handler.data(frames.subarray(3000));
    }
    shard.turnEnd();
    for (const pipe of pipes) pipe.sent.length = 0;
    expect((used() - before) / count).toBeLessThan(1024);
    expect(handlers.length).toBe(count);
  });
});

describe('back-pressure', () => {
  test('a session that has more to send than the limit stops reading, and goes on when the peer has read', () => {
    const pipe = new Pipe(0);
    const { shard, handler } = heavyShard(pipe);
    pipe.drain(handler);
    const blocked = new Pipe(100);
    const other = shard.open(blocked);
    other.data(concat(...Array.from({ length: 10 }, (_, i) => request([GET, 'heavy'], [PING, i]))));
    expect(shard.turnEnd()).toBe(false);
    expect(blocked.reading).toBe(false);
    expect(blocked.sent.length).toBe(1);
    // What was on its way already is kept, and answered in its turn.
    other.data(request([PING, 'late']));
    blocked.drain(other);
    while (shard.turnEnd());
    expect(blocked.reading).toBe(true);
    expect(blocked.replies).toBe(11);
    expect(blocked.sent.at(-1)!.toString('latin1')).toContain('late');
  });

  test('when the kernel takes everything at once no drain comes: the session goes on in the next turn by itself', () => {
    const pipe = new Pipe();
    const { shard, handler } = heavyShard(pipe);
    handler.data(concat(...Array.from({ length: 5 }, () => request([GET, 'heavy']))));
    expect(pipe.reading).toBe(false);
    expect(shard.turnEnd()).toBe(true);
    while (shard.turnEnd());
    expect(pipe.reading).toBe(true);
    expect(pipe.sent.length).toBe(5);
  });

  test('a turn that ends early lets nobody else execute between two frames of a session', () => {
    // The output of a turn had grown too large, so it was sent while a session was in the middle of its frames; and those
    // of a session that waited for its turn were put over them in the engine's input.
    const waiting = new Pipe();
    const { shard, handler } = heavyShard(waiting);
    handler.data(concat(...Array.from({ length: 3 }, () => request([GET, 'heavy'], [PING, 'waiting']))));
    expect(shard.turnEnd()).toBe(true);
    const pipes = Array.from({ length: 6 }, () => new Pipe());
    for (const pipe of pipes) {
      const frames = [request([PING, 'small']), request([GET, 'heavy']), request([PING, 'x'.repeat(5000)])];
      shard.open(pipe).data(concat(...frames));
    }
    while (shard.turnEnd());
    for (const pipe of [...pipes, waiting]) expect([pipe.replies, pipe.ended]).toEqual([3, false]);
  });

  test('a peer that ends while it is blocked gets all its replies before the end', () => {
    const pipe = new Pipe();
    const { shard, handler } = heavyShard(pipe);
    handler.data(concat(...Array.from({ length: 3 }, () => request([GET, 'heavy']))));
    handler.end();
    expect(pipe.ended).toBe(false);
    while (shard.turnEnd());
    expect(pipe.ended).toBe(true);
    expect(pipe.sent.length).toBe(3);
  });

  test('an unreadable frame behind others of the same turn is refused after their replies, then the end', () => {
    const one = new Pipe();
    const two = new Pipe();
    const shard = createShard();
    const [first, second] = [shard.open(one), shard.open(two)];
    first.data(request([PING, 1]));
    second.data(request([PING, 2]));
    first.data(Buffer.from('nonsense'));
    first.data(request([PING, 3]));
    shard.turnEnd();
    expect(one.ended).toBe(true);
    expect(Buffer.concat(one.sent).toString('latin1')).toContain('FRAME');
    expect(one.sent.length).toBe(2);
    expect([two.ended, two.sent.length]).toEqual([false, 1]);
  });

  test('an unreadable payload in one chunk with readable ones is answered last', () => {
    const pipe = new Pipe();
    const shard = createShard();
    const handler = shard.open(pipe);
    const unreadable = concat(Uint8Array.of(0xce, 0, 0, 0, 1, 0xc1));
    handler.data(concat(request([PING, 'first']), unreadable, request([PING, 'never'])));
    shard.turnEnd();
    const sent = Buffer.concat(pipe.sent).toString('latin1');
    expect(sent).toMatch(/first.*FRAME/s);
    expect(sent).not.toContain('never');
    expect(pipe.ended).toBe(true);
  });
});
