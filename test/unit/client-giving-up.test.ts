/** Operations that are given up: those whose time has passed, and those that are aborted. */
import { getEventListeners } from 'node:events';
import { describe, expect, test } from 'vitest';
import { Op } from '../../core/protocol.ts';
import { becomes, failure, pair, reconnected, timers, withAbort } from '../support/scripted-client.ts';

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

  test('who was blocked reads what has come before it gives anything up, but waits no longer than that', async () => {
    const [client, connection] = await pair({ timeoutMs: 100 });
    const answered = client.set('answered', 1);
    await connection.frame();
    timers.block(60_000);
    connection.reply([true]);
    expect(await answered).toBe(true);
    const unanswered = client.get('unanswered');
    await connection.frame();
    let isSettled = false;
    void unanswered.catch(() => {}).finally(() => (isSettled = true));
    // Blocked again and again, for what is new each time.
    timers.block(1000);
    await new Promise((resolve) => setImmediate(resolve));
    expect(isSettled).toBe(false);
    timers.block(1000);
    expect(await failure(unanswered)).toMatchObject({ code: 'TIMEOUT' });
    expect(client.state).toBe('connected');
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
