/**
 * The errors an engine answers with. The texts are those of the `map` engine, byte for byte; `#` stands for a limit that is
 * known only when the engine is made.
 */

/** Bytes the longest error takes, and so what every result may take without having asked for room. */
export const RESULT_BYTES_MAX: u32 = 64;

export const ERROR_NOT_ARRAY = 'TYPE:operation is not an array';
export const ERROR_OPERATION = 'OP:unknown operation';
export const ERROR_ARGUMENTS = 'OP:wrong number of arguments';
export const ERROR_KEY_TYPE = 'TYPE:key is not a string or binary';
export const ERROR_KEY_LENGTH = 'KEY:key must have 1 to # bytes';
export const ERROR_NIL = 'TYPE:value is nil';
export const ERROR_VALUE_LENGTH = 'SIZE:value must have at most # bytes';
export const ERROR_INTEGER_TYPE = 'TYPE:argument is not an integer';
export const ERROR_INTEGER_RANGE = 'RANGE:integer is outside int64';
export const ERROR_TTL = 'RANGE:ttl is out of range';
export const ERROR_FLAGS = 'RANGE:flags are out of range';
export const ERROR_NO_INTEGER = 'TYPE:value is not an integer';
export const ERROR_OVERFLOW = 'RANGE:integer overflow';
export const ERROR_CURSOR = 'RANGE:cursor is out of range';
export const ERROR_COUNT = 'RANGE:count is out of range';
export const ERROR_MEMORY = 'MEMORY:memory limit reached';
export const ERROR_REPLY = 'MEMORY:reply is larger than 67108864 bytes';

export const ERROR_AUTH = 'AUTH:not authenticated';
export const ERROR_UNWRITABLE = 'LOG:not done: the log has failed';
export const ERROR_READ_ONLY = 'AUTH:this token may only read';

export const ERROR_FRAME_NOT_ARRAY = 'FRAME:payload is not an array';
export const ERROR_FRAME_TRAILING = "FRAME:bytes after the payload's array";
export const ERROR_FRAME_TRUNCATED = 'FRAME:truncated or ill-formed MessagePack';
export const ERROR_FRAME_DEEP = 'FRAME:nested more than # deep';
export const ERROR_FRAME_LONG = 'FRAME:more than # operations in one frame';

/**
 * Writes an error, `code:message`, as the protocol's ext of type 1: an array of two strings. `limit` takes the place of `#`.
 * Returns where it ends.
 */
export function writeError(at: usize, error: string, limit: u32 = 0): usize {
  const colon = error.indexOf(':');
  const bodyAt = at + 3;
  store<u8>(bodyAt, 0x92);
  store<u8>(bodyAt + 1, <u8>(0xa0 | colon));
  let next = writeAscii(bodyAt + 2, error, 0, colon);
  // The message, with the header that its length needs, which is known once it is written.
  const message = next + 1;
  next = message;
  const hash = error.indexOf('#');
  if (hash < 0) next = writeAscii(next, error, colon + 1, error.length);
  else {
    next = writeDecimal(writeAscii(next, error, colon + 1, hash), limit);
    next = writeAscii(next, error, hash + 1, error.length);
  }
  const length = <u32>(next - message);
  if (length < 32) store<u8>(message - 1, <u8>(0xa0 | length));
  else {
    memory.copy(message + 1, message, length);
    store<u8>(message - 1, 0xd9);
    store<u8>(message, <u8>length);
    next++;
  }
  store<u8>(at, 0xc7);
  store<u8>(at, <u8>(next - bodyAt), 1);
  store<u8>(at, 1, 2);
  return next;
}

function writeAscii(at: usize, text: string, from: i32, to: i32): usize {
  let next = at;
  for (let i = from; i < to; i++) store<u8>(next++, <u8>load<u16>(changetype<usize>(text) + ((<usize>i) << 1)));
  return next;
}

function writeDecimal(at: usize, number: u32): usize {
  let power: u32 = 1;
  while (number / power >= 10) power *= 10;
  let next = at;
  for (; power != 0; power /= 10) store<u8>(next++, <u8>(0x30 + ((number / power) % 10)));
  return next;
}
