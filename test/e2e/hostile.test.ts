/**
 * Clients that are slow, silent, half-open, flooding or malformed, against a server of each transport on its own runtime. What
 * counts are its counters and its memory: a client that takes more than its share is refused or cut, and others are served
 * meanwhile.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Op } from '../../core/protocol.ts';
import { concat, encode, fromHex } from '../support/bytes.ts';
import { type Cell, describeTransports } from '../support/cells.ts';
import { descriptorsOf, type ServerChild, startServe } from '../support/command.ts';
import { frame, request, WireClient } from '../support/wire.ts';

const MiB = 1024 * 1024;
const TOKEN = 'a-token-that-few-have';

/** It stands in everything that is sent where errors are made, and must be in nothing that comes back. */
const MARK = 'wh4t-w4s-s3nt';

/** How often a server is asked for a figure before it counts as one that does not come. */
const ASK_PAUSE_MS = 25;

/** What collectors of garbage may leave lying about while a server is asked for far more. Unit: bytes. */
const SLACK_BYTES = 64 * MiB;

type Info = Readonly<Record<string, number>>;

async function infoOf(client: WireClient): Promise<Info> {
  const [info] = await client.call([Op.INFO]);
  return info as Info;
}

/** Resolves to INFO once `isReached`; what never comes fails the test by its time limit. */
async function infoWhen(client: WireClient, isReached: (info: Info) => boolean): Promise<Info> {
  for (;;) {
    const info = await infoOf(client);
    if (isReached(info)) return info;
    await sleep(ASK_PAUSE_MS);
  }
}

const isAlone = ({ connections }: Info): boolean => connections === 1;

/** Starts the server of a cell before the tests of a suite, and gives a client of it that behaves. */
function serving({ runtime, transport, kinds }: Cell, flags: string, token?: string) {
  const listen = kinds.includes('ws') ? 'ws://127.0.0.1:0' : 'tcp://127.0.0.1:0';
  const env: Record<string, string> = token === undefined ? {} : { RINGKV_TOKEN: token };
  let server: ServerChild;
  beforeAll(async () => {
    server = await startServe(['--listen', listen, '--transport', transport, ...flags.split(' ')], { runtime, env });
  });
  afterAll(async () => {
    expect(await server?.child.stop()).toBe(0);
  });
  return {
    dial: (): Promise<WireClient> => WireClient.dial(server.ready.address),
    dialMany: (count: number) => dialMany(server.ready.address, count),
    async dialGood(): Promise<WireClient> {
      const client = await WireClient.dial(server.ready.address);
      if (token !== undefined) expect(await client.call([Op.AUTH, token])).toEqual([true]);
      return client;
    },
    told: (): string => server.child.stderr + server.child.lines.join('\n'),
    descriptors: (): number => descriptorsOf(server),
  };
}

/** A hundred at a time, for the kernel's queue of those that wait to be accepted is short. */
async function dialMany(address: string, count: number): Promise<WireClient[]> {
  const clients: WireClient[] = [];
  while (clients.length < count) {
    const missing = Math.min(100, count - clients.length);
    clients.push(...(await Promise.all(Array.from({ length: missing }, () => WireClient.dial(address)))));
  }
  return clients;
}

/** What a client is told without having asked, and when. */
async function hear(client: WireClient): Promise<{ readonly reply: unknown; readonly atMs: number }> {
  const reply = await client.reply();
  return { reply, atMs: performance.now() };
}

async function closeAll(clients: readonly WireClient[]): Promise<void> {
  await Promise.all(clients.map((client) => client.close()));
}

describeTransports((cell) => {
  const isStream = !cell.kinds.includes('ws');

  describe('a patient server', () => {
    const { dial, dialMany, dialGood, told } = serving(
      cell,
      '--max-connections 2002 --max-output 32m --max-partial 16m',
    );

    test('never has in memory what a client does not read, and cuts who asks for too much at once', async () => {
      const [good, slow, greedy] = [await dialGood(), await dial(), await dial()];
      await good.call([Op.SET, 'heavy', Buffer.alloc(MiB, 'x')]);
      const before = await infoOf(good);
      slow.peer.pause();
      for (let i = 0; i < 500; i++) slow.peer.write(request([Op.GET, 'heavy']));
      for (let i = 0; i < 100; i++) expect(await good.call([Op.PING, i])).toEqual([i]);
      const during = await infoOf(good);
      expect(during.residentBytes! - before.residentBytes!).toBeLessThan(SLACK_BYTES);
      expect(during.cutSlowReaders).toBe(before.cutSlowReaders);
      greedy.peer.pause();
      greedy.peer.write(request(...Array.from({ length: 60 }, () => [Op.GET, 'heavy'])));
      await infoWhen(good, ({ cutSlowReaders }) => cutSlowReaders === before.cutSlowReaders! + 1);
      expect(await good.call([Op.PING])).toEqual(['PONG']);
      await closeAll([slow, greedy]);
      await infoWhen(good, isAlone);
      await good.call([Op.DEL, 'heavy']);
      await good.close();
    });

    test('repeats nothing of what it was sent, neither to who sent it nor where it reports', async () => {
      const good = await dialGood();
      const faulty: readonly unknown[][] = [
        [MARK],
        [MARK, 'k'],
        [99, MARK],
        [Op.GET, { [MARK]: MARK }],
        [Op.GET, [MARK]],
        [Op.GET, MARK, MARK],
        [Op.SET, MARK],
        [Op.SET, MARK, 1, MARK],
        [Op.SET, MARK, 1, null, MARK],
        [Op.ADD, MARK, MARK],
        [Op.EXPIRE, MARK, MARK],
        [Op.SCAN, MARK, MARK],
        [Op.SCAN, 0, 1, { [MARK]: 1 }],
        [Op.HELLO, MARK],
        [Op.HELLO, { version: MARK }],
        [Op.HELLO, { version: 1, token: [MARK], name: { [MARK]: 1 } }],
        [Op.AUTH, { [MARK]: 1 }],
        [Op.GET, MARK.repeat(6000)],
      ];
      for (const operation of faulty) {
        good.peer.write(request(operation));
        const reply = await good.payload();
        expect(reply[0], JSON.stringify(operation)).toBe(0x91);
        expect(reply.includes(MARK), JSON.stringify(operation)).toBe(false);
      }
      const unreadable = [
        frame(encode(MARK)),
        frame(encode({ [MARK]: 1 })),
        frame(concat(encode([]), encode(MARK))),
        frame(encode([[Op.GET, MARK]]).subarray(0, -1)),
        ...(isStream ? [`GET /${MARK} HTTP/1.1\r\nHost: ${MARK}\r\n\r\n`, MARK].map((text) => Buffer.from(text)) : []),
      ];
      for (const bytes of unreadable) {
        const peer = await dial();
        peer.peer.write(bytes);
        const reply = await peer.payload();
        expect(reply.includes('FRAME'), reply.toString('latin1')).toBe(true);
        expect(reply.includes(MARK)).toBe(false);
        await peer.peer.ended;
        await peer.close();
      }
      expect(told()).not.toContain(MARK);
      await good.close();
    });

    test('says BUSY to one connection too many, and takes others when some have left', async () => {
      const good = await dialGood();
      const before = await infoOf(good);
      const crowd = await dialMany(2001);
      await infoWhen(good, ({ connections }) => connections === 2002);
      const late = await dial();
      expect(await late.reply()).toEqual({ error: 'BUSY', message: 'too many connections; the limit is 2002' });
      await late.peer.ended;
      expect(await good.call([Op.PING])).toEqual(['PONG']);
      await closeAll([...crowd, late]);
      const after = await infoWhen(good, isAlone);
      expect(after.refusedConnections! - before.refusedConnections!).toBe(1);
      const next = await dial();
      expect(await next.call([Op.PING])).toEqual(['PONG']);
      await closeAll([good, next]);
    });

    if (!isStream) return;

    test('accepts who stays at once, while others reset as fast as they can come', async () => {
      let isOver = false;
      let resets = 0;
      const flood = async (): Promise<void> => {
        while (!isOver) {
          (await dial()).peer.reset();
          resets++;
        }
      };
      const floods = Array.from({ length: 4 }, flood);
      for (let came = 0; came < 10; came++) {
        const one = await dial();
        expect(await one.call([Op.PING])).toEqual(['PONG']);
        await one.close();
      }
      isOver = true;
      await Promise.all(floods);
      expect(resets).toBeGreaterThan(10);
      const good = await dialGood();
      await infoWhen(good, isAlone);
      await good.close();
    });

    test('answers a header that claims 4 GiB when it has come, and sets nothing aside for it', async () => {
      const good = await dialGood();
      const before = await infoOf(good);
      const liars = await dialMany(200);
      for (const { peer } of liars) peer.write(fromHex('ce ff ff ff ff'));
      for (const liar of liars) expect(await liar.reply()).toMatchObject({ error: 'SIZE' });
      const after = await infoOf(good);
      expect(after.refusedFrames! - before.refusedFrames!).toBe(200);
      expect(after.partialBytes).toBe(0);
      expect(after.residentBytes! - before.residentBytes!).toBeLessThan(SLACK_BYTES);
      await closeAll([...liars, good]);
    });

    test('has of 2,000 half frames what has come of them, whatever they claim', async () => {
      const good = await dialGood();
      const before = await infoOf(good);
      const crowd = await dialMany(2000);
      const half = frame(encode([[Op.SET, 'k', 'x'.repeat(MiB)]])).subarray(0, 1000);
      for (const { peer } of crowd) peer.write(half);
      const received = before.bytesIn! + crowd.length * half.length;
      const during = await infoWhen(good, ({ bytesIn }) => bytesIn! >= received);
      expect(during.partialBytes).toBeGreaterThanOrEqual(crowd.length * (half.length - 5));
      expect(during.partialBytes).toBeLessThanOrEqual(16 * MiB);
      expect(during.residentBytes! - before.residentBytes!).toBeLessThan(SLACK_BYTES);
      expect(during.refusedPartial).toBe(before.refusedPartial);
      for (let i = 0; i < 100; i++) expect(await good.call([Op.PING, i])).toEqual([i]);
      await closeAll(crowd);
      expect((await infoWhen(good, isAlone)).partialBytes).toBe(0);
      await good.close();
    });

    test('says MEMORY to whose half frame does not fit beside the others, and goes on', async () => {
      const good = await dialGood();
      const before = await infoOf(good);
      const crowd = await dialMany(12);
      const half = frame(encode([[Op.SET, 'k', 'x'.repeat(8 * MiB)]])).subarray(0, 2 * MiB);
      for (const { peer } of crowd) peer.write(half);
      const during = await infoWhen(good, ({ refusedPartial }) => refusedPartial! > before.refusedPartial!);
      expect(during.partialBytes).toBeLessThanOrEqual(16 * MiB);
      expect(await good.call([Op.SET, 'k', 1], [Op.GET, 'k'])).toEqual([true, 1]);
      await closeAll(crowd);
      expect((await infoWhen(good, isAlone)).partialBytes).toBe(0);
      await good.close();
    });
  });

  describe('a strict server that asks for a token', () => {
    const flags = '--idle-timeout 4s --frame-timeout 1s --auth-timeout 3s --output-timeout 1s';
    const { dial, dialMany, dialGood, descriptors } = serving(cell, flags, TOKEN);

    test('takes little from who has not brought one', async () => {
      const good = await dialGood();
      const before = await infoOf(good);
      const large = frame(encode([[Op.PING, 'x'.repeat(MiB)]]));
      const million = frame(concat(fromHex('dd 000f4240'), new Uint8Array(1000).fill(0x90)));
      const strangers = await dialMany(40);
      for (const [i, { peer }] of strangers.entries()) peer.write(i % 2 === 0 ? large : million);
      const replies = await Promise.all(strangers.map((stranger) => stranger.reply()));
      for (const [i, reply] of replies.entries())
        expect(reply).toMatchObject({ error: i % 2 === 0 ? 'AUTH' : 'FRAME' });
      await closeAll(strangers);
      const after = await infoOf(good);
      expect(after.refusedUnauthenticated! - before.refusedUnauthenticated!).toBe(20);
      expect(after.residentBytes! - before.residentBytes!).toBeLessThan(SLACK_BYTES);
      await good.close();
    });

    test('closes who sends 100,000 bad operations and does not read', async () => {
      const good = await dialGood();
      const before = await infoOf(good);
      const stranger = await dial();
      stranger.peer.pause();
      const bad = request([99]);
      const thousand = concat(...Array.from({ length: 1000 }, () => bad));
      for (let i = 0; i < 100; i++) stranger.peer.write(thousand);
      const after = await infoWhen(
        good,
        ({ refusedUnauthenticated }) => refusedUnauthenticated! > before.refusedUnauthenticated!,
      );
      expect(after.frames! - before.frames!).toBeLessThan(10_000);
      expect(after.residentBytes! - before.residentBytes!).toBeLessThan(SLACK_BYTES);
      await stranger.close();
      await good.close();
    });

    test('closes the silent, the slow and the half-open in time, and nobody else', async () => {
      const first = await dialGood();
      await first.call([Op.SET, 'heavy', Buffer.alloc(MiB, 'x')]);
      const before = await infoWhen(first, isAlone);
      const held = descriptors();
      const opened = performance.now();
      const [silent, idle, unread] = [await dial(), await dialGood(), await dialGood()];
      unread.peer.pause();
      for (let i = 0; i < 64; i++) unread.peer.write(request([Op.GET, 'heavy']));
      // They are told, and nobody says goodbye: the server has to end the connections by itself.
      const told = [silent, idle].map(hear);
      const expected = [{ error: 'AUTH' }, { error: 'IDLE' }];
      const promisedMs = [3000, 4000];
      const counters = { refusedUnauthenticated: 1, cutSlowFrames: 0 };
      const half: WireClient[] = [];
      if (isStream) {
        half.push(await dialGood());
        half[0]!.peer.write(request([Op.PING, MARK]).subarray(0, 9));
        told.push(hear(half[0]!));
        expected.push({ error: 'FRAME' });
        promisedMs.push(1000);
        counters.cutSlowFrames = 1;
      }
      // How much of it the system takes decides whether who reads nothing counts as slow or as idle.
      const unheard = ({ cutIdle, cutSlowReaders }: Info): number => cutIdle! + cutSlowReaders!;
      const closing = infoWhen(
        first,
        (info) =>
          Object.entries(counters).every(([name, count]) => info[name]! >= before[name]! + count) &&
          unheard(info) >= unheard(before) + 2,
      );
      const heard = await Promise.all(told);
      expect(heard.map(({ reply }) => reply)).toMatchObject(expected);
      for (const [i, { atMs }] of heard.entries()) {
        expect(atMs - opened).toBeGreaterThan(promisedMs[i]!);
        // A second more is a matter of ticks.
        expect(atMs - opened).toBeLessThan(3 * (promisedMs[i]! + 1000));
      }
      await closing;
      expect(performance.now() - opened).toBeLessThan(20_000);
      // `first` alone is not idle, since it asks.
      await infoWhen(first, isAlone);
      await expect.poll(descriptors, { timeout: 10_000 }).toBe(held);
      await closeAll([silent, idle, unread, ...half, first]);
    });
  });

  // How a WebSocket server accepts is its library's.
  if (!isStream) return;

  test('with 64 descriptors it keeps those it has, and takes the others when some have left', async () => {
    const [program, ...args] = cell.runtime.command;
    const command = ['sh', '-c', 'ulimit -n 64 && exec "$0" "$@"', program!, ...args];
    const server = await startServe(['--transport', cell.transport], { runtime: { ...cell.runtime, command } });
    const first = await WireClient.dial(server.ready.address);
    expect(await first.call([Op.PING])).toEqual(['PONG']);
    let served = 0;
    let leave = (): void => {};
    const isFull = new Promise<void>((resolve) => {
      leave = resolve;
    });
    // The server can't have as many. Some wait in the kernel's queue; those that a runtime turns away come again.
    const comeAndGo = async (): Promise<void> => {
      for (;;) {
        const client = await WireClient.dial(server.ready.address).catch(() => undefined);
        const answer = await client?.call([Op.PING, 'x']).catch(() => undefined);
        if (answer === undefined) await sleep(ASK_PAUSE_MS);
        else {
          expect(answer).toEqual(['x']);
          served++;
          await isFull;
        }
        await client?.close();
        if (answer !== undefined) return;
      }
    };
    const crowd = Promise.all(Array.from({ length: 100 }, comeAndGo));
    // It is full when nobody was let in while it answered so often.
    for (let asked = 0, before = 0; asked < 40; asked++) {
      await infoWhen(first, ({ connections }) => connections! > 10);
      if (served !== before) asked = 0;
      before = served;
      await sleep(ASK_PAUSE_MS);
    }
    expect(served).toBeGreaterThan(5);
    expect(served).toBeLessThan(64);
    leave();
    // Each that leaves makes room for the next, until all were served.
    await crowd;
    expect(served).toBe(100);
    expect(await first.call([Op.PING])).toEqual(['PONG']);
    await infoWhen(first, isAlone);
    await first.close();
    expect(await server.child.stop()).toBe(0);
  });
});
