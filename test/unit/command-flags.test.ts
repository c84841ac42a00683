/** The table of flags: what they take, where their values come from, and what is refused. */
import { describe, expect, test } from 'vitest';
import { CommandError } from '../../runtime/command/errors.ts';
import {
  choice,
  flag,
  flagName,
  formatSize,
  integer,
  integerOrAuto,
  listOf,
  optionalFlag,
  parseArguments,
  positiveNumber,
  readFlags,
  size,
  switchFlag,
  variableName,
  withLetter,
} from '../../runtime/command/flags.ts';
import { editDistance, suggestion } from '../../runtime/command/suggest.ts';
import { formatTable } from '../../runtime/command/table.ts';
import { isNewEnough } from '../../runtime/package.ts';

const flags = {
  maxFrame: flag('size', 'Largest frame', size(1024, 64 * 1024 ** 2), '16m'),
  transport: optionalFlag('name', 'Transport', choice(['node', 'bun']), "the runtime's own"),
  json: switchFlag('JSON'),
};

describe('what stands on a command line', () => {
  const withData = { ...flags, data: withLetter('d', optionalFlag('dir', 'Data', String, 'none')) };
  const serve = { flags: withData };
  const shell = { flags: withData, words: '[...command]' };
  const compare = { ...shell, flagsAfterWords: true };

  test('a value is the text as it was written, whatever number it looks like', () => {
    for (const text of ['007', '1e3', '0x10', ' ', '1.0', 'a=b', '-1']) {
      expect(parseArguments(serve, ['--data', text]).given).toEqual({ data: text });
      expect(parseArguments(serve, [`--data=${text}`]).given).toEqual({ data: text });
      expect(parseArguments(serve, ['-d', text]).given).toEqual({ data: text });
    }
  });

  test('a value that is missing is told, not taken from what follows', () => {
    for (const args of [['--data'], ['--data='], ['--data', ''], ['--data', '--json']]) {
      const { given } = parseArguments(serve, args);
      expect(() => readFlags(withData, given, {})).toThrow('--data needs a value: <dir>');
    }
  });

  test('a negative number is a value, of which the flag tells what it expects', () => {
    const { given } = parseArguments(serve, ['--max-frame', '-1']);
    expect(() => readFlags(withData, given, {})).toThrow('--max-frame -1: expected a size');
  });

  test('switches take a value behind = alone', () => {
    expect(parseArguments(compare, ['--json', 'x', '--json=false'])).toMatchObject({
      given: { json: [true, 'false'] },
      words: ['x'],
    });
  });

  test('words are as they were written, and end the flags unless these may follow', () => {
    const args = ['--json', 'set', '007', '-5', '--data', '1.0'];
    expect(parseArguments(shell, args)).toMatchObject({
      given: { json: true },
      words: ['set', '007', '-5', '--data', '1.0'],
    });
    expect(parseArguments(compare, ['1.0', '--data', '1', '2.0'])).toMatchObject({
      given: { data: '1' },
      words: ['1.0', '2.0'],
    });
    for (const command of [shell, compare]) expect(parseArguments(command, ['--', '-5']).words).toEqual(['-5']);
  });

  test('help and version are asked for by name or letter', () => {
    expect(parseArguments(serve, ['--help', '-v'])).toMatchObject({ help: true, version: true, given: {} });
    expect(parseArguments(shell, ['get', '--help'])).toMatchObject({ help: false, words: ['get', '--help'] });
  });

  test('a name that objects have is unknown as any other', () => {
    expect(() => readFlags(flags, parseArguments(serve, ['--constructor']).given, {})).toThrow(
      'unknown flag --constructor',
    );
  });
});

describe('where a value comes from', () => {
  test('the default, when nothing is given', () => {
    expect(readFlags(flags, {}, {})).toEqual({ maxFrame: 16 * 1024 ** 2, transport: undefined, json: false });
  });

  test('the variable comes before the default, the flag before the variable', () => {
    const env = { RINGKV_MAX_FRAME: '1m', RINGKV_JSON: '1' };
    expect(readFlags(flags, {}, env)).toMatchObject({ maxFrame: 1024 ** 2, json: true });
    expect(readFlags(flags, { maxFrame: '2m', json: 'false' }, env)).toMatchObject({
      maxFrame: 2 * 1024 ** 2,
      json: false,
    });
  });

  test('a variable that is empty counts as unset', () => {
    const env = { RINGKV_MAX_FRAME: '', RINGKV_TRANSPORT: '', RINGKV_JSON: '' };
    expect(readFlags(flags, {}, env)).toEqual(readFlags(flags, {}, {}));
  });

  test('names in their three forms', () => {
    expect(flagName('maxFrame')).toBe('max-frame');
    expect(variableName('maxFrame')).toBe('RINGKV_MAX_FRAME');
  });
});

describe('what is refused', () => {
  const refusals: readonly [Record<string, unknown>, Record<string, string>, string][] = [
    [{ transprot: 'bun' }, {}, 'unknown flag --transprot, did you mean --transport?'],
    [{ maxframe: '1m' }, {}, 'unknown flag --maxframe, did you mean --max-frame?'],
    [{ colour: 'red' }, {}, 'unknown flag --colour'],
    [{ x: true }, {}, 'unknown flag -x'],
    [{ transport: 'bnu' }, {}, '--transport bnu: expected node or bun, did you mean bun?'],
    [{ transport: true }, {}, '--transport needs a value: <name>'],
    [{ transport: ['bun', 'node'] }, {}, '--transport is given twice'],
    [{ maxFrame: '1x' }, {}, '--max-frame 1x: expected a size from 1k to 64m; k, m and g are units'],
    [{}, { RINGKV_MAX_FRAME: '900' }, 'RINGKV_MAX_FRAME 900: expected a size from 1k to 64m; k, m and g are units'],
    [{}, { RINGKV_JSON: 'perhaps' }, 'RINGKV_JSON perhaps: expected true or false'],
  ];
  test.each(refusals)('%j %j', (given, env, message) => {
    let thrown: unknown;
    try {
      readFlags(flags, given, env);
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toBeInstanceOf(CommandError);
    expect(thrown).toMatchObject({ message, exitCode: 2 });
  });
});

describe('kinds of values', () => {
  test('sizes, with and without units', () => {
    const parse = size(1, 4 * 1024 ** 3);
    expect(['4096', '512k', '16M', '2g', '1GiB', '3kb'].map(parse)).toEqual([
      4096,
      512 * 1024,
      16 * 1024 ** 2,
      2 * 1024 ** 3,
      1024 ** 3,
      3072,
    ]);
    for (const wrong of ['', 'm', '-1', '1.5g', '1t', '5g', '0']) expect(() => parse(wrong)).toThrow('expected a size');
    expect([1000, 2048, 16 * 1024 ** 2, 3 * 1024 ** 3].map(formatSize)).toEqual(['1000', '2k', '16m', '3g']);
  });

  test('numbers and lists', () => {
    expect(integer(1, 10)('10')).toBe(10);
    for (const wrong of ['0', '11', '1.5', 'x', '']) expect(() => integer(1, 10)(wrong)).toThrow('from 1 to 10');
    expect(() => integer(1)('0')).toThrow('expected a whole number of at least 1');
    expect(['1', '10', 'auto'].map(integerOrAuto(1, 10))).toEqual([1, 10, 'auto']);
    for (const wrong of ['0', '11', 'AUTO', '']) {
      expect(() => integerOrAuto(1, 10)(wrong)).toThrow('expected a whole number from 1 to 10, or auto');
    }
    expect(positiveNumber('0.3')).toBe(0.3);
    for (const wrong of ['0', '-1', 'NaN', '1e3', '1.2.3']) expect(() => positiveNumber(wrong)).toThrow('above 0');
    expect(listOf(integer(1))('1, 16,128')).toEqual([1, 16, 128]);
  });
});

test('suggestions are near or none', () => {
  expect(editDistance('abcd', 'acbd')).toBe(1);
  expect(editDistance('', 'abc')).toBe(3);
  expect(editDistance('kitten', 'sitting')).toBe(3);
  expect(suggestion('srve', ['serve', 'shell'])).toBe(', did you mean serve?');
  expect(suggestion('fly', ['serve', 'shell'])).toBe('');
});

test('versions are compared by their numbers', () => {
  expect(isNewEnough('node', '20.19.0')).toBe(true);
  expect(isNewEnough('node', '20.9.0')).toBe(false);
  expect(isNewEnough('node', '22.0.0')).toBe(true);
  expect(isNewEnough('node', '18.20.4')).toBe(false);
  expect(isNewEnough('bun', '1.3.0-canary.1')).toBe(true);
  expect(isNewEnough('bun', '1.2.99')).toBe(false);
  expect(isNewEnough('deno', '3.0.0')).toBe(true);
});

test('tables are aligned', () => {
  expect(
    formatTable([
      ['a', 'long', 'c'],
      ['wider', 'b', ''],
    ]),
  ).toBe('a      long  c\nwider  b\n');
});
