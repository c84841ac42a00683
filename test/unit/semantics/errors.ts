/** The errors that an engine answers, with their messages written out: they are part of what is tested. */
import { wireError } from '../../support/bytes.ts';

export const NO_OPERATION = wireError('TYPE', 'operation is not an array');
export const UNKNOWN = wireError('OP', 'unknown operation');
export const ARGUMENTS = wireError('OP', 'wrong number of arguments');
export const KEY_KIND = wireError('TYPE', 'key is not a string or binary');
export const KEY_LENGTH = wireError('KEY', 'key must have 1 to 65535 bytes');
export const VALUE_NIL = wireError('TYPE', 'value is nil');
export const NO_INTEGER = wireError('TYPE', 'argument is not an integer');
export const BEYOND_INT64 = wireError('RANGE', 'integer is outside int64');
export const BAD_TTL = wireError('RANGE', 'ttl is out of range');
export const BAD_FLAGS = wireError('RANGE', 'flags are out of range');
export const BAD_CURSOR = wireError('RANGE', 'cursor is out of range');
export const BAD_COUNT = wireError('RANGE', 'count is out of range');
export const STORED_KIND = wireError('TYPE', 'value is not an integer');
export const OVERFLOW = wireError('RANGE', 'integer overflow');
export const MEMORY_LIMIT = wireError('MEMORY', 'memory limit reached');
export const REPLY_LIMIT = wireError('MEMORY', 'reply is larger than 67108864 bytes');
