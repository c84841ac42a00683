/** Connections that are lost: what is sent again, what is not, and the pauses between attempts. */
import { describe, expect, test } from 'vitest';
import { Op } from '../../core/protocol.ts';
import {
  becomes,
  failure,
  lose,
  pair,
  reconnected,
  server,
  states,
  timers,
  withAbort,
} from '../support/scripted-client.ts';
import { frame, HELLO, wireError } from '../support/scripted-server.ts';

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
    const [many, deep] = [client.batch().get('a').get('b').send(), client.set('c', [1])];
    const second = await reconnected({ ...HELLO, maxFrame: 100, maxOperations: 1, maxDepth: 0 });
    for (const refused of [many, deep]) expect(await failure(refused)).toMatchObject({ code: 'ARGUMENT' });
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
