/** Sessions and shards where a socket would be in the way: what a connection costs, and turns that end early. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, expect, test } from 'vitest';
import type { Connection, ConnectionHandler } from '../../core/connection.ts';
import { createMapEngine } from '../../core/engine/map.ts';
import { createSwissEngine } from '../../core/engine/swiss.ts';
import { Shard, type ShardOptions, TURN_OUTPUT_BYTES_MAX } from '../../core/server/shard.ts';
import { concat, encode } from '../support/bytes.ts';
import { frame, request } from '../support/wire.ts';

function createShard(options: Partial<ShardOptions> = {}): Shard {
  return new Shard({
    engine: createMapEngine(),
    identity: { version: '0', runtime: 'test', transport: 'test' },
    now: () => 0,
    shards: () => [[0, 16_383, 'memory:test']],
    ...options,
  });
}

/** A connection whose kernel takes as much as it is told to, and that notes what it was asked. */
class Pipe implements Connection {
  readonly framing = 'stream';
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
    const frames = request([PING, 'x'.repeat(5000)]);
    const keepBusy = (handler: ConnectionHandler): void => {
      handler.data(frames.subarray(0, 3000));
      handler.data(frames.subarray(3000));
      shard.turnEnd();
    };
    keepBusy(shard.open(new Pipe()));
    const before = used();
    const handlers = pipes.map((pipe) => shard.open(pipe));
    for (const handler of handlers.slice(0, 1000)) keepBusy(handler);
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

  test('of many who have read at the same time, each turn answers one, and others between them', () => {
    const { shard } = heavyShard(new Pipe());
    const pipes = Array.from({ length: 5 }, () => new Pipe(0));
    const handlers = pipes.map((pipe) => shard.open(pipe));
    for (const handler of handlers) handler.data(concat(request([GET, 'heavy']), request([GET, 'heavy'])));
    shard.turnEnd();
    expect(pipes.map(({ replies }) => replies)).toEqual([1, 1, 1, 1, 1]);
    for (const [at, pipe] of pipes.entries()) pipe.drain(handlers[at]!);
    const other = new Pipe();
    const asked = shard.open(other);
    const answered = (): number => pipes.reduce((sum, { replies }) => sum + replies, 0) - pipes.length;
    for (let turn = 1; turn <= pipes.length; turn++) {
      asked.data(request([PING]));
      expect(shard.turnEnd()).toBe(true);
      expect(other.replies).toBe(turn);
      expect(answered()).toBe(turn);
    }
    while (shard.turnEnd());
    expect(pipes.map(({ reading }) => reading)).toEqual([true, true, true, true, true]);
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

  test('what arrives in the memory of the engine is executed to its end, though the memory grows meanwhile', () => {
    // A view on what arrived was once used after the memory had grown under it, and the rest of the frames was lost.
    const pipe = new Pipe();
    const shard = createShard({ engine: createSwissEngine() });
    const session = shard.open(pipe);
    const values = [300_000, 4_000_000, 500_000].map((length, i) => Buffer.alloc(length, `value ${i} `));
    const stream = concat(
      ...values.flatMap((value, i) => [request([SET, `k${i}`, value]), request([PING, `after ${i}`])]),
      request([GET, 'k0'], [GET, 'k1'], [GET, 'k2']),
    );
    const chunkBytes = 700_000;
    const offset = shard.room!.allocate(chunkBytes);
    let growths = 0;
    for (let at = 0; at < stream.length; at += chunkBytes) {
      const chunk = stream.subarray(at, at + chunkBytes);
      shard.room!.memory.set(chunk, offset);
      const before = shard.room!.memory;
      session.data(before.subarray(offset, offset + chunk.length));
      if (shard.room!.memory !== before) growths++;
      while (shard.turnEnd());
    }
    expect(growths).toBeGreaterThan(1);
    const replies = Buffer.concat(pipe.sent);
    const expected = concat(
      ...values.flatMap((_, i) => [frame(encode([true])), frame(encode([`after ${i}`]))]),
      frame(encode(values)),
    );
    expect(Buffer.compare(replies, expected)).toBe(0);
    const again = (): void => {
      for (let at = 0; at < stream.length; at += chunkBytes) session.data(stream.slice(at, at + chunkBytes));
      while (shard.turnEnd());
      pipe.sent.length = 0;
    };
    // What was needed to put the frames together has been given back; once it may be in pieces that are too small.
    again();
    const reserved = shard.room!.memory.length;
    for (let i = 0; i < 100; i++) again();
    expect(shard.room!.memory.length).toBe(reserved);
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

describe('refusals', () => {
  test('nothing behind a header that was refused is executed, however it was split', () => {
    // The rest of the chunk that completed the header was executed as if nothing had been.
    const pipe = new Pipe();
    const shard = createShard({ maxFrameBytes: 1024 });
    const handler = shard.open(pipe);
    handler.data(Uint8Array.of(0xce, 0, 0));
    handler.data(concat(Uint8Array.of(0xff, 0xff), request([SET, 'smuggled', 1])));
    shard.turnEnd();
    expect(Buffer.concat(pipe.sent).toString('latin1')).toContain('SIZE');
    expect([pipe.ended, shard.engine.stats().keys]).toEqual([true, 0]);
  });

  test('the connection ends though the error left early, when it made the output of the turn too large', () => {
    const shard = createShard();
    const [others, pipe] = [new Pipe(), new Pipe()];
    // Just below what makes replies leave before their turn ends, so that the error crosses it.
    shard.open(others).data(request([PING, 'x'.repeat(TURN_OUTPUT_BYTES_MAX - 20)]));
    expect(others.sent).toEqual([]);
    shard.open(pipe).data(concat(Uint8Array.of(0xce, 0, 0, 0, 1, 0xc1)));
    expect([others.sent.length, pipe.sent.length]).toEqual([1, 1]);
    shard.turnEnd();
    expect(pipe.sent.length).toBe(1);
    expect(pipe.sent[0]!.toString('latin1')).toContain('FRAME');
    expect(pipe.ended).toBe(true);
  });

  test('arguments of HELLO, AUTH and INFO that a decoder would choke on are answered', () => {
    // msgpackr threw on extensions that it does not know, through the engine and out of the server.
    const unknownExt = Uint8Array.of(0xd4, 5, 0);
    for (const engine of [createMapEngine(), createSwissEngine()]) {
      const pipe = new Pipe();
      const shard = createShard({ engine });
      const handler = shard.open(pipe);
      for (const code of [32, 33, 34]) {
        for (const argument of [
          unknownExt,
          Uint8Array.of(0x81, 0x01, 0x02),
          Uint8Array.of(0x81, ...unknownExt, 0xc0),
        ]) {
          handler.data(frame(concat(Uint8Array.of(0x91, 0x92, code), argument)));
          shard.turnEnd();
          expect(pipe.sent.pop()!.toString('latin1')).toMatch(/TYPE|RANGE|OP/);
        }
      }
      expect(pipe.ended).toBe(false);
    }
  });

  test('a frame that asks for the figures often has them gathered once, and the next frame anew', () => {
    let gathered = 0;
    const shard = createShard({ processFigures: () => ({ gathered: ++gathered }) });
    const handler = shard.open(new Pipe());
    handler.data(request(...Array.from({ length: 100 }, () => [34])));
    expect(gathered).toBe(1);
    handler.data(request([34]));
    expect(gathered).toBe(2);
  });

  test('a limit of the frame that makes no sense', () => {
    for (const maxFrameBytes of [Number.NaN, 10, 1.5, 2 ** 40]) {
      expect(() => createShard({ maxFrameBytes })).toThrow(/maxFrameBytes is .* must be an integer from 1024 to/);
    }
  });
});

describe('expiry', () => {
  test('keys that expire are removed as fast as others are set: memory follows what is alive', () => {
    // The sweep of a turn had a fixed budget, which busy turns outran.
    let nowMs = 0;
    const shard = createShard({ engine: createSwissEngine(), now: () => nowMs });
    const handler = shard.open(new Pipe());
    for (let turn = 0; turn < 300; turn++, nowMs += 10) {
      handler.data(request(...Array.from({ length: 1000 }, (_, i) => [SET, `${turn}:${i}`, 1, 500])));
      shard.turnEnd();
    }
    // 50 turns are alive at a time.
    expect(shard.engine.stats().keys).toBeLessThan(60_000);
  });

  test('a long value does not pay for the removal of all that is due: the turn would take that much longer', () => {
    // The budget grew with the bytes of requests, so that one of a megabyte removed 250,000 keys in its turn.
    let nowMs = 0;
    const shard = createShard({ engine: createSwissEngine(), now: () => nowMs });
    const handler = shard.open(new Pipe());
    handler.data(request(...Array.from({ length: 10_000 }, (_, i) => [SET, i.toString(), 1, 500])));
    shard.turnEnd();
    nowMs = 1000;
    handler.data(request([SET, 'long', 'x'.repeat(1024 * 1024)]));
    shard.turnEnd();
    expect(shard.engine.stats().expired).toBeLessThan(100);
    for (let tick = 0; tick < 4; tick++) shard.tick();
    expect(shard.engine.stats()).toMatchObject({ expired: 10_000, keys: 1 });
  });
});
