/** The errors an engine answers with. The texts are those of the `map` engine, byte for byte. */

/** Bytes the longest error takes, and so what every result may take without having asked for room. */
export const RESULT_BYTES_MAX: u32 = 64;

export const ERROR_NOT_ARRAY = 'TYPE:operation is not an array';
export const ERROR_OPERATION = 'OP:unknown operation';
export const ERROR_ARGUMENTS = 'OP:wrong number of arguments';
export const ERROR_KEY_TYPE = 'TYPE:key is not a string or binary';
export const ERROR_KEY_LENGTH = 'KEY:key must have 1 to 65535 bytes';
export const ERROR_NIL = 'TYPE:value is nil';
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

export const ERROR_FRAME_NOT_ARRAY = 'FRAME:payload is not an array';
export const ERROR_FRAME_TRAILING = "FRAME:bytes after the payload's array";
export const ERROR_FRAME_TRUNCATED = 'FRAME:truncated or ill-formed MessagePack';
export const ERROR_FRAME_DEEP = 'FRAME:nested more than 32 deep';
export const ERROR_FRAME_LONG = 'FRAME:more than 1048576 operations in one frame';

/** Writes an error, `code:message`, as the protocol's ext of type 1: an array of two strings. Returns where it ends. */
export function writeError(at: usize, error: string): usize {
  const length = error.length;
  const colon = error.indexOf(':');
  const bodyAt = at + 3;
  store<u8>(bodyAt, 0x92);
  let next = writeAscii(bodyAt + 1, error, 0, colon);
  next = writeAscii(next, error, colon + 1, length);
  store<u8>(at, 0xc7);
  store<u8>(at, <u8>(next - bodyAt), 1);
  store<u8>(at, 1, 2);
  return next;
}

function writeAscii(at: usize, text: string, from: i32, to: i32): usize {
  const length = to - from;
  let next = at;
  if (length < 32) store<u8>(next++, <u8>(0xa0 | length));
  else {
    store<u8>(next++, 0xd9);
    store<u8>(next++, <u8>length);
  }
  for (let i = from; i < to; i++) store<u8>(next++, <u8>load<u16>(changetype<usize>(text) + ((<usize>i) << 1)));
  return next;
}
