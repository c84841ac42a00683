/** How a client ends. */
import { describe, expect, test } from 'vitest';
import { Op } from '../../core/protocol.ts';
import { failure, lose, pair, reconnected, server, states, timers } from '../support/scripted-client.ts';

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

  test('a server that is silent for too long ends it, and no alarm is left for what it did not answer', async () => {
    const [client, connection] = await pair({ timeoutMs: 100_000 });
    const write = client.set('a', 1);
    await connection.frame();
    const closed = client.close();
    await new Promise((resolve) => setImmediate(resolve));
    timers.advance(30_000);
    expect(await failure(write)).toMatchObject({ code: 'UNKNOWN_OUTCOME' });
    await closed;
    expect(timers.alarmCount).toBe(0);
  });

  test('leaves a server that does not end after a second', async () => {
    const [client, connection] = await pair();
    const closed = client.close();
    await connection.ended();
    timers.advance(1000);
    await closed;
    expect(timers.alarmCount).toBe(0);
  });

  test('gives up tens of thousands of operations in no time', async () => {
    const [client, connection] = await pair({ timeoutMs: 100 });
    const outcomes = Promise.allSettled(Array.from({ length: 40_000 }, () => client.get('a')));
    await connection.frame();
    const closed = client.close();
    await new Promise((resolve) => setImmediate(resolve));
    const startMs = performance.now();
    timers.advance(100);
    // To look at each for one that is left took half a minute.
    expect(performance.now() - startMs).toBeLessThan(5000);
    expect(new Set((await outcomes).map(({ status }) => status))).toEqual(new Set(['rejected']));
    connection.socket.end();
    await closed;
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
