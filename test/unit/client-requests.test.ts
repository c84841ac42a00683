/** What the client puts into frames, and how much of it may wait. */
import { decode } from '@msgpack/msgpack';
import { describe, expect, test } from 'vitest';
import { Op } from '../../core/protocol.ts';
import { fromHex, hex } from '../support/bytes.ts';
import { failure, pair, timers } from '../support/scripted-client.ts';
import { frame, HELLO } from '../support/scripted-server.ts';

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

  test('none has more operations than the server takes, and a batch of more is refused', async () => {
    const [client, connection] = await pair({}, { ...HELLO, maxOperations: 3 });
    const results = Promise.all([...'abcd'].map((key) => client.get(key)));
    const batch = client.batch().get('e').get('f').send();
    const tooMany = client.batch().get('g').get('h').get('i').get('j').send();
    expect(await failure(tooMany)).toMatchObject({
      code: 'ARGUMENT',
      message: expect.stringMatching(/takes 3 in one/),
    });
    expect(await connection.frame()).toEqual(['a', 'b', 'c'].map((key) => [Op.GET, key]));
    expect(await connection.frame()).toEqual(['d', 'e', 'f'].map((key) => [Op.GET, key]));
    connection.reply([1, 2, 3]);
    connection.reply([4, 5, 6]);
    expect([await results, await batch]).toEqual([
      [1, 2, 3, 4],
      [5, 6],
    ]);
  });

  test('none has a value that nests deeper than the server takes', async () => {
    const [client, connection] = await pair({}, { ...HELLO, maxDepth: 1 });
    for (const refused of [
      client.set('a', [[1]]),
      client.cas('a', { b: {} }, 1),
      client
        .batch()
        .set('a', 1)
        .set('b', [[2]])
        .send(),
    ]) {
      expect(await failure(refused)).toMatchObject({
        code: 'ARGUMENT',
        message: expect.stringMatching(/more than 1 deep/),
      });
    }
    const taken = [client.set('a', [1]), client.batch().get('a').set('b', { c: 2 }).send()];
    expect(await connection.frame()).toEqual([
      [Op.SET, 'a', [1]],
      [Op.GET, 'a'],
      [Op.SET, 'b', { c: 2 }],
    ]);
    connection.reply([true, [1], true]);
    expect(await Promise.all(taken)).toEqual([true, [[1], true]]);
  });

  test('none has in the midst of a value what that issues while it is encoded', async () => {
    const [client, connection] = await pair();
    let inner: Promise<unknown> | undefined;
    const set = client.set('a', {
      get field() {
        inner = failure(client.get('inner'));
        return 1;
      },
    });
    expect(await inner).toMatchObject({ code: 'ARGUMENT', message: expect.stringMatching(/while it is encoded/) });
    expect(await connection.frame()).toEqual([[Op.SET, 'a', { field: 1 }]]);
    connection.reply([true]);
    expect(await set).toBe(true);
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
