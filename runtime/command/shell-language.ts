/**
 * The language of the shell: a line becomes a call of the client, and a reply becomes a line. Values are JSON where they
 * are JSON, else text; replies are JSON always, one line each, so that other programs can read them.
 */
import type { Client } from '../client.ts';
import { suggestion } from './suggest.ts';

/** What was typed is no command. The message says what would be. */
export class ShellSyntaxError extends Error {
  override readonly name = 'ShellSyntaxError';
}

export interface ShellCommand {
  /** Its arguments, as the help shows them. */
  readonly usage: string;
  readonly about: string;
  /** Least and most arguments. */
  readonly arity: readonly [min: number, max: number];
  /** Makes the call. Throws a `ShellSyntaxError` for arguments it can't read; rejects as the client does. */
  readonly call: (client: Client, words: readonly string[]) => Promise<ShellReply>;
}

/** A reply of several lines gives them as they come; anything else is one value. */
export type ShellReply = { readonly value: unknown } | { readonly lines: AsyncIterable<unknown> };

async function one(value: Promise<unknown>): Promise<ShellReply> {
  return { value: await value };
}

export const shellCommands: Readonly<Record<string, ShellCommand>> = {
  get: {
    usage: '<key>',
    about: 'The value of a key; null when it is missing',
    arity: [1, 1],
    call: (client, [key]) => one(client.get(parseKey(key!))),
  },
  set: {
    usage: '<key> <value> [ttl <time>] [nx | xx] [keepttl]',
    about: 'Sets a key. nx: only if missing; xx: only if present; keepttl: leaves its time to live',
    arity: [2, 6],
    call: (client, [key, value, ...options]) =>
      one(client.set(parseKey(key!), parseValue(value!), parseSetOptions(options))),
  },
  del: {
    usage: '<key>',
    about: 'Deletes a key and says whether it was there',
    arity: [1, 1],
    call: (client, [key]) => one(client.delete(parseKey(key!))),
  },
  has: {
    usage: '<key>',
    about: 'Whether a key is there',
    arity: [1, 1],
    call: (client, [key]) => one(client.has(parseKey(key!))),
  },
  add: {
    usage: '<key> [delta]',
    about: 'Adds to an integer, 1 unless told otherwise; a missing key counts as 0',
    arity: [1, 2],
    call: (client, [key, delta = '1']) => one(client.add(parseKey(key!), parseInteger(delta))),
  },
  cas: {
    usage: '<key> <expected | nil> <value>',
    about: 'Sets a key if its value is the expected one; nil expects it to be missing',
    arity: [3, 3],
    call: (client, [key, expected, value]) =>
      one(client.cas(parseKey(key!), expected === 'nil' ? null : parseValue(expected!), parseValue(value!))),
  },
  expire: {
    usage: '<key> <time>',
    about: 'Lets a key expire after a time; 0 or less deletes it',
    arity: [2, 2],
    call: (client, [key, time]) => one(client.expire(parseKey(key!), parseTime(time!))),
  },
  ttl: {
    usage: '<key>',
    about: 'Milliseconds left to a key; -1 when it does not expire, null when it is missing',
    arity: [1, 1],
    call: async (client, [key]) => {
      const left = await client.ttl(parseKey(key!));
      return { value: left === Number.POSITIVE_INFINITY ? -1 : left };
    },
  },
  persist: {
    usage: '<key>',
    about: 'Takes the expiry from a key and says whether it had one',
    arity: [1, 1],
    call: (client, [key]) => one(client.persist(parseKey(key!))),
  },
  take: {
    usage: '<key>',
    about: 'The value of a key, which is deleted; null when it is missing',
    arity: [1, 1],
    call: (client, [key]) => one(client.take(parseKey(key!))),
  },
  scan: {
    usage: '[prefix]',
    about: 'All keys, or those that begin so, one per line',
    arity: [0, 1],
    call: async (client, [prefix]) => {
      const options = { keys: 'bytes', ...(prefix === undefined ? {} : { prefix: parseKey(prefix) }) } as const;
      return { lines: mapped(client.scan(options), textOrBytes) };
    },
  },
  count: { usage: '', about: 'The number of keys', arity: [0, 0], call: (client) => one(client.count()) },
  clear: { usage: '', about: 'Deletes all keys', arity: [0, 0], call: (client) => one(client.clear()) },
  ping: {
    usage: '[value]',
    about: 'Answers the value, or "PONG"',
    arity: [0, 1],
    call: (client, [value]) => one(value === undefined ? client.ping() : client.ping(parseValue(value))),
  },
  info: { usage: '', about: 'Figures of the server', arity: [0, 0], call: (client) => one(client.info()) },
  hello: { usage: '', about: 'What the server is', arity: [0, 0], call: (client) => one(client.hello()) },
};

/** A key as text if it is any. */
function textOrBytes(key: Uint8Array): string | Uint8Array {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(key);
  } catch {
    return key;
  }
}

/** The words of a line that the shell itself understands. */
export const shellWords: Readonly<Record<string, { readonly usage: string; readonly about: string }>> = {
  help: { usage: '[command]', about: 'This list, or one command' },
  quit: { usage: '', about: 'Ends the shell' },
};

/**
 * Splits a line at blanks. Blanks may stand inside quotes, braces and brackets: `"…"` is a JSON string and stays as it is,
 * `'…'` is what is inside, and a word that begins with `{` or `[` lasts until its bracket closes. Throws a
 * `ShellSyntaxError` for what is not closed.
 */
export function splitWords(line: string): string[] {
  const words: string[] = [];
  let at = 0;
  while (at < line.length) {
    if (/\s/.test(line[at]!)) {
      at++;
      continue;
    }
    const end = wordEnd(line, at);
    if (line[at] === "'") words.push(line.slice(at + 1, end - 1));
    else words.push(line.slice(at, end));
    at = end;
  }
  return words;
}

/** Where the word that starts at `start` ends, exclusive. */
function wordEnd(line: string, start: number): number {
  const first = line[start]!;
  if (first === "'" || first === '"') return quoteEnd(line, start);
  let depth = 0;
  let at = start;
  while (at < line.length) {
    const char = line[at]!;
    if (depth === 0 && /\s/.test(char)) break;
    if (first === '{' || first === '[') {
      if (char === '"') {
        at = quoteEnd(line, at);
        continue;
      }
      if (char === '{' || char === '[') depth++;
      else if (char === '}' || char === ']') depth--;
    }
    at++;
  }
  if (depth > 0) throw new ShellSyntaxError(`${first} at column ${start + 1} is not closed`);
  return at;
}

/** Where the quoted part that starts at `start` ends, its quote included. A backslash protects inside `"` alone. */
function quoteEnd(line: string, start: number): number {
  const quote = line[start]!;
  for (let at = start + 1; at < line.length; at++) {
    if (line[at] === '\\' && quote === '"') at++;
    else if (line[at] === quote) return at + 1;
  }
  throw new ShellSyntaxError(`${quote} at column ${start + 1} is not closed`);
}

/**
 * Finds the command that the first word names and checks how many follow. Returns the call to make. Throws a
 * `ShellSyntaxError`, with a suggestion, when there is no such command.
 */
export function parseCommand(words: readonly string[]): (client: Client) => Promise<ShellReply> {
  const [name = '', ...rest] = words;
  const command = Object.hasOwn(shellCommands, name.toLowerCase()) ? shellCommands[name.toLowerCase()] : undefined;
  if (name === 'quit') throw new ShellSyntaxError('quit ends a shell that reads lines, and stands alone in one');
  if (command === undefined) {
    const names = [...Object.keys(shellCommands), ...Object.keys(shellWords)];
    throw new ShellSyntaxError(`no command ${name}${suggestion(name, names) || '; "help" lists what there is'}`);
  }
  const [min, max] = command.arity;
  if (rest.length < min || rest.length > max) throw new ShellSyntaxError(`usage: ${name} ${command.usage}`.trimEnd());
  return (client) => command.call(client, rest);
}

/** A key is text; one in double quotes is the JSON string it looks like, so that it can hold blanks. */
function parseKey(word: string): string {
  if (!word.startsWith('"')) return word;
  const value = parseValue(word);
  return typeof value === 'string' ? value : word;
}

/** JSON when it is JSON, an integer beyond 2^53 as a bigint, else the text itself. */
export function parseValue(word: string): unknown {
  if (/^-?\d+$/.test(word) && !Number.isSafeInteger(Number(word))) return BigInt(word);
  try {
    return JSON.parse(word);
  } catch {
    return word;
  }
}

const TIME_UNITS_MS: Readonly<Record<string, number>> = {
  '': 1,
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

/** Milliseconds: `1500`, `1500ms`, `10s`, `5m`, `2h`, `1d`. */
export function parseTime(word: string): number {
  const [, number, unit = ''] = /^(-?\d+)(ms|s|m|h|d)?$/.exec(word) ?? [];
  if (number === undefined) throw new ShellSyntaxError(`${word} is no time; write 1500, 10s, 5m, 2h or 1d`);
  return Number(number) * TIME_UNITS_MS[unit]!;
}

/** A bigint always, since the sum may need one. */
function parseInteger(word: string): bigint {
  if (!/^-?\d+$/.test(word)) throw new ShellSyntaxError(`${word} is not an integer`);
  return BigInt(word);
}

interface SetWords {
  ttlMs?: number;
  ifMissing?: true;
  ifPresent?: true;
  keepTtl?: true;
}

function parseSetOptions(words: readonly string[]): SetWords {
  const options: SetWords = {};
  for (let at = 0; at < words.length; at++) {
    const word = words[at]!.toLowerCase();
    if (word === 'ttl' && at + 1 < words.length) options.ttlMs = parseTime(words[++at]!);
    else if (word === 'nx') options.ifMissing = true;
    else if (word === 'xx') options.ifPresent = true;
    else if (word === 'keepttl') options.keepTtl = true;
    else throw new ShellSyntaxError(`${words[at]} is no option of set; there are ttl <time>, nx, xx and keepttl`);
  }
  return options;
}

/** A reply as lines of JSON, without line ends. */
export function formatReply(reply: ShellReply): Iterable<string> | AsyncIterable<string> {
  return 'lines' in reply ? mapped(reply.lines, formatValue) : [formatValue(reply.value)];
}

async function* mapped<T, R>(all: AsyncIterable<T>, change: (one: T) => R): AsyncGenerator<R, void, undefined> {
  for await (const one of all) yield change(one);
}

/**
 * Any value a client can get, as JSON. Integers of any length keep all their digits; bytes, for which JSON has no form,
 * are shown as `{"bytes":"c0ffee"}`.
 */
export function formatValue(value: unknown): string {
  if (typeof value === 'bigint') return value.toString();
  if (value instanceof Uint8Array) {
    return `{"bytes":"${Array.from(value, (byte) => byte.toString(16).padStart(2, '0')).join('')}"}`;
  }
  if (Array.isArray(value) || value instanceof Set) return `[${[...value].map(formatValue).join(',')}]`;
  if (value instanceof Map) return formatEntries([...value]);
  if (typeof value === 'object' && value !== null && !(value instanceof Date))
    return formatEntries(Object.entries(value));
  return JSON.stringify(value) ?? 'null';
}

function formatEntries(entries: readonly (readonly [unknown, unknown])[]): string {
  const parts = entries.map(([key, value]) => {
    const name = typeof key === 'string' ? key : formatValue(key);
    return `${JSON.stringify(name)}:${formatValue(value)}`;
  });
  return `{${parts.join(',')}}`;
}

/** What `help` prints: all commands, or the one named. Throws a `ShellSyntaxError` when there is none of that name. */
export function formatHelp(name?: string): string[] {
  const all = { ...shellCommands, ...shellWords };
  if (name === undefined) {
    const rows = Object.entries(all).map(
      ([command, { usage, about }]) => [`${command} ${usage}`.trimEnd(), about] as const,
    );
    const width = Math.max(...rows.map(([left]) => left.length));
    return rows.map(([left, about]) => `${left.padEnd(width)}  ${about}`);
  }
  const known = name.toLowerCase();
  const command = Object.hasOwn(all, known) ? all[known] : undefined;
  if (command === undefined) throw new ShellSyntaxError(`no command ${name}${suggestion(known, Object.keys(all))}`);
  return [`${known} ${command.usage}`.trimEnd(), `  ${command.about}`];
}

/** The commands that begin as the line does, for completion: as readline wants it. */
export function complete(line: string): [string[], string] {
  const names = [...Object.keys(shellCommands), ...Object.keys(shellWords)];
  const [first = '', ...rest] = line.split(/\s+/);
  if (rest.length > 0) {
    return first === 'help' && rest.length === 1
      ? [names.filter((name) => name.startsWith(rest[0]!)), rest[0]!]
      : [[], ''];
  }
  return [names.filter((name) => name.startsWith(first)).map((name) => `${name} `), first];
}
