/**
 * Flags as data. One table per command says what its flags are called, what they take and what they default to; the
 * command line, the environment variables, the help and the validation all come from it.
 */
import { parseArgs } from 'node:util';
import { messageOf, usageError } from './errors.ts';
import { suggestion } from './suggest.ts';

export interface Flag<T> {
  /** What the value is called in the help, like `size`; undefined for a switch, which takes none. */
  readonly value: string | undefined;
  /** What it is for, in one line. */
  readonly about: string;
  /** Turns what the user wrote into the value. Throws an `Error` whose message says what was expected. */
  readonly parse: (text: string) => T;
  /** What applies when neither flag nor variable is given, as a user would write it; undefined when nothing does. */
  readonly fallback: string | undefined;
  /** Tells in the help what happens without the flag, where `fallback` can't. */
  readonly otherwise?: string;
  /** A letter that does too, like `o` for `-o`. */
  readonly short?: string;
}

/** The flags of a command by their names in camel case: `maxFrame` is `--max-frame` and `RINGKV_MAX_FRAME`. */
export type Flags = Readonly<Record<string, Flag<unknown>>>;

/** The values of a command's flags. */
export type FlagValues<F extends Flags> = { readonly [K in keyof F]: F[K] extends Flag<infer T> ? T : never };

// Making flags

/** A flag that has a value in any case. */
export function flag<T>(value: string, about: string, parse: (text: string) => T, fallback: string): Flag<T> {
  return { value, about, parse, fallback };
}

/** A flag whose value may be missing; `otherwise` says what happens then. */
export function optionalFlag<T>(
  value: string,
  about: string,
  parse: (text: string) => T,
  otherwise: string,
): Flag<T | undefined> {
  return { value, about, parse, fallback: undefined, otherwise };
}

/** A flag that is there or not. */
export function switchFlag(about: string): Flag<boolean> {
  return { value: undefined, about, parse: parseBoolean, fallback: 'false' };
}

/** A flag that has a letter besides its name. */
export function withLetter<T>(short: string, one: Flag<T>): Flag<T> {
  return { ...one, short };
}

// Kinds of values

/** One of some words. */
export function choice<T extends string>(words: readonly T[]): (text: string) => T {
  return (text) => {
    const found = words.find((word) => word === text);
    if (found === undefined) throw new Error(`expected ${orList(words)}${suggestion(text, words)}`);
    return found;
  };
}

/** Several values, separated by commas. */
export function listOf<T>(parse: (text: string) => T): (text: string) => readonly T[] {
  return (text) => text.split(',').map((part) => parse(part.trim()));
}

/** A whole number within limits, both included. */
export function integer(min: number, max: number = Number.MAX_SAFE_INTEGER): (text: string) => number {
  return (text) => {
    const number = Number(text);
    if (!/^-?\d+$/.test(text) || number < min || number > max) {
      const limit = max === Number.MAX_SAFE_INTEGER ? `of at least ${min}` : `from ${min} to ${max}`;
      throw new Error(`expected a whole number ${limit}`);
    }
    return number;
  };
}

const COUNT_UNITS: Readonly<Record<string, number>> = { '': 1, k: 1000, m: 1_000_000 };

/** A whole number within limits, both included, of things that are counted by thousands: `500`, `10k`, `1m`. */
export function count(min: number, max: number): (text: string) => number {
  return (text) => {
    const [, number = '', unit = ''] = /^(\d+)([km]?)$/.exec(text.toLowerCase()) ?? [];
    const counted = number === '' ? Number.NaN : Number(number) * COUNT_UNITS[unit]!;
    if (!(counted >= min && counted <= max)) {
      throw new Error(`expected a whole number from ${min} to ${max}; k and m are thousands and millions`);
    }
    return counted;
  };
}

/** A whole number within limits, both included, or `auto`. */
export function integerOrAuto(min: number, max: number): (text: string) => number | 'auto' {
  const parse = integer(min, max);
  return (text) => {
    if (text === 'auto') return text;
    try {
      return parse(text);
    } catch (error) {
      throw new Error(`${messageOf(error)}, or auto`);
    }
  };
}

/** A number above zero. */
export function positiveNumber(text: string): number {
  const number = Number(text);
  if (!/^[\d.]+$/.test(text) || !(number > 0)) throw new Error('expected a number above 0');
  return number;
}

const SIZE_UNITS: Readonly<Record<string, number>> = { '': 1, k: 1024, m: 1024 ** 2, g: 1024 ** 3 };

/** A number of bytes within limits, both included: `4096`, `512k`, `16m`, `2g`. */
export function size(minBytes: number, maxBytes: number): (text: string) => number {
  return (text) => {
    const [, number = '', unit = ''] = /^(\d+)([kmg]?)(?:i?b)?$/.exec(text.toLowerCase()) ?? [];
    const bytes = number === '' ? Number.NaN : Number(number) * SIZE_UNITS[unit]!;
    if (!(bytes >= minBytes && bytes <= maxBytes)) {
      throw new Error(`expected a size from ${formatSize(minBytes)} to ${formatSize(maxBytes)}; k, m and g are units`);
    }
    return bytes;
  };
}

/** Bytes as `size` reads them, in the greatest unit that needs no fraction. */
export function formatSize(bytes: number): string {
  const unit = ['g', 'm', 'k'].find((name) => bytes % SIZE_UNITS[name]! === 0);
  return unit === undefined ? String(bytes) : `${bytes / SIZE_UNITS[unit]!}${unit}`;
}

const TIME_UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/** A time within limits, both included and in milliseconds: `500ms`, `30s`, `5m`, `1h`, or `0`. */
export function duration(minMs: number, maxMs: number): (text: string) => number {
  return (text) => {
    const [, number = '', unit = ''] = /^(\d+)(ms|[smh])$/.exec(text) ?? [];
    const ms = text === '0' ? 0 : number === '' ? Number.NaN : Number(number) * TIME_UNITS[unit]!;
    if (!(ms >= minMs && ms <= maxMs)) {
      throw new Error(
        `expected a time from ${formatDuration(minMs)} to ${formatDuration(maxMs)}; ms, s, m and h are units`,
      );
    }
    return ms;
  };
}

/** A time as `duration` reads it, in the greatest unit that needs no fraction. Unit of `ms`: milliseconds. */
export function formatDuration(ms: number): string {
  if (ms === 0) return '0';
  const unit = ['h', 'm', 's'].find((name) => ms % TIME_UNITS[name]! === 0) ?? 'ms';
  return `${ms / TIME_UNITS[unit]!}${unit}`;
}

function parseBoolean(text: string): boolean {
  if (['true', '1', 'yes', 'on'].includes(text)) return true;
  if (['false', '0', 'no', 'off'].includes(text)) return false;
  throw new Error('expected true or false');
}

function orList(words: readonly string[]): string {
  return words.length < 2 ? words.join('') : `${words.slice(0, -1).join(', ')} or ${words.at(-1)}`;
}

// Names and values

/** `maxFrame` as it is written on the command line, without its dashes. */
export function flagName(key: string): string {
  return key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

/** `maxFrame` as an environment variable. */
export function variableName(key: string): string {
  return `RINGKV_${flagName(key).replaceAll('-', '_').toUpperCase()}`;
}

/** What stands on a command line, as it was written. */
export interface Arguments {
  readonly help: boolean;
  readonly version: boolean;
  /** The flags by key: their text, true where there is none, an array where it is given several times. */
  readonly given: Readonly<Record<string, unknown>>;
  readonly words: readonly string[];
}

/**
 * Takes a command line apart. Of a command with words the first one ends the flags, so that what follows is never taken for
 * one, as in `shell add n -5`, unless the command has `flagsAfterWords`.
 */
export function parseArguments(
  { flags, words, flagsAfterWords }: { flags: Flags; words?: string; flagsAfterWords?: boolean },
  args: readonly string[],
): Arguments {
  const options = Object.entries(flags).map(([key, { value, short }]) => [
    flagName(key),
    { type: value === undefined ? 'boolean' : 'string', ...(short === undefined ? {} : { short }) } as const,
  ]);
  const { tokens } = parseArgs({
    args: [...args],
    options: {
      ...Object.fromEntries(options),
      help: { type: 'boolean', short: 'h' },
      version: { type: 'boolean', short: 'v' },
    },
    // What is unknown is told with a suggestion.
    strict: false,
    tokens: true,
  });
  const takesAll = words !== undefined && flagsAfterWords !== true;
  const positional = tokens.filter((token) => token.kind === 'positional');
  const flagsEnd = takesAll ? (positional[0]?.index ?? args.length) : args.length;
  const given = new Map<string, unknown>();
  for (const token of tokens) {
    if (token.kind !== 'option' || token.index >= flagsEnd) continue;
    // The next flag is no value; a negative number is one.
    const missing = token.value === undefined || (!token.inlineValue && /^-\D/.test(token.value));
    const key = flagKey(token.name);
    const value = missing ? true : token.value;
    given.set(key, given.has(key) ? [given.get(key), value] : value);
  }
  const { help, version, ...others } = Object.fromEntries(given);
  return {
    help: help !== undefined,
    version: version !== undefined,
    given: others,
    words: takesAll ? args.slice(flagsEnd) : positional.map(({ value }) => value),
  };
}

/** `max-frame` as a key of the table. */
function flagKey(name: string): string {
  return name.replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase());
}

/**
 * The value of each flag: from the command line, else from its environment variable, else its default. `given` has what
 * `parseArguments` found, by key. Throws a `CommandError` for what is unknown, missing or can't be read.
 */
export function readFlags<F extends Flags>(
  flags: F,
  given: Readonly<Record<string, unknown>>,
  env: Readonly<Record<string, string | undefined>>,
): FlagValues<F> {
  for (const key of Object.keys(given)) {
    if (Object.hasOwn(flags, key)) continue;
    const written = `${key.length === 1 ? '-' : '--'}${flagName(key)}`;
    const known = [...Object.keys(flags), 'help', 'version'].map((name) => `--${flagName(name)}`);
    throw usageError(`unknown flag ${written}${suggestion(written, known)}`);
  }
  const values = Object.entries(flags).map(([key, one]) => [key, readFlag(key, one, given[key], env)]);
  return Object.fromEntries(values) as FlagValues<F>;
}

function readFlag(
  key: string,
  one: Flag<unknown>,
  given: unknown,
  env: Readonly<Record<string, string | undefined>>,
): unknown {
  const name = `--${flagName(key)}`;
  if (Array.isArray(given)) throw usageError(`${name} is given twice`);
  if ((given === true || given === '') && one.value !== undefined) {
    throw usageError(`${name} needs a value: <${one.value}>`);
  }
  if (given !== undefined) return parsed(one, name, String(given));
  const variable = variableName(key);
  const fromEnv = env[variable];
  // A variable passed on from one that is not set is empty.
  if (fromEnv !== undefined && fromEnv !== '') return parsed(one, variable, fromEnv);
  return one.fallback === undefined ? undefined : parsed(one, name, one.fallback);
}

function parsed(one: Flag<unknown>, source: string, text: string): unknown {
  try {
    return one.parse(text);
  } catch (error) {
    throw usageError(`${source} ${text}: ${messageOf(error)}`);
  }
}
