/** The client's link over a connection that carries messages: payloads go out without their headers, and come in so. */
import { describe, expect, test } from 'vitest';
import { RingkvError } from '../../core/client/errors.ts';
import { Link } from '../../core/client/link.ts';
import { operations } from '../../core/client/operations.ts';
import { Queue } from '../../core/client/queue.ts';
import { Request } from '../../core/client/request.ts';
import type { Connection } from '../../core/connection.ts';
import { encode } from '../support/bytes.ts';

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
    link.send(queue.take(Infinity)!);
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
