/**
 * The wire protocol's vocabulary: operation codes, error codes, limits and the frame header. `docs/protocol.md` is the
 * full text. Nothing here reads or writes MessagePack; that is `msgpack.ts`.
 */

/** Version that HELLO negotiates. */
export const PROTOCOL_VERSION = 1;

/** First byte of every frame on a byte stream: MessagePack's own uint32 tag, so that the stream is MessagePack too. */
export const FRAME_TAG = 0xce;

/** Length of a frame's header on a byte stream: the tag and a big-endian uint32. Unit: bytes. */
export const FRAME_HEADER_BYTES = 5;

/** Default of the largest request payload a server accepts, told by HELLO. Unit: bytes. */
export const DEFAULT_MAX_FRAME_BYTES = 16 * 1024 * 1024;

// What follows are the protocol's own limits; a server may set lower ones.

/** Longest key. The shortest is 1. Unit: bytes. */
export const MAX_KEY_BYTES = 65_535;

/** Deepest nesting of a value: a scalar is 0 deep, an array of scalars 1. */
export const MAX_VALUE_DEPTH = 32;

/** Most operations in one frame; a longer one answers FRAME. It bounds what the results of tiny operations can take. */
export const MAX_FRAME_OPERATIONS = 1_048_576;

/**
 * Most bytes of values and keys in one reply. A result that would pass it is the error MEMORY and its operation did
 * nothing. It is four of the default frames, so that a value that could be stored can always be read.
 */
export const MAX_REPLY_BYTES = 64 * 1024 * 1024;

/** Longest time to live, some 4,459 years. Unit: milliseconds. */
export const MAX_TTL_MS = 2 ** 47;

/** Most keys that one SCAN looks at, whatever count it was given, but for the rest of a last group: the bound of its work. */
export const MAX_SCAN_COUNT = 10_000;

export const Op = {
  PING: 0,
  GET: 1,
  SET: 2,
  DEL: 3,
  HAS: 4,
  ADD: 5,
  CAS: 6,
  EXPIRE: 7,
  TTL: 8,
  PERSIST: 9,
  TAKE: 10,
  SCAN: 16,
  COUNT: 17,
  CLEAR: 18,
  HELLO: 32,
  AUTH: 33,
  INFO: 34,
} as const;
export type OpName = keyof typeof Op;
export type OpCode = (typeof Op)[OpName];

/** The operations that change something, and need more than the right to read. */
export const WRITES: ReadonlySet<number> = new Set([
  Op.SET,
  Op.DEL,
  Op.ADD,
  Op.CAS,
  Op.EXPIRE,
  Op.PERSIST,
  Op.TAKE,
  Op.CLEAR,
]);

/** Flags of SET; they add up. */
export const SetFlag = {
  /** Only if the key is missing. */
  IF_MISSING: 1,
  /** Only if the key is there. */
  IF_PRESENT: 2,
  /** Keep the time to live that the key has. */
  KEEP_TTL: 4,
} as const;

/** Codes of the errors that travel on the wire. */
export const ErrorCode = {
  /** Wrong kind of value or argument. */
  TYPE: 'TYPE',
  /** Integer overflow, or a number outside what is allowed. */
  RANGE: 'RANGE',
  /** Key empty or too long. */
  KEY: 'KEY',
  /** Unknown operation or wrong number of arguments. */
  OP: 'OP',
  /** Not authenticated, or not for this. Whole payload: not authenticated in time, or tried too often. */
  AUTH: 'AUTH',
  /** A memory limit was reached. */
  MEMORY: 'MEMORY',
  /** The write could not be made durable. */
  LOG: 'LOG',
  /** The key belongs to another shard. */
  MOVED: 'MOVED',
  /** Whole payload: it could not be read. The server closes the connection. */
  FRAME: 'FRAME',
  /** A value is longer than the server allows. Whole payload: longer than its maxFrame; it closes the connection. */
  SIZE: 'SIZE',
  /** Whole payload: too many connections. The server closes the connection. */
  BUSY: 'BUSY',
  /** Whole payload: nothing has come for too long. The server closes the connection. */
  IDLE: 'IDLE',
} as const;
export type ErrorCode = (typeof ErrorCode)[keyof typeof ErrorCode];

/** MessagePack ext type whose body is `[code, message]`: an error. */
export const ERROR_EXT_TYPE = 1;

/** Most bytes an error takes as a result; every message of an engine is kept short enough. Unit: bytes. */
export const MAX_ERROR_BYTES = 96;

/** Writes a frame header for a payload of `length` bytes at `offset` of `target`. */
export function writeFrameHeader(target: Uint8Array, offset: number, length: number): void {
  target[offset] = FRAME_TAG;
  target[offset + 1] = length >>> 24;
  target[offset + 2] = length >>> 16;
  target[offset + 3] = length >>> 8;
  target[offset + 4] = length;
}

/** Length of the payload that a frame header at `offset` tells. Unit: bytes. */
export function readFrameLength(source: Uint8Array, offset: number): number {
  const high = (source[offset + 1]! << 24) | (source[offset + 2]! << 16);
  return (high | (source[offset + 3]! << 8) | source[offset + 4]!) >>> 0;
}
