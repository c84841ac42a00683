/** The benchmark's check of replies: it lets through what is right, however it is split, and nothing else. */
import { describe, expect, test } from 'vitest';
import { FramePool } from '../../bench/load/frames.ts';
import { ReplyChecker } from '../../bench/load/replies.ts';
import { type Operations, READ, Values } from '../../bench/load/workload.ts';
import { concat, encode, wireError } from '../support/bytes.ts';
import { frame } from '../support/wire.ts';

const VALUE_BYTES = 40;
const values = new Values(VALUE_BYTES);

/** GET of key 7, SET of key 8, GET of key 9; then GET of key 1, SET of key 2, SET of key 3. */
const operations: Operations = {
  keyNumbers: Uint32Array.of(7, 8, 9, 1, 2, 3),
  versions: Uint8Array.of(READ, 4, READ, READ, 5, 6),
};
const pool = new FramePool(operations, 3, values);

function stored(keyNumber: number, version = 0): string {
  const bytes = new Uint8Array(VALUE_BYTES);
  values.write(bytes, 0, keyNumber, version);
  return new TextDecoder().decode(bytes);
}

const rightReplies = [frame(encode([stored(7), true, stored(9, 2)])), frame(encode([stored(1), true, true]))];

/** Feeds the chunks as the replies to the pool's frames; returns how many replies were complete. */
function check(chunks: readonly Uint8Array[], inFull = true): number {
  const checker = new ReplyChecker(pool);
  let complete = 0;
  checker.expect(0, inFull);
  for (const chunk of chunks) {
    let at = 0;
    while (at < chunk.length) {
      at = checker.take(chunk, at);
      if (!checker.complete) break;
      complete++;
      checker.expect(complete % pool.length, inFull);
    }
  }
  return complete;
}

describe('right replies', () => {
  const both = concat(...rightReplies);

  test('pass one by one and together', () => {
    expect(check(rightReplies)).toBe(2);
    expect(check([both])).toBe(2);
    expect(check([concat(both, both)], false)).toBe(4);
  });

  test('pass however they are split', () => {
    for (const inFull of [true, false]) {
      for (let at = 0; at <= both.length; at++)
        expect(check([both.subarray(0, at), both.subarray(at)], inFull)).toBe(2);
      expect(
        check(
          [...both].map((byte) => Uint8Array.of(byte)),
          inFull,
        ),
      ).toBe(2);
    }
  });

  test('are complete only with their last byte', () => {
    expect(check([both.subarray(0, both.length - 1)])).toBe(1);
  });
});

describe('a reply is refused', () => {
  const wrong: readonly [what: string, reply: Uint8Array, message: string][] = [
    [
      'with nil for a value',
      frame(encode([null, true, stored(9)])),
      `GET user000000000007 answered nil instead of its value of ${VALUE_BYTES} bytes (result 1 of 3)`,
    ],
    [
      'with a value of another length',
      frame(encode([stored(7), true, 'short'])),
      'GET user000000000009 answered something that begins with the byte 0xa5',
    ],
    [
      'with false for a SET',
      frame(encode([stored(7), false, stored(9)])),
      'SET user000000000008 answered false instead of true (result 2 of 3)',
    ],
    [
      'with an error for a result',
      frame(encode([stored(7), wireError('MEMORY', 'limit reached'), stored(9)])),
      'SET user000000000008 answered the error MEMORY: limit reached instead of true',
    ],
    [
      'with results in the wrong order',
      frame(encode([true, stored(7), stored(9)])),
      'GET user000000000007 answered true instead of',
    ],
    ['with too few results', frame(encode([stored(7), true])), 'a reply has 2 results instead of 3'],
    ['with no array', frame(encode('OK')), 'a reply is no array'],
    ['that refuses the frame', frame(encode(wireError('SIZE', 'too long'))), 'the frame was refused: SIZE: too long'],
    ['that is no frame', Buffer.from('+PONG\r\n'), 'a reply starts with the byte 0x2b instead of 0xce'],
    ['that is damaged', frame(Uint8Array.of(0x93, 0xc1, 0xc3, 0xc3)), 'and it is damaged: byte 0xc1'],
  ];

  test.each(wrong)('%s', (_what, reply, message) => {
    for (const inFull of [true, false]) {
      expect(() => check([reply], inFull)).toThrow(message);
      expect(() =>
        check(
          [...reply].map((byte) => Uint8Array.of(byte)),
          inFull,
        ),
      ).toThrow(
        // Byte by byte an error's body is not there yet when its first byte shows that something is wrong.
        message.startsWith('SET') ? /^SET user000000000008 answered/ : message,
      );
    }
  });

  const sampled: readonly [what: string, value: string][] = [
    ["another key's value", stored(8)],
    ['a version that was never written', `${stored(7).slice(0, 16)}:${stored(7).slice(17)}`],
    ['one byte that is wrong', `${stored(7).slice(0, -1)}!`],
  ];

  test.each(sampled)('with %s, when it is one of the sample', (_what, value) => {
    const reply = frame(encode([value, true, stored(9)]));
    expect(() => check([reply])).toThrow('GET user000000000007 answered a value that was never stored under it');
    expect(check([reply], false)).toBe(1);
  });
});
