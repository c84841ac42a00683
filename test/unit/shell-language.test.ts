/** The language of the shell: lines to words, words to calls of a real store, replies to lines. */
import { describe, expect, test } from 'vitest';
import { linesOf } from '../../runtime/command/lines.ts';
import {
  complete,
  formatHelp,
  formatReply,
  formatValue,
  parseCommand,
  parseTime,
  parseValue,
  type ShellReply,
  ShellSyntaxError,
  shellCommands,
  splitWords,
} from '../../runtime/command/shell-language.ts';

describe('words', () => {
  const lines: readonly [string, readonly string[]][] = [
    ['', []],
    ['  get   a\t', ['get', 'a']],
    ['set a "hello world"', ['set', 'a', '"hello world"']],
    ["set a 'hello world'", ['set', 'a', 'hello world']],
    ['set a "say \\"hi\\""', ['set', 'a', '"say \\"hi\\""']],
    ['set a {"x": [1, 2], "y": "}"}', ['set', 'a', '{"x": [1, 2], "y": "}"}']],
    ['set a [1, 2] nx', ['set', 'a', '[1, 2]', 'nx']],
    ["set a it's", ['set', 'a', "it's"]],
    ["set a ''", ['set', 'a', '']],
  ];
  test.each(lines)('%s', (line, words) => expect(splitWords(line)).toEqual(words));

  test.each(['set a "open', "set a 'open", 'set a {"x": 1', 'set a [["]"]'])('%s is not closed', (line) => {
    expect(() => splitWords(line)).toThrow(/at column 7 is not closed/);
  });
});

test('values are JSON where they are JSON, else text', () => {
  const words = ['1', '-2.5', 'true', 'null', '"1"', '[1,2]', '{"a":1}', 'hello', '{a}', '', '9007199254740993'];
  expect(words.map(parseValue)).toEqual([
    1,
    -2.5,
    true,
    null,
    '1',
    [1, 2],
    { a: 1 },
    'hello',
    '{a}',
    '',
    9_007_199_254_740_993n,
  ]);
});

test('times have units', () => {
  expect(['1500', '1500ms', '10s', '5m', '2h', '1d', '-1'].map(parseTime)).toEqual([
    1500, 1500, 10_000, 300_000, 7_200_000, 86_400_000, -1,
  ]);
  for (const wrong of ['', '1.5s', 'soon', '10y']) expect(() => parseTime(wrong)).toThrow('is no time');
});

describe('commands that are none', () => {
  const refusals: readonly [string, string][] = [
    ['gte a', 'no command gte, did you mean get?'],
    ['frobnicate', 'no command frobnicate; "help" lists what there is'],
    ['constructor', 'no command constructor; "help" lists what there is'],
    ['get', 'usage: get <key>'],
    ['count all', 'usage: count'],
    ['quit now', 'quit ends a shell that reads lines, and stands alone in one'],
    ['cas a 1', 'usage: cas <key> <expected | nil> <value>'],
  ];
  test.each(refusals)('%s', (line, message) => {
    expect(() => parseCommand(splitWords(line))).toThrow(new ShellSyntaxError(message));
  });
});

/** All that comes, one after the other. */
async function gathered<T>(all: Iterable<T> | AsyncIterable<T>): Promise<T[]> {
  const gathered: T[] = [];
  for await (const one of all) gathered.push(one);
  return gathered;
}

async function* given<T>(...all: readonly T[]): AsyncGenerator<T, void, undefined> {
  yield* all;
}

test('lines end at \\n or \\r\\n alone, however the text comes', async () => {
  const text = '\n  one\r\ntwo\rtwo\u2028two\u2029two\u0085two\n\n\r\nthree é€𝄞\nlast';
  const lines = ['', '  one', 'two\rtwo\u2028two\u2029two\u0085two', '', '', 'three é€𝄞', 'last'];
  const bytes = new TextEncoder().encode(text);
  for (let at = 0; at <= bytes.length; at++) {
    expect(await gathered(linesOf(given(bytes.subarray(0, at), bytes.subarray(at))))).toEqual(lines);
  }
  expect(await gathered(linesOf(given(...Array.from(bytes, (byte) => Uint8Array.of(byte)))))).toEqual(lines);
  expect(await gathered(linesOf(given()))).toEqual([]);
  expect(await gathered(linesOf(given(Buffer.from('one\n'))))).toEqual(['one']);
});

test('replies are JSON, one line each', async () => {
  const formatted = (reply: ShellReply) => gathered(formatReply(reply));
  expect(await formatted({ value: 'text' })).toEqual(['"text"']);
  expect(await formatted({ value: null })).toEqual(['null']);
  expect(await formatted({ lines: given<unknown>('a', new Uint8Array([0xff, 0])) })).toEqual([
    '"a"',
    '{"bytes":"ff00"}',
  ]);
  expect(await formatted({ lines: given() })).toEqual([]);
  const map = new Map<unknown, unknown>([
    ['a', 1n],
    [2, [true, undefined]],
  ]);
  expect(formatValue(map)).toBe('{"a":1,"2":[true,null]}');
  expect(formatValue({ big: 2n ** 63n - 1n, at: new Date(0) })).toBe(
    '{"big":9223372036854775807,"at":"1970-01-01T00:00:00.000Z"}',
  );
  expect(formatValue('two\nlines')).toBe('"two\\nlines"');
});

test('help names every command, and one in full', () => {
  const help = formatHelp().join('\n');
  for (const name of Object.keys(shellCommands)) expect(help).toContain(`${name} `);
  for (const name of ['get', 'GET']) expect(formatHelp(name)[0]).toBe('get <key>');
  expect(() => formatHelp('gett')).toThrow('no command gett, did you mean get?');
});

test('completion offers the commands that begin so, and after help the same', () => {
  expect(complete('pe')).toEqual([['persist '], 'pe']);
  expect(complete('help ex')).toEqual([['expire'], 'ex']);
  expect(complete('get a')).toEqual([[], '']);
});
