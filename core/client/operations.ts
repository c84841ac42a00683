/**
 * Every operation of the protocol, once: how its arguments are encoded, how its result is decoded, and whether it may be
 * sent again. Clients and stores are thin over this table.
 */
import { type Reader, readError, type Writer } from '../msgpack.ts';
import { MAX_FRAME_OPERATIONS, MAX_VALUE_DEPTH, Op, PROTOCOL_VERSION, SetFlag } from '../protocol.ts';
import type { ShardMap } from '../slots.ts';
import { ArgumentError, BatchError, ProtocolError, ResultError, RingkvError, ServerError } from './errors.ts';
import { type Key, readValue, writeInteger, writeKey, writeTextOrBytes, writeValue } from './values.ts';

/** One operation, or several that travel together. */
export interface Operation<A extends readonly unknown[], R> {
  /** For messages. */
  readonly name: string;
  /** Whether it changes nothing, so that it may be sent again when its reply was lost. */
  readonly isRead: boolean;
  /** How many elements of the frame's array, and of the reply's, it is. */
  readonly count: number;
  /** Those that it was joined of, if it was. */
  readonly parts?: readonly Operation<never, unknown>[];
  /** Appends the operation's MessagePack. Throws `ArgumentError`, having appended who knows what. */
  write(writer: Writer, ...args: A): void;
  /**
   * Reads the result. An error that concerns this operation alone is returned; `ProtocolError` and `MsgpackError`, after
   * which nothing of the reply can be trusted, are thrown.
   */
  read(reader: Reader): R | RingkvError;
}

/** How SET treats the key's present state. */
export interface SetOptions {
  /** Time to live in milliseconds, at least 1. Default: the key does not expire. */
  readonly ttlMs?: number | undefined;
  /** Only if the key is missing. Default: false. */
  readonly ifMissing?: boolean | undefined;
  /** Only if the key is there. Default: false. */
  readonly ifPresent?: boolean | undefined;
  /** Keep the time to live that the key has. Not together with `ttlMs`. Default: false. */
  readonly keepTtl?: boolean | undefined;
}

/** One step of a scan. */
export interface ScanPage {
  /** Where to go on; 0 when there is no more. */
  readonly cursor: bigint;
  readonly keys: readonly Uint8Array[];
}

/** What a server tells of itself. */
export interface ServerHello {
  /** `ringkv`. */
  readonly server: string;
  /** Version of the server. */
  readonly version: string;
  /** Version of the protocol. */
  readonly protocol: number;
  /** Name and version of its runtime, like `bun/1.4.5`. */
  readonly runtime: string;
  readonly transport: string;
  readonly engine: string;
  /** Largest request payload it takes. Unit: bytes. */
  readonly maxFrame: number;
  /** Longest key it takes. Unit: bytes. */
  readonly maxKey: number;
  /** Most operations it takes in one request. */
  readonly maxOperations: number;
  /** Deepest nesting of a value that it takes. */
  readonly maxDepth: number;
  /** What this client may do: `full`, `read-only`, or `none` before it has brought a token. */
  readonly access?: 'full' | 'read-only' | 'none';
  /** For each shard its first slot, its last slot and its address. */
  readonly shards: ShardMap;
}

export interface HelloArguments {
  readonly token?: string | undefined;
  readonly name?: string | undefined;
}

/** What a server may leave untold: then it has the protocol's own. */
export const UNTOLD_LIMITS = { maxOperations: MAX_FRAME_OPERATIONS, maxDepth: MAX_VALUE_DEPTH };

const TTL_NONE = -1;
const FALSE = 0xc2;
const TRUE = 0xc3;

export const operations = {
  ping: define(
    'PING',
    true,
    (writer, ...[value]: [value?: unknown]) => {
      writer.arrayHeader(value === undefined ? 1 : 2);
      writer.integer(Op.PING);
      if (value !== undefined) writeValue(writer, value);
    },
    readValue,
  ),

  get: define('GET', true, writeKeyOnly(Op.GET), readValueOrMissing),

  set: define(
    'SET',
    false,
    (writer, key: Key, value: unknown, options: SetOptions = {}) => {
      const { ttlMs, ifMissing, ifPresent, keepTtl } = options;
      if (ifMissing && ifPresent) throw new ArgumentError('SET takes ifMissing or ifPresent, not both');
      if (keepTtl && ttlMs !== undefined) throw new ArgumentError('SET takes keepTtl or ttlMs, not both');
      const flags =
        (ifMissing ? SetFlag.IF_MISSING : 0) | (ifPresent ? SetFlag.IF_PRESENT : 0) | (keepTtl ? SetFlag.KEEP_TTL : 0);
      writer.arrayHeader(flags > 0 ? 5 : ttlMs === undefined ? 3 : 4);
      writer.integer(Op.SET);
      writeKey(writer, key);
      writeValue(writer, value);
      if (ttlMs !== undefined) writeInteger(writer, ttlMs, 'ttlMs');
      else if (flags > 0) writer.nil();
      if (flags > 0) writer.integer(flags);
    },
    readBoolean,
  ),

  delete: define('DEL', false, writeKeyOnly(Op.DEL), readBoolean),

  has: define('HAS', true, writeKeyOnly(Op.HAS), readBoolean),

  add: define('ADD', false, writeAdd, (reader): number | ResultError => {
    const sum = readInteger(reader);
    const number = Number(sum);
    if (Number.isSafeInteger(number)) return number;
    return new ResultError(`the sum ${sum} is no safe integer: give the delta as a bigint`);
  }),

  addBigInt: define('ADD', false, writeAdd, readInteger),

  cas: define(
    'CAS',
    false,
    (writer, key: Key, expected: unknown, value: unknown) => {
      writer.arrayHeader(4);
      writer.integer(Op.CAS);
      writeKey(writer, key);
      if (expected === undefined || expected === null) writer.nil();
      else writeValue(writer, expected);
      writeValue(writer, value);
    },
    readBoolean,
  ),

  expire: define(
    'EXPIRE',
    false,
    (writer, key: Key, ttlMs: number) => {
      writer.arrayHeader(3);
      writer.integer(Op.EXPIRE);
      writeKey(writer, key);
      writeInteger(writer, ttlMs, 'ttlMs');
    },
    readBoolean,
  ),

  ttl: define('TTL', true, writeKeyOnly(Op.TTL), (reader): number | undefined => {
    if (reader.nil()) return undefined;
    const ttlMs = Number(readInteger(reader));
    return ttlMs === TTL_NONE ? Infinity : ttlMs;
  }),

  persist: define('PERSIST', false, writeKeyOnly(Op.PERSIST), readBoolean),

  take: define('TAKE', false, writeKeyOnly(Op.TAKE), readValueOrMissing),

  scan: define(
    'SCAN',
    true,
    (writer, cursor: bigint, count: number, prefix?: Key) => {
      writer.arrayHeader(prefix === undefined ? 3 : 4);
      writer.integer(Op.SCAN);
      writer.integer(cursor);
      writeInteger(writer, count, 'count');
      if (prefix !== undefined) writeTextOrBytes(writer, prefix, 'prefix');
    },
    readScanPage,
  ),

  count: define('COUNT', true, writeCodeOnly(Op.COUNT), (reader): number => Number(readInteger(reader))),

  clear: define('CLEAR', false, writeCodeOnly(Op.CLEAR), readBoolean),

  hello: define(
    'HELLO',
    true,
    (writer, { token, name }: HelloArguments) => {
      const fields = Object.entries({ token, name }).filter(
        (field): field is [string, string] => field[1] !== undefined,
      );
      writer.arrayHeader(2);
      writer.integer(Op.HELLO);
      writer.mapHeader(1 + fields.length);
      writer.text('version');
      writer.integer(PROTOCOL_VERSION);
      for (const [field, value] of fields) {
        writer.text(field);
        writeTextOrBytes(writer, value, field);
      }
    },
    readHello,
  ),

  info: define('INFO', true, writeCodeOnly(Op.INFO), (reader): Readonly<Record<string, unknown>> => readMap(reader)),
};

function define<A extends readonly unknown[], R>(
  name: string,
  isRead: boolean,
  write: (writer: Writer, ...args: A) => void,
  readResult: (reader: Reader) => R | RingkvError,
): Operation<A, R> {
  return {
    name,
    isRead,
    count: 1,
    write,
    read(reader) {
      const error = readError(reader.bytes, reader.position, reader.end);
      if (error === undefined) return readResult(reader);
      reader.skip();
      return new ServerError(error.code, error.message);
    },
  };
}

/**
 * Makes one operation of several: its argument is their MessagePack, one after the other, its result the list of theirs.
 * When some failed, that is a `BatchError`.
 */
export function joinOperations<T extends unknown[]>(
  parts: readonly Operation<never, unknown>[],
): Operation<[parts: Uint8Array], T> {
  return {
    name: 'the batch',
    isRead: parts.every(({ isRead }) => isRead),
    count: parts.length,
    parts,
    write: (writer, bytes) => writer.raw(bytes),
    read(reader) {
      const results = parts.map((part) => part.read(reader));
      return results.some((result) => result instanceof RingkvError) ? new BatchError(results) : (results as T);
    },
  };
}

// Arguments

function writeCodeOnly(code: number): (writer: Writer) => void {
  return (writer) => {
    writer.arrayHeader(1);
    writer.integer(code);
  };
}

function writeKeyOnly(code: number): (writer: Writer, key: Key) => void {
  return (writer, key) => {
    writer.arrayHeader(2);
    writer.integer(code);
    writeKey(writer, key);
  };
}

function writeAdd(writer: Writer, key: Key, delta: number | bigint): void {
  writer.arrayHeader(3);
  writer.integer(Op.ADD);
  writeKey(writer, key);
  writeInteger(writer, delta, 'delta');
}

// Results

function readBoolean(reader: Reader): boolean {
  const tag = reader.position < reader.end ? reader.bytes[reader.position] : undefined;
  if (tag !== TRUE && tag !== FALSE) throw unexpected('a boolean', readValue(reader));
  reader.position++;
  return tag === TRUE;
}

function readInteger(reader: Reader): bigint {
  const value = reader.integer();
  if (value === undefined) throw unexpected('an integer', readValue(reader));
  return value;
}

function readValueOrMissing(reader: Reader): unknown {
  return reader.nil() ? undefined : readValue(reader);
}

function readScanPage(reader: Reader): ScanPage {
  if (reader.arrayHeader() !== 2) throw unexpected('a cursor and keys', readValue(reader));
  const cursor = readInteger(reader);
  const count = reader.arrayHeader();
  if (count < 0) throw unexpected('an array of keys', readValue(reader));
  const keys: Uint8Array[] = [];
  for (let i = 0; i < count; i++) {
    const key = reader.stringOrBytes();
    if (key === undefined) throw unexpected('a key', readValue(reader));
    keys.push(key.slice());
  }
  return { cursor, keys };
}

function readMap(reader: Reader): Record<string, unknown> {
  const value = readValue(reader);
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw unexpected('a map', value);
  return value as Record<string, unknown>;
}

function readHello(reader: Reader): ServerHello {
  const hello: Record<string, unknown> = { ...UNTOLD_LIMITS, ...readMap(reader) };
  const { protocol } = hello;
  if (protocol !== PROTOCOL_VERSION) throw unexpected(`protocol ${PROTOCOL_VERSION}`, protocol);
  for (const [field, least] of [
    ['maxFrame', 1],
    ['maxOperations', 1],
    ['maxDepth', 0],
  ] as const) {
    const limit = hello[field];
    if (!Number.isSafeInteger(limit) || Number(limit) < least) throw unexpected(`a ${field}`, limit);
  }
  if (!isShardMap(hello.shards)) throw unexpected('a list of shards', hello.shards);
  return hello as unknown as ServerHello;
}

function isShardMap(shards: unknown): shards is ShardMap {
  return (
    Array.isArray(shards) &&
    shards.every((shard: unknown) => {
      const [first, last, url] = Array.isArray(shard) ? (shard as unknown[]) : [];
      return Number.isInteger(first) && Number.isInteger(last) && typeof url === 'string';
    })
  );
}

function unexpected(expected: string, found: unknown): ProtocolError {
  // What came may be an object with a `toString` that can't be called.
  const what = typeof found === 'object' && found !== null ? 'an object' : String(found);
  return new ProtocolError(`the reply should have ${expected}, not ${what}`);
}
