/** The client's link over a connection that carries messages: payloads go out without their headers, and come in so. */
import { describe, expect, test } from 'vitest';
import { Client } from '../../core/client/client.ts';
import { RingkvError } from '../../core/client/errors.ts';
import { Link, UNANSWERED_BYTES_MAX } from '../../core/client/link.ts';
import { operations } from '../../core/client/operations.ts';
import { Queue } from '../../core/client/queue.ts';
import { Request } from '../../core/client/request.ts';
import type { Connect } from '../../core/client/settings.ts';
import type { Connection, ConnectionHandler } from '../../core/connection.ts';
import { encode } from '../support/bytes.ts';
import { ManualTimers } from '../support/manual-timers.ts';
import { HELLO } from '../support/scripted-server.ts';

class Messages implements Connection {
  readonly framing = 'message';
  readonly pendingBytes = 0;
  readonly sent: Buffer[] = [];
  isDestroyed = false;

  send(bytes: Uint8Array): void {
    this.sent.push(Buffer.from(bytes));
  }

  pauseReading(): void {}
  resumeReading(): void {}
  end(): void {}

  destroy(): void {
    this.isDestroyed = true;
  }
}

function linked() {
  const connection = new Messages();
  const outcomes: unknown[] = [];
  const link = new Link(connection, { now: () => 0, answered() {}, drained() {}, ended() {} });
  const ping = (value: unknown): void => {
    const queue = new Queue();
    const span = queue.write(operations.ping, [value]);
    const note = (outcome: unknown): void => void outcomes.push(outcome);
    queue.push(new Request(operations.ping, span, Infinity, note, note));
    link.send(queue.take(Infinity, 1)!);
  };
  return { connection, link, outcomes, ping };
}

test('a request is its payload, and each reply settles the oldest', () => {
  const { connection, link, outcomes, ping } = linked();
  ping('one');
  ping('two');
  expect(connection.sent).toEqual([encode([[0, 'one']]), encode([[0, 'two']])].map((bytes) => Buffer.from(bytes)));
  link.data(encode(['one']));
  link.data(encode(['two']));
  expect(outcomes).toEqual(['one', 'two']);
  expect(link.endCause).toBeUndefined();
});

describe('what is no reply ends the link', () => {
  const wrong: [string, Uint8Array, string][] = [
    ['an empty message', new Uint8Array(0), 'PROTOCOL'],
    ['a frame with its header', Uint8Array.of(0xce, 0, 0, 0, 3, 0x91, 0xa1, 0x61), 'PROTOCOL'],
    ['half a payload', encode(['a reply']).subarray(0, 4), 'PROTOCOL'],
    ['two payloads', Uint8Array.of(0x91, 0x01, 0x91, 0x01), 'PROTOCOL'],
    ["the server's refusal", Uint8Array.of(0xc7, 9, 1, 0x92, 0xa4, ...Buffer.from('SIZE'), 0xa2, 0x6e, 0x6f), 'SIZE'],
  ];
  test.each(wrong)('%s', (_, message, code) => {
    const { connection, link, ping } = linked();
    ping('asked');
    link.data(message);
    expect(link.endCause).toBeInstanceOf(RingkvError);
    expect([link.endCause?.code, connection.isDestroyed]).toEqual([code, true]);
  });
});

describe('what is in flight is bounded, for the server can’t stop reading', () => {
  const turn = () => new Promise((resolve) => setImmediate(resolve));

  /** A client, and its server by hand; it is told of no `drain`, since all that it sends leaves at once. */
  async function client() {
    const connection = new Messages();
    let link: ConnectionHandler | undefined;
    const connect: Connect = async (open) => {
      link = open(connection);
      return connection;
    };
    const opened = Client.open({ connect, connectShard: () => connect, timers: new ManualTimers() });
    await turn();
    link?.data(encode([HELLO]));
    const ready = await opened;
    connection.sent.length = 0;
    return { client: ready, sent: connection.sent, answer: (results: unknown[]) => link?.data(encode(results)) };
  }

  test('what waits is sent as answers come, all of it once', async () => {
    const { client: ringkv, sent, answer } = await client();
    const value = new Uint8Array(1024 * 1024);
    const answered: number[] = [];
    for (let i = 0; i < 30; i++) {
      void ringkv.set(`${i}`, value).then(() => answered.push(i));
      await turn();
    }
    const inFlight = () => sent.reduce((sum, message) => sum + message.length + 256, 0);
    expect(sent).toHaveLength(7);
    while (sent.length > 0) {
      expect(inFlight()).toBeLessThanOrEqual(UNANSWERED_BYTES_MAX);
      sent.shift();
      answer([true]);
      await turn();
    }
    expect(answered).toEqual(Array.from({ length: 30 }, (_, i) => i));
  });

  test('small messages count with what they take beside their bytes', async () => {
    const { client: ringkv, sent } = await client();
    const most = Math.floor(UNANSWERED_BYTES_MAX / (256 + 3));
    for (let i = 0; i < most + 100; i++) {
      void ringkv.ping();
      await Promise.resolve();
    }
    expect(sent).toHaveLength(most);
  });

  test('one that is larger goes alone', async () => {
    const { client: ringkv, sent, answer } = await client();
    const large = new Uint8Array(UNANSWERED_BYTES_MAX + 1);
    const all: Promise<boolean>[] = [];
    for (const value of [1, large]) {
      all.push(ringkv.set('key', value));
      await turn();
    }
    for (let sentMax = 1; sentMax <= 2; sentMax++) {
      expect(sent).toHaveLength(sentMax);
      answer([true]);
    }
    expect(await Promise.all(all)).toEqual([true, true]);
  });
});
