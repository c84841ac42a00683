/** The benchmark's other languages: what is sent is what those stores read, and only right replies pass. */
import { describe, expect, test } from 'vitest';
import { TEXT_LANGUAGE_NAMES, type TextLanguageName, TextPool } from '../../bench/load/text-pool.ts';
import { type Operations, READ, Values } from '../../bench/load/workload.ts';
import { concat } from '../support/bytes.ts';

const VALUE_BYTES = 40;
const values = new Values(VALUE_BYTES);

/** GET of key 7, SET of key 8, GET of key 9; then GET of key 1, SET of key 2, SET of key 3; one is left over. */
const operations: Operations = {
  keyNumbers: Uint32Array.of(7, 8, 9, 1, 2, 3, 4),
  versions: Uint8Array.of(READ, 4, READ, READ, 5, 6, READ),
};

function stored(keyNumber: number, version = 0): string {
  const bytes = new Uint8Array(VALUE_BYTES);
  values.write(bytes, 0, keyNumber, version);
  return new TextDecoder().decode(bytes);
}

const encode = (text: string): Uint8Array => new TextEncoder().encode(text);
const byteByByte = (bytes: Uint8Array): Uint8Array[] => [...bytes].map((byte) => Uint8Array.of(byte));

interface Language {
  readonly request: string;
  readonly value: (value: string) => string;
  readonly stored: string;
  readonly missing: string;
  readonly error: string;
}

const languages: Readonly<Record<TextLanguageName, Language>> = {
  resp: {
    request:
      '*2\r\n$3\r\nGET\r\n$16\r\nuser000000000007\r\n' +
      `*3\r\n$3\r\nSET\r\n$16\r\nuser000000000008\r\n$40\r\n${stored(8, 4)}\r\n` +
      '*2\r\n$3\r\nGET\r\n$16\r\nuser000000000009\r\n',
    value: (value) => `$${value.length}\r\n${value}\r\n`,
    stored: '+OK\r\n',
    missing: '$-1\r\n',
    error: '-OOM command not allowed\r\n',
  },
  memcached: {
    request: `mg user000000000007 v\r\nms user000000000008 40\r\n${stored(8, 4)}\r\nmg user000000000009 v\r\n`,
    value: (value) => `VA ${value.length}\r\n${value}\r\n`,
    stored: 'HD\r\n',
    missing: 'EN\r\n',
    error: 'SERVER_ERROR out of memory storing object\r\n',
  },
};

describe.each(TEXT_LANGUAGE_NAMES)('%s', (name) => {
  const language = languages[name];
  const pool = new TextPool(name, operations, 3, values);
  const reply = (first: string, second: string, third: string): Uint8Array => encode(first + second + third);
  const right = [
    reply(language.value(stored(7)), language.stored, language.value(stored(9, 2))),
    reply(language.value(stored(1)), language.stored, language.stored),
  ];

  /** Feeds the chunks as the replies to the pool's frames; returns how many were complete. */
  function check(chunks: readonly Uint8Array[], inFull = true): number {
    const checker = pool.checker();
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

  test('a frame is a pipeline of requests', () => {
    expect(pool.length).toBe(2);
    expect(new TextDecoder().decode(pool.frame(0))).toBe(language.request);
    const bytes = pool.frame(0).length + pool.frame(1).length;
    expect(pool.frame(1).byteOffset + pool.frame(1).length).toBe(bytes);
  });

  test('right replies pass however they are split, and are complete only with their last byte', () => {
    const both = concat(...right);
    for (const inFull of [true, false]) {
      expect(check(right, inFull)).toBe(2);
      expect(check([concat(both, both)], inFull)).toBe(4);
      expect(check(byteByByte(both), inFull)).toBe(2);
      for (let at = 0; at <= both.length; at++) {
        expect(check([both.subarray(0, at), both.subarray(at)], inFull)).toBe(2);
      }
    }
    expect(check([both.subarray(0, -1)])).toBe(1);
  });

  const asked = 'GET user000000000007 answered';
  const wrong: readonly [what: string, reply: Uint8Array, message: string][] = [
    ['a miss', reply(language.missing, language.stored, ''), `${asked} nil instead of its value of 40 bytes`],
    ['an error', encode(language.error), `${asked} ${JSON.stringify(language.error.trimEnd())} instead of`],
    ['the reply of a SET for a value', encode(language.stored), `${asked} "${language.stored.trimEnd()}" instead of`],
    ['a shorter value', encode(language.value('short')), asked],
    ['a value of a length that begins alike', encode(language.value('x'.repeat(400))), asked],
    ['a value that goes on', encode(language.value(stored(7)).replace(/\r\n$/, '!\r\n')), `${asked} a value that is`],
    [
      'an error for a SET',
      reply(language.value(stored(7)), language.error, ''),
      `SET user000000000008 answered ${JSON.stringify(language.error.trimEnd())} instead of "${language.stored.trimEnd()}" (result 2 of 3)`,
    ],
    ['a line without an end', encode('x'.repeat(1000)), `${asked} "xxx`],
  ];

  test.each(wrong)('%s is refused, however it comes', (_what, bytes, message) => {
    for (const inFull of [true, false]) {
      expect(() => check([bytes], inFull)).toThrow(message);
      expect(() => check(byteByByte(bytes), inFull)).toThrow(message);
    }
  });

  test.each([
    ["another key's value", stored(8)],
    ['one byte that is wrong', `${stored(7).slice(0, -1)}!`],
  ])('%s is refused when it is one of the sample', (_what, value) => {
    const bytes = reply(language.value(value), language.stored, language.value(stored(9)));
    expect(() => check([bytes])).toThrow('answered a value that was never stored under it, beginning with "user');
    expect(check([bytes], false)).toBe(1);
  });
});
