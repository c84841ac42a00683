/** The client against servers and networks that misbehave: real sockets, a scripted server, and time that stands still. */
import { getEventListeners } from 'node:events';
import { decode } from '@msgpack/msgpack';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Client } from '../../core/client/client.ts';
import type { RingkvError } from '../../core/client/errors.ts';
import type { ClientOptions, ClientState } from '../../core/client/settings.ts';
import type { Connection } from '../../core/connection.ts';
import { ErrorCode, Op } from '../../core/protocol.ts';
import { parseAddress } from '../../transports/address.ts';
import { createNodeTransport } from '../../transports/node.ts';
import { fromHex, hex } from '../support/bytes.ts';
import { ManualTimers } from '../support/manual-timers.ts';
import { frame, HELLO, type ScriptedConnection, ScriptedServer, wireError } from '../support/scripted-server.ts';

let server: ScriptedServer;
let timers: ManualTimers;
/** What the client said of its state. */
let states: [ClientState, string | undefined][];
let stateWaiters: { state: ClientState; resolve: () => void }[];

beforeEach(async () => {
  server = await ScriptedServer.start();
  timers = new ManualTimers();
  states = [];
  stateWaiters = [];
});
afterEach(() => server.stop());

function open(options: Partial<ClientOptions> = {}): Promise<Client> {
  const transport = createNodeTransport();
  // The client of one test may tell of its end only while the next one runs.
  const [said, waiters] = [states, stateWaiters];
  return Client.open({
    timers,
    connect: (opened, signal) => transport.connect(parseAddress(server.address), opened, signal),
    connectShard: (url) => (opened, signal) => transport.connect(parseAddress(url), opened, signal),
    onState(state, cause) {
      said.push([state, cause?.code]);
      for (const waiter of waiters.filter((each) => each.state === state)) waiter.resolve();
    },
    ...options,
  });
}

/** A client and the server's end of its connection, past HELLO. */
async function pair(options: Partial<ClientOptions> = {}, hello = HELLO): Promise<[Client, ScriptedConnection]> {
  const greeted = server.greeted(hello);
  return [await open(options), await greeted];
}

/** Resolves when the client tells of this state from now on. */
function becomes(state: ClientState): Promise<void> {
  return new Promise((resolve) => stateWaiters.push({ state, resolve }));
}

/** Has the connection lost and waits until the client knows. */
async function lose(connection: ScriptedConnection): Promise<void> {
  const lost = becomes('reconnecting');
  connection.socket.destroy();
  await lost;
}

/** Lets the client's pause pass, the first or second unless told otherwise, and answers its HELLO. */
async function reconnected(hello = HELLO, pauseMs = 100): Promise<ScriptedConnection> {
  const greeted = server.greeted(hello);
  const connected = becomes('connected');
  timers.advance(pauseMs);
  const connection = await greeted;
  await connected;
  return connection;
}

/** Fails with what it was fulfilled with. */
async function failure(promise: Promise<unknown>): Promise<RingkvError> {
  const value = await promise.then(
    (result) => ({ result }),
    (error: RingkvError) => error,
  );
  if (value instanceof Error) return value;
  throw new Error(`not rejected, but ${JSON.stringify(value)}`);
}

describe('frames', () => {
  test('operations of one tick travel in one, whose bytes are those of the protocol', async () => {
    const [client, connection] = await pair();
    const results = Promise.all([client.set('a', '1'), client.get('a')]);
    expect(hex(await connection.frameBytes())).toBe('ce0000000b929302a161a1319201a161');
    connection.write(fromHex('CE 00 00 00 04  92  C3  A1 31'));
    expect(await results).toEqual([true, '1']);
  });

  test('those of another tick go out though nothing was answered', async () => {
    const [client, connection] = await pair();
    const first = client.get('a');
    expect(await connection.frame()).toEqual([[Op.GET, 'a']]);
    const second = client.get('b');
    expect(await connection.frame()).toEqual([[Op.GET, 'b']]);
    connection.write(Buffer.concat([frame(['A']), frame(['B'])]));
    expect(await Promise.all([first, second])).toEqual(['A', 'B']);
  });

  test('those issued when replies arrive travel together too', async () => {
    const [client, connection] = await pair();
    const chains = ['a', 'b', 'c'].map(async (key) => {
      await client.get(key);
      return await client.get(`${key}2`);
    });
    await connection.frame();
    connection.reply([1, 2, 3]);
    expect(await connection.frame()).toEqual(['a2', 'b2', 'c2'].map((key) => [Op.GET, key]));
    connection.reply([4, 5, 6]);
    expect(await Promise.all(chains)).toEqual([4, 5, 6]);
  });

  test('replies may come byte by byte', async () => {
    const [client, connection] = await pair();
    const results = Promise.all([client.get('a'), client.ping()]);
    await connection.frame();
    for (const byte of frame([{ deep: ['x'.repeat(40)] }, 'PONG'])) {
      connection.write(Uint8Array.of(byte));
      // A turn of the loop each, so that they don't arrive as one.
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(await results).toEqual([{ deep: ['x'.repeat(40)] }, 'PONG']);
  });

  test('none is larger than the server takes, and the operations keep their order', async () => {
    const [client, connection] = await pair({}, { ...HELLO, maxFrame: 100 });
    const keys = Array.from({ length: 60 }, (_, i) => `key${String(i).padStart(3, '0')}`);
    const results = Promise.all(keys.map((key) => client.get(key)));
    const seen: unknown[] = [];
    let frames = 0;
    for (; seen.length < keys.length; frames++) {
      const bytes = await connection.frameBytes();
      expect(bytes.length - 5).toBeLessThanOrEqual(100);
      const operations = decode(bytes.subarray(5)) as [number, string][];
      seen.push(...operations.map(([, key]) => key));
      connection.reply(operations.map(([, key]) => key));
    }
    expect(seen).toEqual(keys);
    // 9 bytes each, and one or three for the array: eleven and no less fit.
    expect(frames).toBe(6);
    expect(await results).toEqual(keys);
  });

  test('an operation that fits in no frame is refused, the largest that does is not', async () => {
    const [client, connection] = await pair({}, { ...HELLO, maxFrame: 100 });
    expect(await failure(client.set('a', 'x'.repeat(94)))).toMatchObject({ code: 'ARGUMENT' });
    const largest = client.set('a', 'x'.repeat(93));
    expect((await connection.frameBytes()).length).toBe(105);
    connection.reply([true]);
    expect(await largest).toBe(true);
  });

  test('a batch is one, and is never parted', async () => {
    const [client, connection] = await pair({}, { ...HELLO, maxFrame: 40 });
    const single = client.get('first');
    const batch = client.batch().get('aaaaaaaa').get('bbbbbbbb').get('cccccccc').send();
    expect(await connection.frame()).toHaveLength(1);
    expect(await connection.frame()).toHaveLength(3);
    connection.reply([0]);
    connection.reply([1, 2, 3]);
    expect(await Promise.all([single, batch])).toEqual([0, [1, 2, 3]]);
    expect(await failure(client.batch().get('x'.repeat(40)).send())).toMatchObject({ code: 'ARGUMENT' });
  });
});

describe('time-outs and signals', () => {
  test('a read that was sent is given up; its reply is passed over and the next ones find their way', async () => {
    const [client, connection] = await pair({ timeoutMs: 100 });
    const late = client.get('late');
    const patient = client.get('patient', { timeoutMs: 1000 });
    await connection.frame();
    timers.advance(100);
    expect(await failure(late)).toMatchObject({ code: 'TIMEOUT', message: 'no reply to GET in time' });
    const next = client.get('next');
    await connection.frame();
    connection.reply(['late', 'patient']);
    connection.reply(['next']);
    expect(await Promise.all([patient, next])).toEqual(['patient', 'next']);
  });

  test('a write that was sent may have been done', async () => {
    const [client, connection] = await pair({ timeoutMs: 100 });
    const write = client.add('n', 1);
    const batch = client.batch().get('a').set('b', 1).send();
    const reads = client.batch().get('a').has('b').send();
    await connection.frame();
    timers.advance(100);
    expect(await failure(write)).toMatchObject({ code: 'UNKNOWN_OUTCOME', cause: { code: 'TIMEOUT' } });
    expect(await failure(batch)).toMatchObject({ code: 'UNKNOWN_OUTCOME' });
    expect(await failure(reads)).toMatchObject({ code: 'TIMEOUT' });
  });

  test('each operation has its own time', async () => {
    const [client, connection] = await pair({ timeoutMs: Number.POSITIVE_INFINITY });
    const results = [client.get('a', { timeoutMs: 50 }), client.get('b', { timeoutMs: 200 }), client.get('c')];
    await connection.frame();
    timers.advance(60);
    expect(await failure(results[0]!)).toMatchObject({ code: 'TIMEOUT' });
    timers.advance(60);
    connection.reply([1, 2, 3]);
    expect(await Promise.all(results.slice(1))).toEqual([2, 3]);
  });

  test('a signal aborted before the operation is sent: it never is', async () => {
    const [client, connection] = await pair();
    const controller = new AbortController();
    const [first, gone, last] = [
      client.set('a', 1),
      client.set('b', 2, { signal: controller.signal }),
      client.set('c', 3),
    ];
    controller.abort('changed my mind');
    expect(await failure(gone)).toMatchObject({ name: 'AbortError', code: 'ABORTED', cause: 'changed my mind' });
    expect(await connection.frame()).toEqual([[Op.SET, 'a', 1]]);
    expect(await connection.frame()).toEqual([[Op.SET, 'c', 3]]);
    connection.reply([true]);
    connection.reply([true]);
    expect(await Promise.all([first, last])).toEqual([true, true]);
  });

  test('a signal aborted after: reads are aborted, writes unknown', async () => {
    const [client, connection] = await pair();
    const { signal, abort } = withAbort();
    const [read, write, other] = [client.get('a', { signal }), client.delete('a', { signal }), client.get('b')];
    await connection.frame();
    abort();
    expect(await failure(read)).toMatchObject({ code: 'ABORTED' });
    expect(await failure(write)).toMatchObject({ code: 'UNKNOWN_OUTCOME', cause: { code: 'ABORTED' } });
    connection.reply([1, true, 'b']);
    expect(await other).toBe('b');
  });

  test('a signal that was aborted before, and one that is aborted too late', async () => {
    const [client, connection] = await pair();
    expect(await failure(client.get('a', { signal: AbortSignal.abort() }))).toMatchObject({ code: 'ABORTED' });
    const { signal, abort } = withAbort();
    const done = client.get('a', { signal });
    expect(await connection.frame()).toHaveLength(1);
    connection.reply([1]);
    expect(await done).toBe(1);
    expect(getEventListeners(signal, 'abort')).toEqual([]);
    abort();
    expect(await done).toBe(1);
  });

  test('a server that owes replies and is silent for half a minute is left', async () => {
    const [client, connection] = await pair({ timeoutMs: 100_000 });
    const read = client.get('a');
    const write = client.set('a', 1);
    await connection.frame();
    const lost = becomes('reconnecting');
    timers.advance(29_000);
    expect(client.state).toBe('connected');
    timers.advance(1000);
    await lost;
    expect(await failure(write)).toMatchObject({ code: 'UNKNOWN_OUTCOME', cause: { code: 'CONNECTION' } });
    const second = await reconnected();
    expect(await second.frame()).toEqual([[Op.GET, 'a']]);
    second.reply(['here']);
    expect(await read).toBe('here');
  });

  test('a server that owes nothing may be silent', async () => {
    const [client, connection] = await pair();
    const read = client.get('a');
    await connection.frame();
    connection.reply([1]);
    await read;
    timers.advance(10_000_000);
    expect(client.state).toBe('connected');
    expect(timers.alarmCount).toBe(0);
  });
});

describe('a lost connection', () => {
  test.each(['end', 'destroy', 'resetAndDestroy'] as const)(
    'by %s: reads are sent again, writes are unknown',
    async (how) => {
      const [client, connection] = await pair();
      const key = Uint8Array.of(1, 2);
      const [read, write, batch] = [client.get(key), client.set('w', 1), client.batch().has('h').ttl('t').send()];
      const half = client.batch().get('r').delete('d').send();
      await connection.frame();
      // The bytes were taken when the operation was issued, for the second sending too; and what follows is in their place.
      key[0] = 9;
      const next = client.get('the next frame, longer than the one before, so that nothing of that is left');
      await connection.frame();
      const lost = becomes('reconnecting');
      connection.socket[how]();
      await lost;
      expect(await failure(write)).toMatchObject({ code: 'UNKNOWN_OUTCOME', cause: { code: 'CONNECTION' } });
      expect(await failure(half)).toMatchObject({ code: 'UNKNOWN_OUTCOME' });
      const later = client.set('later', 1);
      const second = await reconnected();
      expect(await second.frame()).toEqual([
        [Op.GET, Uint8Array.of(1, 2)],
        [Op.HAS, 'h'],
        [Op.TTL, 't'],
        [Op.GET, 'the next frame, longer than the one before, so that nothing of that is left'],
        [Op.SET, 'later', 1],
      ]);
      second.reply(['again', true, -1, 'next', true]);
      const results = await Promise.all([read, batch, next, later]);
      expect(results).toEqual(['again', [true, Number.POSITIVE_INFINITY], 'next', true]);
      expect(states).toEqual([
        ['connected', undefined],
        ['reconnecting', 'CONNECTION'],
        ['connected', undefined],
      ]);
    },
  );

  test('what was answered before is answered', async () => {
    const [client, connection] = await pair();
    const answered = client.set('a', 1);
    await connection.frame();
    const lostWrite = client.set('b', 1);
    await connection.frame();
    connection.socket.end(frame([true]));
    expect(await answered).toBe(true);
    expect(await failure(lostWrite)).toMatchObject({ code: 'UNKNOWN_OUTCOME' });
  });

  test('reads are sent again as often as it takes, until their time has passed', async () => {
    const [client, connection] = await pair({ timeoutMs: 8000 });
    const read = client.get('a');
    await connection.frame();
    await lose(connection);
    const second = await reconnected();
    await second.frame();
    await lose(second);
    timers.advance(8000);
    expect(await failure(read)).toMatchObject({
      code: 'TIMEOUT',
      message: expect.stringMatching(/GET could not be sent in time: not connected: /),
      cause: { code: 'CONNECTION' },
    });
  });

  test('writes issued meanwhile wait, and what was given up while waiting is never sent', async () => {
    const [client, connection] = await pair();
    await lose(connection);
    const { signal, abort } = withAbort();
    const gone = client.set('gone', 1, { timeoutMs: 10 });
    const aborted = client.set('aborted', 1, { signal });
    const waiting = client.set('waiting', 1, { timeoutMs: 100_000 });
    timers.advance(10);
    abort();
    expect(await failure(gone)).toMatchObject({ code: 'TIMEOUT' });
    expect(await failure(aborted)).toMatchObject({ code: 'ABORTED' });
    const second = await reconnected();
    expect(await second.frame()).toEqual([[Op.SET, 'waiting', 1]]);
    second.reply([true]);
    expect(await waiting).toBe(true);
  });

  test('waiting in vain for ever takes no memory for ever', async () => {
    const [client, connection] = await pair({ timeoutMs: 10, pendingBytesMax: 200_000 });
    await lose(connection);
    const value = 'x'.repeat(50_000);
    for (let i = 0; i < 50; i++) {
      const gone = [client.set('a', value), client.set('b', value), client.set('c', value)];
      timers.advance(10);
      for (const each of gone) expect(await failure(each)).toMatchObject({ code: 'TIMEOUT' });
    }
    const kept = client.set('kept', value, { timeoutMs: 100_000 });
    const second = await reconnected();
    expect(await second.frame()).toEqual([[Op.SET, 'kept', value]]);
    second.reply([true]);
    expect(await kept).toBe(true);
  });

  test('what it left open counts no more', async () => {
    const [client, connection] = await pair({ pendingBytesMax: 1500, timeoutMs: 10_000 });
    const value = 'x'.repeat(300);
    const [write, late] = [client.set('a', value), client.get(value, { timeoutMs: 10 })];
    await connection.frame();
    timers.advance(10);
    await failure(late);
    await lose(connection);
    expect(await failure(write)).toMatchObject({ code: 'UNKNOWN_OUTCOME' });
    const waiting = ['b', 'c', 'd'].map((key) => client.set(key, value));
    const second = await reconnected();
    expect(await second.frame()).toHaveLength(3);
    second.reply([true, true, true]);
    expect(await Promise.all(waiting)).toEqual([true, true, true]);
  });

  test('a server that is full is tried again', async () => {
    const [client, connection] = await pair();
    await lose(connection);
    const waiting = client.get('a');
    const accepted = server.connection();
    timers.advance(50);
    const refused = await accepted;
    const pauseStarted = timers.started();
    refused.write(frame(wireError('BUSY')));
    await pauseStarted;
    const second = await reconnected();
    expect(await second.frame()).toEqual([[Op.GET, 'a']]);
    second.reply([1]);
    expect(await waiting).toBe(1);
  });

  test('the pauses double from 25 to 50 ms up to 5 s', async () => {
    const [, connection] = await pair();
    await lose(connection);
    const pauses: number[] = [];
    for (let attempt = 0; attempt < 10; attempt++) {
      const pauseMs = timers.delays.at(-1)!;
      pauses.push(pauseMs);
      const accepted = server.connection();
      timers.advance(pauseMs);
      // Taken and dropped before it is greeted.
      (await accepted).socket.destroy();
      await timers.started();
    }
    pauses.forEach((pauseMs, attempt) => {
      const longestMs = Math.min(5000, 50 * 2 ** attempt);
      expect(pauseMs).toBeGreaterThanOrEqual(longestMs / 2);
      expect(pauseMs).toBeLessThanOrEqual(longestMs);
    });
  });

  test('the pauses go on growing when connections don’t last, and start over when one did', async () => {
    let [, connection] = await pair();
    for (let attempt = 0; attempt < 4; attempt++) {
      await lose(connection);
      expect(timers.delays.at(-1)).toBeGreaterThanOrEqual(25 * 2 ** attempt);
      connection = await reconnected(HELLO, timers.delays.at(-1));
    }
    timers.advance(5001);
    await lose(connection);
    expect(timers.delays.at(-1)).toBeLessThanOrEqual(50);
  });

  test('a server that takes less than the one before', async () => {
    const [client, connection] = await pair();
    await lose(connection);
    const [small, large] = [client.set('a', 1), client.set('b', 'x'.repeat(200))];
    const second = await reconnected({ ...HELLO, maxFrame: 100 });
    expect(await failure(large)).toMatchObject({
      code: 'ARGUMENT',
      message: expect.stringMatching(/takes 100 in one frame/),
    });
    expect(await second.frame()).toEqual([[Op.SET, 'a', 1]]);
    second.reply([true]);
    expect(await small).toBe(true);
  });

  test('a scan starts anew, since its cursor may mean nothing any more', async () => {
    const [client, connection] = await pair();
    const scan = client.scan({ count: 2 });
    const first = scan.next();
    expect(await connection.frame()).toEqual([[Op.SCAN, 0, 2]]);
    connection.reply([[7, [Buffer.from('a')]]]);
    expect(await first).toEqual({ done: false, value: 'a' });
    await lose(connection);
    const next = scan.next();
    const second = await reconnected();
    expect(await second.frame()).toEqual([[Op.SCAN, 7, 2]]);
    second.reply([[0, [Buffer.from('of another place')]]]);
    expect(await second.frame()).toEqual([[Op.SCAN, 0, 2]]);
    second.reply([[0, [Buffer.from('a'), Buffer.from('b')]]]);
    expect(await next).toEqual({ done: false, value: 'a' });
    expect(await scan.next()).toEqual({ done: false, value: 'b' });
    expect(await scan.next()).toEqual({ done: true, value: undefined });
  });
});

describe('a refusal of everything', () => {
  test.each([ErrorCode.FRAME, ErrorCode.SIZE, ErrorCode.BUSY, ErrorCode.AUTH])('%s', async (code) => {
    const [client, connection] = await pair();
    const results = [client.get('a'), client.set('b', 1)];
    await connection.frame();
    const more = client.set('c', 1);
    await connection.frame();
    const lost = becomes('reconnecting');
    connection.write(frame(wireError(code, 'no more')));
    for (const each of [...results, more]) {
      expect(await failure(each)).toMatchObject({ name: 'ServerError', code, message: 'no more' });
    }
    await lost;
    await connection.ended();
    const waiting = client.get('d');
    const second = await reconnected();
    await second.frame();
    second.reply([1]);
    expect(await waiting).toBe(1);
  });

  test('while connecting', async () => {
    const opening = open();
    (await server.connection()).write(frame(wireError('BUSY')));
    expect(await failure(opening)).toMatchObject({ name: 'ServerError', code: 'BUSY' });
  });

  test('a wrong token is told to those who connect, and to those who wait when it became wrong', async () => {
    const opening = open({ token: 'secret', name: 'tester' });
    const connection = await server.connection();
    expect(await connection.frame()).toEqual([[Op.HELLO, { version: 1, token: 'secret', name: 'tester' }]]);
    connection.reply([wireError('AUTH', 'wrong token')]);
    expect(await failure(opening)).toMatchObject({ name: 'ServerError', code: 'AUTH', message: 'wrong token' });
    await connection.ended();

    const [client, good] = await pair({ token: 'secret' });
    await lose(good);
    const waiting = client.get('a');
    const accepted = server.connection();
    timers.advance(50);
    const second = await accepted;
    expect(await second.frame()).toEqual([[Op.HELLO, { version: 1, token: 'secret' }]]);
    const patient = client.get('b', { timeoutMs: 100_000 });
    second.reply([wireError('AUTH', 'wrong token')]);
    for (const each of [waiting, patient]) expect(await failure(each)).toMatchObject({ code: 'AUTH' });
  });
});

describe('what is not the protocol', () => {
  test.each([
    ['no frame', Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n')],
    ['no array', frame('hello')],
    ['too few results', frame([1])],
    ['too many results', frame([1, true, 3])],
    ['results of another kind', frame([1, 'yes'])],
    ['results cut off', fromHex('ce00000003 9201 d9')],
    ['what is no MessagePack', fromHex('ce00000003 92c1c1')],
    ['more than may come', fromHex('ceffffffff')],
  ])('%s: reads fail, writes are unknown, and the client connects anew', async (_, bytes) => {
    const [client, connection] = await pair();
    const [read, write] = [client.get('a', { timeoutMs: 90_000 }), client.set('b', 1)];
    const readFailed = read.then(
      (value) => value,
      (error: RingkvError) => error.code,
    );
    await connection.frame();
    const lost = becomes('reconnecting');
    connection.write(bytes);
    await lost;
    expect(states.at(-1)).toEqual(['reconnecting', 'PROTOCOL']);
    expect(await failure(write)).toMatchObject({ code: 'UNKNOWN_OUTCOME', cause: { code: 'PROTOCOL' } });
    // Results before the one that could not be read may have been given.
    expect(['PROTOCOL', 1]).toContain(await readFailed);
    const ping = client.ping();
    const second = await reconnected();
    expect(await second.frame()).toEqual([[Op.PING]]);
    second.reply(['PONG']);
    expect(await ping).toBe('PONG');
  });

  test('bytes after the results: those were read, what follows was not', async () => {
    const [client, connection] = await pair();
    const [read, write] = [client.get('a'), client.set('b', 1)];
    await connection.frame();
    const next = client.set('c', 1);
    await connection.frame();
    connection.write(Buffer.concat([fromHex('ce00000004 9201c3c0'), frame([true])]));
    expect(await Promise.all([read, write])).toEqual([1, true]);
    expect(await failure(next)).toMatchObject({ code: 'UNKNOWN_OUTCOME', cause: { code: 'PROTOCOL' } });
  });

  test('a reply nobody asked for', async () => {
    const [, connection] = await pair();
    const lost = becomes('reconnecting');
    connection.write(frame([1]));
    await lost;
    expect(states.at(-1)).toEqual(['reconnecting', 'PROTOCOL']);
  });

  test.each([
    ['another version', { ...HELLO, protocol: 2 }],
    ['no largest frame', { ...HELLO, maxFrame: 0 }],
    ['no map', ['ringkv']],
  ])('a hello with %s', async (_, hello) => {
    const opening = open();
    const connection = await server.connection();
    await connection.frame();
    connection.reply([hello]);
    expect(await failure(opening)).toMatchObject({ code: 'PROTOCOL' });
    await connection.ended();
  });

  test('a server that never says hello', async () => {
    const opening = open({ connectTimeoutMs: 700 });
    const connection = await server.connection();
    await connection.frame();
    timers.advance(700);
    expect(await failure(opening)).toMatchObject({ code: 'TIMEOUT', message: /within 700 ms/ });
    await connection.ended();
  });
});

describe('limits', () => {
  test('more than pendingBytesMax is refused, and taken again when there is room', async () => {
    const [client, connection] = await pair({ pendingBytesMax: 1100 });
    const value = 'x'.repeat(300);
    const taken = [client.set('a', value), client.set('b', value)];
    const refused = client.set('c', value);
    taken.push(client.delete('d'));
    expect(await failure(refused)).toMatchObject({
      code: 'QUEUE_FULL',
      message: expect.stringMatching(/pendingBytesMax is 1100/),
    });
    // What was refused leaves nothing in the frame.
    expect(await connection.frame()).toEqual([
      [Op.SET, 'a', value],
      [Op.SET, 'b', value],
      [Op.DEL, 'd'],
    ]);
    connection.reply([true, true, true]);
    await Promise.all(taken);
    const again = client.set('c', value);
    await connection.frame();
    connection.reply([true]);
    expect(await again).toBe(true);
  });

  test('nothing is given to a connection that takes nothing: what waits can still be given up', async () => {
    const [client, connection] = await pair({ timeoutMs: 20_000 });
    connection.socket.pause();
    // Enough for the sockets' buffers on both sides, and much more than the client puts before a connection at once.
    const large = Array.from({ length: 20 }, (_, i) => client.set(`large${i}`, new Uint8Array(1024 * 1024)));
    for (const each of large) each.catch(() => {});
    const small = client.set('small', 1, { timeoutMs: 100 });
    await new Promise((resolve) => setImmediate(resolve));
    timers.advance(100);
    expect(await failure(small)).toMatchObject({ code: 'TIMEOUT', message: expect.stringMatching(/takes no more/) });
    connection.socket.resume();
    const keys: unknown[] = [];
    while (keys.length < large.length) {
      const operations = await connection.frame();
      keys.push(...operations.map(([, key]) => key));
      connection.reply(operations.map(() => true));
    }
    expect(keys).toEqual(large.map((_, i) => `large${i}`));
    expect(await Promise.all(large)).toEqual(large.map(() => true));
  });
});

describe('closing', () => {
  test('waits for the replies, says that it ends, and waits until the server does', async () => {
    const [client, connection] = await pair();
    const write = client.set('a', 1);
    await connection.frame();
    let isClosed = false;
    const closed = client.close().then(() => {
      isClosed = true;
    });
    connection.reply([true]);
    expect(await write).toBe(true);
    await connection.ended();
    expect([client.state, isClosed]).toEqual(['closed', false]);
    connection.socket.end();
    await closed;
    expect(states.at(-1)).toEqual(['closed', undefined]);
    expect(timers.alarmCount).toBe(0);
  });

  test('does not wait for replies that nobody waits for', async () => {
    const [client, connection] = await pair({ timeoutMs: 100 });
    const read = client.get('a');
    await connection.frame();
    const closed = client.close();
    timers.advance(100);
    expect(await failure(read)).toMatchObject({ code: 'TIMEOUT' });
    await connection.ended();
    connection.socket.end();
    await closed;
  });

  test('leaves a server that does not end after a second', async () => {
    const [client, connection] = await pair();
    const closed = client.close();
    await connection.ended();
    timers.advance(1000);
    await closed;
    expect(timers.alarmCount).toBe(0);
  });

  test('connects once more for what still waits', async () => {
    const [client, connection] = await pair();
    const read = client.get('a');
    await connection.frame();
    await lose(connection);
    const closed = client.close();
    const second = await reconnected();
    expect(await second.frame()).toEqual([[Op.GET, 'a']]);
    second.reply([1]);
    expect(await read).toBe(1);
    await second.ended();
    second.socket.end();
    await closed;
  });

  test('is done at once when there is no connection and nothing waits', async () => {
    const [client, connection] = await pair();
    await lose(connection);
    await client.close();
    expect(timers.alarmCount).toBe(0);
    expect(server.connectionCount).toBe(1);
    expect(await failure(client.get('a'))).toMatchObject({ code: 'CLOSED' });
  });

  test('gives up an attempt to connect', async () => {
    const [client, connection] = await pair();
    await lose(connection);
    const accepted = server.connection();
    timers.advance(50);
    const second = await accepted;
    await second.frame();
    await client.close();
    await second.ended();
    expect(timers.alarmCount).toBe(0);
  });
});

describe('what transports may do', () => {
  /** A connection on which these replies come, in one turn, once something was sent; `close` ends it in the same turn. */
  function scripted(replies: readonly Uint8Array[], close: boolean): ClientOptions['connect'] {
    const left = [...replies];
    return async (opened) => {
      const connection: Connection = {
        framing: 'stream',
        send() {
          setImmediate(() => {
            const reply = left.shift();
            if (reply !== undefined) handler.data(reply);
            if (close) handler.close(new Error('gone at once'));
          });
        },
        pendingBytes: 0,
        pauseReading() {},
        resumeReading() {},
        end: () => setImmediate(() => handler.close()),
        destroy: () => setImmediate(() => handler.close()),
      };
      const handler = opened(connection);
      return connection;
    };
  }

  test('hand out Buffers: values are Uint8Arrays nevertheless', async () => {
    const replies = [frame([HELLO]), frame([Uint8Array.of(1, 2), [Uint8Array.of(3)]])];
    const client = await open({
      connect: scripted(
        replies.map((bytes) => Buffer.from(bytes)),
        false,
      ),
    });
    const values = await Promise.all([client.get<Uint8Array>('a'), client.get<[Uint8Array]>('b')]);
    expect([values[0]?.constructor, values[1]?.[0].constructor]).toEqual([Uint8Array, Uint8Array]);
    await client.close();
  });

  test('lose the connection in the turn in which the server says hello', async () => {
    expect(await failure(open({ connect: scripted([frame([HELLO])], true) }))).toMatchObject({
      code: 'CONNECTION',
      message: 'the connection was lost: gone at once',
    });
  });
});

function withAbort(): { signal: AbortSignal; abort: () => void } {
  const controller = new AbortController();
  return { signal: controller.signal, abort: () => controller.abort() };
}
