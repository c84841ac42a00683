/** What a session does to who costs too much or does not say who it is, where a socket would be in the way. */
import { decode } from '@msgpack/msgpack';
import { describe, expect, test } from 'vitest';
import { type Connection, type ConnectionHandler, TICK_MS } from '../../core/connection.ts';
import { createMapEngine } from '../../core/engine/map.ts';
import { createSwissEngine } from '../../core/engine/swiss.ts';
import { Op } from '../../core/protocol.ts';
import { AUTH_ATTEMPTS_MAX, BUSY_TOLD_MAX, REFUSED_GRACE_MS } from '../../core/server/limits.ts';
import { Shard, type ShardOptions } from '../../core/server/shard.ts';
import { createGuard, parseTokens } from '../../runtime/tokens.ts';
import { concat } from '../support/bytes.ts';
import { frame, request, withErrors } from '../support/wire.ts';

const TOKEN = 'a-token-of-full-access';
const READER = 'a-token-that-may-read';
const MiB = 1024 * 1024;

/** A connection whose peer takes what the test lets it take. */
class Pipe implements Connection {
  readonly framing = 'stream';
  #sent: Buffer[] = [];
  pendingBytes = 0;
  isStuck = false;
  state: 'open' | 'ended' | 'destroyed' = 'open';

  send(bytes: Uint8Array): void {
    if (this.state !== 'open') throw new Error(`send after ${this.state}`);
    this.#sent.push(Buffer.from(bytes));
    if (this.isStuck) this.pendingBytes += bytes.length;
  }

  pauseReading(): void {}
  resumeReading(): void {}

  end(): void {
    if (this.state === 'open') this.state = 'ended';
  }

  destroy(): void {
    this.state = 'destroyed';
  }

  /** The replies since the last call, decoded. */
  replies(): unknown[] {
    let bytes = Buffer.concat(this.#sent);
    this.#sent = [];
    const replies: unknown[] = [];
    while (bytes.length > 0) {
      const length = bytes.readUInt32BE(1);
      replies.push(withErrors(decode(bytes.subarray(5, 5 + length))));
      bytes = bytes.subarray(5 + length);
    }
    return replies;
  }
}

function createShard(options: Partial<ShardOptions> = {}): Shard {
  return new Shard({
    engine: createSwissEngine(),
    identity: { version: '0', runtime: 'test', transport: 'test' },
    now: () => 0,
    shards: () => [[0, 16_383, 'memory:test']],
    ...options,
  });
}

const guard = createGuard(parseTokens(`${TOKEN}\nread-only ${READER}`, 'tokens'));

function connected(shard: Shard): {
  pipe: Pipe;
  handler: ConnectionHandler;
  call: (...operations: unknown[]) => unknown;
} {
  const pipe = new Pipe();
  const handler = shard.open(pipe);
  const call = (...operations: unknown[]): unknown => {
    handler.data(request(...operations));
    shard.turnEnd();
    return pipe.replies()[0];
  };
  return { pipe, handler, call };
}

/** Lets so much time go by, and a tick more. */
function wait(shard: Shard, ms: number): void {
  for (let i = 0; i <= Math.ceil(ms / TICK_MS); i++) shard.tick();
}

const auth = (message: string): unknown => ({ error: 'AUTH', message });

describe('who it is', () => {
  for (const createEngine of [createSwissEngine, createMapEngine]) {
    const { name } = createEngine();

    test(`is asked before anything is done, and told by AUTH or HELLO, on ${name}`, () => {
      const shard = createShard({ guard, engine: createEngine() });
      const { call } = connected(shard);
      expect(call([Op.PING], [Op.SET, 'k', 1], [99])).toEqual(Array(3).fill(auth('not authenticated')));
      expect(call([Op.HELLO, { version: 1 }])).toMatchObject([{ access: 'none', maxFrame: 16 * MiB }]);
      const wrong = auth('the token is not valid');
      expect(call([Op.AUTH, 'wrong'], [Op.HELLO, { version: 1, token: 'wrong' }])).toEqual([wrong, wrong]);
      expect(call([Op.AUTH, 5])).toEqual([{ error: 'TYPE', message: 'token is not a string or binary' }]);
      expect(call([Op.GET, 'k'], [Op.AUTH, READER], [Op.GET, 'k'], [Op.SET, 'k', 1])).toEqual([
        auth('not authenticated'),
        true,
        null,
        auth('this token may only read'),
      ]);
      const { call: callToo } = connected(shard);
      const hello = { version: 1, token: new TextEncoder().encode(TOKEN) };
      expect(callToo([Op.HELLO, hello], [Op.SET, 'k', 1])).toMatchObject([{ access: 'full' }, true]);
      // Nobody else has become somebody by that.
      expect(connected(shard).call([Op.GET, 'k'])).toEqual([auth('not authenticated')]);
      expect(call([Op.GET, 'k'], [Op.DEL, 'k'])).toEqual([1, auth('this token may only read')]);
    });
  }

  test('is forgotten when the token is gone, and changes when what it grants does', () => {
    const shard = createShard({ guard });
    const [writer, reader] = [connected(shard), connected(shard)];
    writer.call([Op.AUTH, TOKEN]);
    reader.call([Op.AUTH, READER]);
    shard.guard = createGuard(parseTokens(`read-only ${TOKEN}`, 'tokens'));
    expect(writer.call([Op.SET, 'k', 1], [Op.GET, 'k'])).toEqual([auth('this token may only read'), null]);
    expect(reader.call([Op.GET, 'k'])).toEqual([auth('not authenticated')]);
    shard.guard = undefined;
    expect(reader.call([Op.SET, 'k', 1])).toEqual([true]);
  });

  test('is to be told before HELLO tells of the shards, whose map may be long', () => {
    const shards = Array.from({ length: 256 }, (_, i) => [i * 64, i * 64 + 63, `tcp://127.0.0.1:${7464 + i}`] as const);
    const { call } = connected(createShard({ guard, shards: () => shards }));
    expect(call([Op.HELLO, { version: 1 }], [Op.HELLO, { version: 1, token: TOKEN }])).toMatchObject([
      { access: 'none', shards: [] },
      { access: 'full', shards },
    ]);
  });

  test('may be told wrongly some times, in one frame or several, and then no more', () => {
    for (const framesOf of [
      (tries: Uint8Array[]) => tries,
      () => [request(...Array.from({ length: 300 }, () => [Op.AUTH, 'no']), [Op.AUTH, TOKEN], [Op.GET, 'k'])],
    ]) {
      const shard = createShard({ guard });
      const { pipe, handler } = connected(shard);
      for (const one of framesOf(Array.from({ length: 20 }, () => request([Op.AUTH, 'no'])))) handler.data(one);
      shard.turnEnd();
      const replies = pipe.replies();
      expect(replies.at(-1)).toEqual(auth(`${AUTH_ATTEMPTS_MAX} tokens were not valid`));
      expect(
        replies
          .slice(0, -1)
          .flat()
          .every((result) => (result as { error?: string }).error === 'AUTH'),
      ).toBe(true);
      expect(pipe.state).toBe('ended');
      expect(shard.passed).toMatchObject({ refusedUnauthenticated: 1 });
    }
  });

  test('is to be told anew in the same time by whose token is gone', () => {
    const shard = createShard({ guard });
    const [changing, silent] = [connected(shard), connected(shard)];
    for (const { call } of [changing, silent]) call([Op.AUTH, TOKEN]);
    wait(shard, 3 * shard.limits.authMs);
    shard.guard = createGuard(parseTokens(READER, 'tokens'));
    wait(shard, shard.limits.authMs - 2 * TICK_MS);
    expect(changing.call([Op.GET, 'k'], [Op.AUTH, READER], [Op.GET, 'k'])).toEqual([
      auth('not authenticated'),
      true,
      null,
    ]);
    wait(shard, 2 * TICK_MS);
    expect(silent.pipe.replies()).toEqual([auth('not authenticated within 5000 ms')]);
    expect([silent.pipe.state, changing.pipe.state]).toEqual(['ended', 'open']);
  });

  test('is to be told in time', () => {
    const shard = createShard({ guard });
    const [silent, known] = [connected(shard), connected(shard)];
    known.call([Op.AUTH, TOKEN]);
    wait(shard, shard.limits.authMs - 2 * TICK_MS);
    expect(silent.pipe.state).toBe('open');
    wait(shard, 2 * TICK_MS);
    expect(silent.pipe.replies()).toEqual([auth('not authenticated within 5000 ms')]);
    expect([silent.pipe.state, known.pipe.state]).toEqual(['ended', 'open']);
  });

  test('is to be told within some bytes: no frame of a mebibyte is waited for, no array of a million read', () => {
    const refusal = auth('not authenticated within 8192 bytes of requests');
    const header = Buffer.from('ce00100000', 'hex');
    const million = concat(Buffer.from('dd000f4240', 'hex'), new Uint8Array(8000).fill(1));
    const bad = request(...Array.from({ length: 1000 }, () => [99]));
    for (const [sent, answers] of [
      [[header], [refusal]],
      [[header.subarray(0, 3), header.subarray(3)], [refusal]],
      [[frame(million)], [{ error: 'FRAME', message: 'truncated or ill-formed MessagePack' }]],
      [
        [concat(request([Op.AUTH, TOKEN]), frame(new Uint8Array(9000)))],
        [[true], { error: 'FRAME', message: 'payload is not an array' }],
      ],
    ] as const) {
      const shard = createShard({ guard });
      const { pipe, handler } = connected(shard);
      for (const bytes of sent) handler.data(bytes);
      shard.turnEnd();
      expect(pipe.replies()).toEqual(answers);
      expect(pipe.state).toBe('ended');
    }
    // A flood of bad operations, never read: few are answered.
    const shard = createShard({ guard });
    const { pipe, handler } = connected(shard);
    pipe.isStuck = true;
    for (let i = 0; i < 100; i++) handler.data(bad);
    shard.turnEnd();
    expect(pipe.pendingBytes).toBeLessThan(MiB / 2);
    expect(pipe.replies().at(-1)).toEqual(refusal);
    wait(shard, REFUSED_GRACE_MS);
    expect(pipe.state).toBe('destroyed');
  });
});

describe('what a connection may cost', () => {
  test('connections: one more is told BUSY, and a place that is free is taken', () => {
    const shard = createShard({ limits: { connectionsMax: 2 } });
    const [first, second, third] = [connected(shard), connected(shard), connected(shard)];
    expect(third.pipe.replies()).toEqual([{ error: 'BUSY', message: 'too many connections; the limit is 2' }]);
    expect(third.pipe.state).toBe('ended');
    expect(first.call([Op.PING])).toEqual(['PONG']);
    expect(shard.info()).toMatchObject({ connections: 2, connectionsTotal: 2, refusedConnections: 1 });
    second.handler.close();
    expect(connected(shard).call([Op.PING])).toEqual(['PONG']);
  });

  test('connections: not even those who are refused may be many', () => {
    const shard = createShard({ limits: { connectionsMax: 1 } });
    connected(shard);
    const refused = Array.from({ length: BUSY_TOLD_MAX + 10 }, () => connected(shard).pipe.state);
    expect(refused.filter((state) => state === 'ended').length).toBe(BUSY_TOLD_MAX);
    expect(refused.slice(BUSY_TOLD_MAX).every((state) => state === 'destroyed')).toBe(true);
  });

  test('a peer that was refused and does not leave is cut', () => {
    const shard = createShard();
    const { pipe, handler } = connected(shard);
    handler.data(Buffer.from('GET / HTTP/1.1\r\n'));
    expect(pipe.replies()).toEqual([
      { error: 'FRAME', message: 'a frame starts with the byte 0xCE; this looks like HTTP or text' },
    ]);
    expect(pipe.state).toBe('ended');
    wait(shard, REFUSED_GRACE_MS - 2 * TICK_MS);
    expect(pipe.state).toBe('ended');
    wait(shard, 2 * TICK_MS);
    expect(pipe.state).toBe('destroyed');
  });

  test('time for a frame, from its first byte on', () => {
    const shard = createShard({ limits: { frameMs: 2000 } });
    const slow = connected(shard);
    const steady = connected(shard);
    const ping = request([Op.PING]);
    for (let i = 0; i < 8; i++) {
      slow.handler.data(request([Op.SET, 'k', 'x'.repeat(100)]).subarray(i, i + 1));
      // Never without a frame that has begun, but each comes to its end in time.
      steady.handler.data(i === 0 ? ping.subarray(0, 3) : concat(ping.subarray(3), ping.subarray(0, 3)));
      wait(shard, 0);
    }
    expect(slow.pipe.replies()).toEqual([
      { error: 'FRAME', message: 'a frame did not come to its end within 2000 ms' },
    ]);
    expect([slow.pipe.state, steady.pipe.state]).toEqual(['ended', 'open']);
    expect(shard.passed.cutSlowFrames).toBe(1);
  });

  test('idle time, if there is such a limit', () => {
    const [patient, strict] = [createShard(), createShard({ limits: { idleMs: 1000 } })];
    const connections = [connected(patient), connected(strict)];
    wait(patient, 100_000);
    wait(strict, 1000);
    expect(connections.map(({ pipe }) => pipe.state)).toEqual(['open', 'ended']);
    expect(connections[1]!.pipe.replies()).toEqual([{ error: 'IDLE', message: 'nothing has come for 1000 ms' }]);
    expect(strict.passed.cutIdle).toBe(1);
  });

  // One that waits for less than `outputSoftBytes` once stayed for ever.
  test('idle time of those that are not read from, since they take nothing', () => {
    const shard = createShard({ limits: { idleMs: 1000 } });
    connected(shard).call([Op.SET, 'big', 'x'.repeat(3 * MiB)]);
    const [silent, sipping] = [connected(shard), connected(shard)];
    for (const { pipe, handler } of [silent, sipping]) {
      pipe.isStuck = true;
      handler.data(request([Op.GET, 'big']));
      shard.turnEnd();
      pipe.pendingBytes = 1000;
    }
    for (let i = 0; i < 4; i++) {
      wait(shard, 500);
      sipping.pipe.pendingBytes--;
    }
    expect([silent.pipe.state, sipping.pipe.state]).toEqual(['destroyed', 'open']);
    sipping.pipe.pendingBytes = 0;
    sipping.handler.drain();
    wait(shard, 500);
    expect(sipping.pipe.state).toBe('open');
  });

  test('replies that are not read: much for a time, and too much at once', () => {
    const shard = createShard({ limits: { outputSoftBytes: 1000, outputMs: 2000, outputBytesMax: 5 * MiB } });
    const value = 'x'.repeat(2000);
    connected(shard).call([Op.SET, 'k', value], [Op.SET, 'big', 'x'.repeat(3 * MiB)]);
    const [slow, reading, greedy] = [connected(shard), connected(shard), connected(shard)];
    for (const { pipe } of [slow, reading, greedy]) pipe.isStuck = true;
    for (const { handler } of [slow, reading]) handler.data(request([Op.GET, 'k']));
    shard.turnEnd();
    wait(shard, 1000);
    reading.pipe.pendingBytes = 10;
    wait(shard, 500);
    reading.pipe.pendingBytes = 5000;
    wait(shard, 1000);
    expect([slow.pipe.state, reading.pipe.state]).toEqual(['destroyed', 'open']);
    greedy.handler.data(request([Op.GET, 'big'], [Op.GET, 'big']));
    shard.turnEnd();
    expect(greedy.pipe.state).toBe('destroyed');
    expect(shard.passed.cutSlowReaders).toBe(2);
  });

  test('who takes all and asks for more at once may do so for ever; who takes a sip at a time may not', () => {
    // It was cut: whenever somebody looked, the next long reply was on its way.
    const shard = createShard({ limits: { outputSoftBytes: 1000, outputMs: 2000 } });
    connected(shard).call([Op.SET, 'big', 'x'.repeat(3 * MiB)]);
    const [reading, sipping] = [connected(shard), connected(shard)];
    const ask = ({ pipe, handler }: typeof reading): void => {
      pipe.isStuck = true;
      handler.data(request([Op.GET, 'big']));
      shard.turnEnd();
    };
    ask(reading);
    ask(sipping);
    for (let i = 0; i < 20; i++) {
      wait(shard, 500);
      reading.pipe.pendingBytes = 0;
      reading.handler.drain();
      while (shard.turnEnd());
      ask(reading);
      sipping.pipe.pendingBytes -= 1000;
    }
    expect([reading.pipe.state, sipping.pipe.state]).toEqual(['open', 'destroyed']);
    expect(shard.passed.cutSlowReaders).toBe(1);
  });

  test('memory for requests that are not complete, of all together', () => {
    const shard = createShard({ limits: { partialBytesMax: MiB } });
    const half = frame(new Uint8Array(2000)).subarray(0, 1000);
    const all = Array.from({ length: 2000 }, () => {
      const one = connected(shard);
      one.handler.data(half);
      return one;
    });
    expect(shard.info().partialBytes).toBeLessThanOrEqual(MiB);
    const refused = all.filter(({ pipe }) => pipe.state === 'ended');
    expect(refused.length).toBeGreaterThan(500);
    expect(refused[0]!.pipe.replies()).toEqual([
      { error: 'MEMORY', message: 'too many bytes of unfinished requests wait, of all connections' },
    ]);
    // Whoever sends whole frames does not notice, and what was kept is given back.
    expect(connected(shard).call([Op.PING])).toEqual(['PONG']);
    for (const { handler } of all) handler.close();
    expect(shard.info().partialBytes).toBe(0);
  });

  // A buffer that was doubled beyond the frame did not fit where the frame did.
  test('memory for a frame that comes in pieces is that of the frame', () => {
    const shard = createShard({ limits: { partialBytesMax: 16 * MiB } });
    const { handler, pipe } = connected(shard);
    const long = request([Op.SET, 'k', 'x'.repeat(8 * MiB)]);
    for (let at = 0; at < long.length; at += 60_000) {
      handler.data(long.subarray(at, at + 60_000));
      expect(shard.info().partialBytes).toBeLessThanOrEqual(long.length);
    }
    shard.turnEnd();
    expect(pipe.replies()).toEqual([[true]]);
    expect(shard.info().partialBytes).toBe(0);
  });

  test('announcing much costs little', () => {
    const shard = createShard({ limits: { partialBytesMax: 8 * MiB } });
    for (let i = 0; i < 1000; i++) connected(shard).handler.data(Buffer.from('ce000ffff091', 'hex'));
    expect(shard.info().partialBytes).toBeLessThan(5 * MiB);
    expect(shard.passed.refusedPartial).toBe(0);
  });

  test('refuses limits that are none', () => {
    expect(() => createShard({ limits: { frameMs: 0 } })).toThrow('frameMs is 0; it must be an integer of at least 1');
    expect(() => createShard({ limits: { idleMs: -1 } })).toThrow(RangeError);
  });
});
