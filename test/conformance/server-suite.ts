/**
 * What every server does, whichever runtime and transport carry it: one suite, run against real child processes by an
 * independent client.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { concat, encode, fromHex } from '../support/bytes.ts';
import type { Runtime } from '../support/children.ts';
import { type ServerChild, startServe } from '../support/command.ts';
import { speaksWebSocket } from '../support/transport-peers.ts';
import { frame, request, WireClient, type WireError } from '../support/wire.ts';
import { messageFraming, messageUnreadable } from './server-messages.ts';

export interface ServerCell {
  readonly runtime: Runtime;
  readonly transport: string;
  /** What `--listen` gets; its kind tells how the cell frames. */
  readonly listen: string;
  /** Further flags of the server. */
  readonly flags?: readonly string[];
}

const MiB = 1024 * 1024;
const PING = 0;
const GET = 1;
const SET = 2;
const DEL = 3;
const HAS = 4;
const ADD = 5;
const CAS = 6;
const EXPIRE = 7;
const TTL = 8;
const PERSIST = 9;
const TAKE = 10;
const SCAN = 16;
const COUNT = 17;
const CLEAR = 18;
const HELLO = 32;
const AUTH = 33;
const INFO = 34;

type Info = Record<string, number>;

export function serverSuite({ runtime, transport, listen, flags = [] }: ServerCell): void {
  const isStream = !speaksWebSocket(listen);
  let server: ServerChild;
  let client: WireClient;

  const dial = (): Promise<WireClient> => WireClient.dial(server.ready.address);
  const info = async (): Promise<Info> => (await client.call([INFO]))[0] as Info;

  beforeAll(async () => {
    server = await startServe(['--listen', listen, '--transport', transport, ...flags], { runtime });
    client = await dial();
  });

  afterAll(async () => {
    await client?.close();
    expect(await server?.child.stop(), server?.child.stderr).toBe(0);
  });

  describe('operations', () => {
    test('the example of the protocol, byte for byte', async () => {
      client.peer.write(fromHex('CE 00 00 00 0B 92 93 02 A1 61 A1 31 92 01 A1 61'));
      expect((await client.payload()).toString('hex')).toBe('92c3a131');
    });

    test('each of them', async () => {
      await client.call([CLEAR]);
      const results = await client.call(
        [PING],
        [PING, { any: ['value'] }],
        [SET, 'k', { deep: [1, 'two', null] }],
        [GET, 'k'],
        [HAS, 'k'],
        [DEL, 'k'],
        [GET, 'k'],
        [ADD, 'n', 5],
        [ADD, 'n', -7],
        [CAS, 'n', -2, 'swapped'],
        [CAS, 'n', -2, 'again'],
        [CAS, 'new', null, 1],
        [SET, 'new', 2, null, 1],
        [TTL, 'new'],
        [EXPIRE, 'new', 100_000],
        [PERSIST, 'new'],
        [PERSIST, 'new'],
        [TAKE, 'new'],
        [COUNT],
        [AUTH, 'any token'],
      );
      expect(results).toEqual([
        'PONG',
        { any: ['value'] },
        true,
        { deep: [1, 'two', null] },
        true,
        true,
        null,
        5,
        -2,
        true,
        false,
        true,
        false,
        -1,
        true,
        true,
        false,
        1,
        1,
        true,
      ]);
      const [cursor, keys] = (await client.call([SCAN, 0, 100]))[0] as [number, Uint8Array[]];
      expect([cursor, keys.map((key) => Buffer.from(key).toString())]).toEqual([0, ['n']]);
      expect(await client.call()).toEqual([]);
    });

    test('HELLO tells who is here, and refuses another version', async () => {
      const [hello, wrong] = (await client.call([HELLO, { version: 1, name: 'suite' }], [HELLO, { version: 2 }])) as [
        Record<string, unknown>,
        WireError,
      ];
      expect(hello).toMatchObject({
        server: 'ringkv',
        version: server.ready.version,
        protocol: 1,
        runtime: server.ready.runtime,
        transport,
        engine: 'swiss',
        maxFrame: 16 * MiB,
        maxKey: 65_535,
        maxOperations: 1_048_576,
        maxDepth: 32,
        shards: [[0, 16_383, server.ready.address]],
      });
      expect(wrong.error).toBe('RANGE');
    });

    test('INFO tells figures that follow what happens', async () => {
      const before = await info();
      await client.call([SET, 'counted', 1], [GET, 'counted']);
      const after = await info();
      expect(after.frames! - before.frames!).toBe(2);
      expect(after.bytesIn).toBeGreaterThan(before.bytesIn!);
      expect(after.pid).toBe(server.ready.pid);
      for (const figure of ['uptimeMs', 'connections', 'keys', 'usedBytes', 'residentBytes', 'peakResidentBytes']) {
        expect(after[figure], figure).toBeGreaterThan(0);
      }
      expect(after.cpuUserMicros! + after.cpuSystemMicros!).toBeGreaterThan(0);
    });

    test('errors stand in the place of their operation, and the others of the frame run', async () => {
      const results = (await client.call(
        [SET, 'e', 'text'],
        [ADD, 'e', 1],
        [SET, '', 1],
        [99],
        [GET],
        [EXPIRE, 'e', 2 ** 50],
        'no array',
        [GET, 'e'],
      )) as (WireError | unknown)[];
      expect(results.map((result) => (result as WireError).error ?? result)).toEqual([
        true,
        'TYPE',
        'KEY',
        'OP',
        'OP',
        'RANGE',
        'TYPE',
        'text',
      ]);
    });

    test('a key expires, for those who ask and for those who count', async () => {
      await client.call([CLEAR], [SET, 'short', 1, 30], [SET, 'long', 1, 60_000]);
      // The server's clock is not ours to turn, so this asks until the key is gone; it fails by the test's time limit.
      while ((await client.call([GET, 'short']))[0] !== null);
      const [ttl, count] = (await client.call([TTL, 'long'], [COUNT])) as [number, number];
      expect(ttl).toBeGreaterThan(0);
      expect(ttl).toBeLessThanOrEqual(60_000);
      expect(count).toBe(1);
    });
  });

  describe('framing', () => {
    if (isStream) streamFraming(dial);
    else messageFraming(() => server, runtime.name);

    test('a thousand frames in flight are answered in their order', async () => {
      const peer = await dial();
      const frames = Array.from({ length: 1000 }, (_, i) => request([SET, `p${i}`, i], [GET, `p${i}`], [PING, i]));
      peer.peer.write(concat(...frames));
      for (let i = 0; i < 1000; i++) expect(await peer.reply()).toEqual([true, i, i]);
      await peer.close();
    });

    test('a value of 8 MiB goes in and comes out', async () => {
      const value = Buffer.alloc(8 * MiB, 'ringkv ');
      const [stored, got] = await client.call([SET, 'large', value], [GET, 'large']);
      expect(stored).toBe(true);
      expect(Buffer.compare(got as Uint8Array, value)).toBe(0);
      await client.call([DEL, 'large']);
    });

    test('a batch runs alone: no operation of another connection comes between its own', async () => {
      const clients = await Promise.all(Array.from({ length: 20 }, dial));
      await client.call([DEL, 'shared']);
      const replies = await Promise.all(
        clients.map(async (one) => {
          const own: [number, number][] = [];
          for (let i = 0; i < 20; i++)
            own.push((await one.call([ADD, 'shared', 1], [ADD, 'shared', 1])) as [number, number]);
          return own;
        }),
      );
      for (const [first, second] of replies.flat()) expect(second).toBe(first + 1);
      expect(await client.call([GET, 'shared'])).toEqual([800]);
      await Promise.all(clients.map((one) => one.close()));
    });
  });

  describe('the end of a connection', () => {
    if (isStream) halfClosing(dial);

    const unreadable: [string, Uint8Array, string][] = [
      ...(isStream ? streamUnreadable : messageUnreadable),
      ['a payload that is no array', frame(encode({ no: 'array' })), 'FRAME'],
      ['truncated MessagePack', frame(Uint8Array.of(0x92, 0xc0)), 'FRAME'],
      ['bytes after the array', frame(Uint8Array.of(0x90, 0xc0)), 'FRAME'],
      ['nesting without end', frame(concat(new Uint8Array(50).fill(0x91), Uint8Array.of(0xc0))), 'FRAME'],
      ['an empty payload', frame(new Uint8Array(0)), 'FRAME'],
    ];
    test.each(unreadable)('%s: its error, after the replies before it, and the end', async (_, bytes, code) => {
      const peer = await dial();
      peer.peer.write(concat(request([SET, 'before', code]), bytes));
      expect(await peer.reply()).toEqual([true]);
      expect(await peer.reply()).toMatchObject({ error: code });
      await peer.peer.ended;
      await peer.close();
      expect(await client.call([GET, 'before'])).toEqual([code]);
    });

    test('nothing of an unreadable payload runs', async () => {
      const peer = await dial();
      const payload = concat(encode([[SET, 'untouched', 1]]).slice(), Uint8Array.of(0xc1));
      await client.call([DEL, 'untouched']);
      peer.peer.write(frame(payload));
      expect(await peer.reply()).toMatchObject({ error: 'FRAME' });
      expect(await client.call([HAS, 'untouched'])).toEqual([false]);
      await peer.close();
    });

    test('connections that are cut off leave nothing behind', async () => {
      for (let round = 0; round < 5; round++) {
        const clients = await Promise.all(Array.from({ length: 40 }, dial));
        for (const [i, one] of clients.entries()) {
          // With a log, the replies to what is written are still held when the connection is gone.
          one.peer.write(i % 2 === 0 ? request([SET, 'cut', i], [GET, 'cut']) : request([PING]).subarray(0, 7));
          if (i % 3 === 0) one.peer.reset();
          else one.peer.destroy();
        }
        await Promise.all(clients.map((one) => one.peer.closed));
      }
      // The server hears of it on its own time, then only our own is left; a leak fails this by the test's time limit.
      while ((await info()).connections !== 1);
    });
  });

  test('who does not read is not read from: memory stays bounded, others are served, and nothing is lost', async () => {
    const value = Buffer.alloc(MiB, 'x');
    await client.call([SET, 'heavy', value]);
    const { residentBytes: before } = await info();
    const slow = await dial();
    slow.peer.pause();
    // 64 MiB of replies are asked for with a few kilobytes; then comes more than the kernel's buffers take, which may grow.
    const asked = 64;
    for (let i = 0; i < asked; i++) slow.peer.write(request([GET, 'heavy'], [PING, i]));
    const ping = request([PING, 'x'.repeat(60_000)]);
    let pings = 0;
    do {
      for (let i = 0; i < 200; i++) slow.peer.write(ping);
      pings += 200;
      for (let i = 0; i < 50; i++) expect(await client.call([PING])).toEqual(['PONG']);
    } while (isStream && slow.peer.unsentBytes === 0 && pings < 2000);
    const { residentBytes: during } = await info();
    expect(during! - before!).toBeLessThan(32 * MiB);
    // The server has stopped reading, so some of what was written is still here. A WebSocket can't be stopped.
    if (isStream) expect(slow.peer.unsentBytes).toBeGreaterThan(0);

    slow.peer.resume();
    for (let i = 0; i < asked; i++) {
      const [got, number] = (await slow.reply()) as [Uint8Array, number];
      expect(got.length).toBe(MiB);
      expect(number).toBe(i);
    }
    for (let i = 0; i < pings; i++) expect(await slow.reply()).toEqual(['x'.repeat(60_000)]);
    await slow.close();
    await client.call([DEL, 'heavy']);
  });

  test('what waits for many who do not read stays as it was, however the store changes and grows meanwhile', async () => {
    const [before, after] = ['a', 'b'].map((letter) => Buffer.alloc(MiB, letter));
    await client.call([SET, 'heavy', before]);
    const slow = await Promise.all(Array.from({ length: 20 }, () => dial()));
    const asked = 4;
    for (const { peer } of slow) {
      peer.pause();
      for (let i = 0; i < asked; i++) peer.write(request([GET, 'heavy']));
    }
    // All that the kernel and the server take of it is executed, or waits, by then.
    for (let i = 0; i < 50; i++) expect(await client.call([PING])).toEqual(['PONG']);
    await client.call([SET, 'heavy', after]);
    for (let i = 0; i < 40; i++) await client.call([SET, `more ${i}`, after]);

    for (const { peer } of slow) peer.resume();
    const replies = await Promise.all(
      slow.map(async (one) => {
        const letters: string[] = [];
        for (let i = 0; i < asked; i++) {
          const [got] = (await one.reply()) as [Uint8Array];
          const isOld = Buffer.compare(got, before!) === 0;
          letters.push(isOld ? 'old' : Buffer.compare(got, after!) === 0 ? 'new' : 'neither');
        }
        return letters.join(' ');
      }),
    );
    for (const letters of replies) expect(letters).toMatch(/^(old ?)*(new ?)*$/);
    expect(replies.some((letters) => letters.startsWith('old'))).toBe(true);
    await Promise.all(slow.map((one) => one.close()));
    await client.call([DEL, 'heavy'], ...Array.from({ length: 40 }, (_, i) => [DEL, `more ${i}`]));
  });
}

// What only a stream of bytes can do; `server-messages.ts` has what only messages can

type Dial = () => Promise<WireClient>;

const streamUnreadable: [string, Uint8Array, string][] = [
  ['another first byte', Buffer.from('*1\r\n$4\r\nPING\r\n'), 'FRAME'],
  ['an HTTP request', Buffer.from('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n'), 'FRAME'],
  ['a header that claims 4 GiB', Uint8Array.of(0xce, 0xff, 0xff, 0xff, 0xff), 'SIZE'],
  ['one byte more than maxFrame', Uint8Array.of(0xce, 0x01, 0x00, 0x00, 0x01), 'SIZE'],
];

function streamFraming(dial: Dial): void {
  const stream = concat(request([SET, 'split', 'x'.repeat(40)], [GET, 'split']), request(), request([PING, [1, 2, 3]]));
  const replies = [[true, 'x'.repeat(40)], [], [[1, 2, 3]]];

  test('byte by byte', async () => {
    const peer = await dial();
    for (const byte of stream) {
      peer.peer.write(Uint8Array.of(byte));
      // Hand each byte to the kernel on its own.
      await new Promise(setImmediate);
    }
    for (const reply of replies) expect(await peer.reply()).toEqual(reply);
    await peer.close();
  });

  test('split at every point', async () => {
    const peer = await dial();
    const other = await dial();
    for (let at = 1; at < stream.length; at++) {
      peer.peer.write(stream.subarray(0, at));
      await other.call([PING]);
      peer.peer.write(stream.subarray(at));
      for (const reply of replies) expect(await peer.reply()).toEqual(reply);
    }
    await Promise.all([peer.close(), other.close()]);
  });
}

function halfClosing(dial: Dial): void {
  test('who half-closes gets the replies to all it sent, then the end', async () => {
    const peer = await dial();
    peer.peer.write(concat(request([SET, 'last', 1]), request([GET, 'last'])));
    peer.peer.end();
    expect(await peer.reply()).toEqual([true]);
    expect(await peer.reply()).toEqual([1]);
    await peer.peer.ended;
    await peer.peer.closed;
  });

  test('who half-closes inside a frame is told so', async () => {
    const peer = await dial();
    peer.peer.write(concat(request([PING]), request([PING]).subarray(0, 6)));
    peer.peer.end();
    expect(await peer.reply()).toEqual(['PONG']);
    expect(await peer.reply()).toMatchObject({ error: 'FRAME' });
    await peer.peer.ended;
  });
}
