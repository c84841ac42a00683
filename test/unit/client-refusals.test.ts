/** Servers that refuse, or do not speak the protocol, and transports that do what they may. */
import { describe, expect, test } from 'vitest';
import type { RingkvError } from '../../core/client/errors.ts';
import type { ClientOptions } from '../../core/client/settings.ts';
import type { Connection } from '../../core/connection.ts';
import { ErrorCode, Op } from '../../core/protocol.ts';
import { fromHex } from '../support/bytes.ts';
import { becomes, failure, lose, open, pair, reconnected, server, states, timers } from '../support/scripted-client.ts';
import { frame, HELLO, wireError } from '../support/scripted-server.ts';

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
    ['results that can’t be told', frame([1, { toString: 1, valueOf: 1 }])],
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
    ['no most operations', { ...HELLO, maxOperations: 'many' }],
    ['no deepest nesting', { ...HELLO, maxDepth: -1 }],
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
