/**
 * How a segment and its records are laid out. Integers are little-endian; docs/durability.md draws the whole.
 *
 * Segment header, 4096 bytes, of which those not named are 0:
 *
 *      0  magic           8   "RINGKVLG"
 *      8  version         4   2
 *     12  checksum        4   CRC-32 of the bytes from 16 to 32
 *     16  salt            8   drawn anew for each use of the file
 *     24  index           8   which segment of the log it is, from 1
 *
 * Record, at a multiple of 8:
 *
 *      0  checksum        4   CRC-32 of the bytes from 8 to 44 and of the body
 *      4  header checksum 4   CRC-32 of the bytes from 8 to 44
 *      8  salt            8   that of the segment
 *     16  sequence        8   which record of the log it is, from 1
 *     24  time            8   float64, milliseconds since 1970
 *     32  body bytes      4
 *     36  unsynced        4   how many records, this one included, were not known to be durable when it was sealed
 *     40  previous        4   checksum of the record before, 0 for the first: the chain
 *     44  body                request payloads in frames, as a client would send them
 */
import type { Crc32 } from './disk.ts';
import { BadHeaderChecksumError, BadMagicError, BadVersionError, type LogPlace, ShortReadError } from './errors.ts';

export const LOG_VERSION = 2;

/** The header of a segment has a page of its own, so that no write of records touches it. */
export const SEGMENT_HEADER_BYTES = 4096;
const SEGMENT_FIELDS_BYTES = 32;

export const RECORD_HEADER_BYTES = 44;
export const RECORD_ALIGNMENT_BYTES = 8;

export const SALT_BYTES = 8;
/** Where a record has its salt. */
const SALT_OFFSET = 8;

const MAGIC = new TextEncoder().encode('RINGKVLG');

/** What makes a use of a segment's file differ from those before: random bytes. */
export type Salt = Uint8Array;

export function randomSalt(): Salt {
  const salt = crypto.getRandomValues(new Uint8Array(SALT_BYTES));
  // So that no salt begins like the zeros of an unused segment, which `findSalt` passes over in no time.
  salt[0] = salt[0]! | 1;
  return salt;
}

export interface SegmentHeader {
  readonly salt: Salt;
  readonly index: number;
}

export interface RecordHeader {
  readonly checksum: number;
  readonly sequence: number;
  readonly timeMs: number;
  readonly bodyBytes: number;
  readonly unsynced: number;
  readonly previous: number;
}

/** Bytes that a record with such a body takes, up to the next one. */
export function recordBytes(bodyBytes: number): number {
  return align(RECORD_HEADER_BYTES + bodyBytes);
}

export function align(bytes: number): number {
  return Math.ceil(bytes / RECORD_ALIGNMENT_BYTES) * RECORD_ALIGNMENT_BYTES;
}

export function encodeSegmentHeader({ salt, index }: SegmentHeader, crc32: Crc32): Uint8Array {
  const bytes = new Uint8Array(SEGMENT_HEADER_BYTES);
  const view = new DataView(bytes.buffer);
  bytes.set(MAGIC);
  view.setUint32(8, LOG_VERSION, true);
  bytes.set(salt, 16);
  setUint64(view, 24, index);
  view.setUint32(12, crc32(bytes.subarray(16, SEGMENT_FIELDS_BYTES)), true);
  return bytes;
}

/**
 * Fills in the header of a record whose body lies behind it: `view` is on the record alone. Returns its checksum, which the
 * next record has as `previous`.
 */
export function sealRecord(
  record: Uint8Array,
  salt: Salt,
  fields: Omit<RecordHeader, 'checksum' | 'bodyBytes'>,
  crc32: Crc32,
): number {
  const view = viewOn(record);
  record.set(salt, 8);
  setUint64(view, 16, fields.sequence);
  view.setFloat64(24, fields.timeMs, true);
  view.setUint32(32, record.length - RECORD_HEADER_BYTES, true);
  view.setUint32(36, fields.unsynced, true);
  view.setUint32(40, fields.previous, true);
  const headerChecksum = crc32(record.subarray(8, RECORD_HEADER_BYTES));
  const checksum = crc32(record.subarray(RECORD_HEADER_BYTES), headerChecksum);
  view.setUint32(4, headerChecksum, true);
  view.setUint32(0, checksum, true);
  return checksum;
}

/**
 * Reads the header that a segment begins with. Throws `ShortReadError`, `BadMagicError`, `BadVersionError` or
 * `BadHeaderChecksumError`.
 */
export function decodeSegmentHeader(bytes: Uint8Array, place: LogPlace, crc32: Crc32): SegmentHeader {
  if (bytes.length < SEGMENT_HEADER_BYTES) {
    throw new ShortReadError(place, `the file has ${bytes.length} bytes, but its header alone ${SEGMENT_HEADER_BYTES}`);
  }
  const view = viewOn(bytes);
  checkFileStart(bytes, MAGIC, view.getUint32(8, true), place);
  if (crc32(bytes.subarray(16, SEGMENT_FIELDS_BYTES)) !== view.getUint32(12, true)) {
    throw new BadHeaderChecksumError(place, 'the header of the segment differs from its checksum');
  }
  return { salt: bytes.slice(16, 16 + SALT_BYTES), index: getUint64(view, 24) };
}

/** Refuses a file that does not begin with `magic`, or whose version is not `LOG_VERSION`. */
export function checkFileStart(bytes: Uint8Array, magic: Uint8Array, version: number, place: LogPlace): void {
  if (magic.some((byte, i) => bytes[i] !== byte)) {
    throw new BadMagicError(place, `the file does not begin with ${new TextDecoder().decode(magic)}`);
  }
  if (version !== LOG_VERSION) {
    throw new BadVersionError(place, `the file has version ${version}, and only ${LOG_VERSION} is known`);
  }
}

/** Why there is no record. */
export type RecordFault =
  /** Nothing here bears the segment's salt: it was never written, or in a former use of the file. */
  | 'none'
  /** The file ends before the record does. */
  | 'short'
  | 'header'
  | 'body';

/** The record of a segment that starts at `offset`, or why there is none. `view` is on all of `bytes`. */
export function decodeRecord(
  bytes: Uint8Array,
  view: DataView,
  offset: number,
  salt: Salt,
  crc32: Crc32,
): RecordHeader | RecordFault {
  const bodyStart = offset + RECORD_HEADER_BYTES;
  if (bodyStart > bytes.length) return hasSalt(bytes, offset, salt) ? 'short' : 'none';
  const headerChecksum = crc32(bytes.subarray(offset + 8, bodyStart));
  if (headerChecksum !== view.getUint32(offset + 4, true)) return hasSalt(bytes, offset, salt) ? 'header' : 'none';
  if (!hasSalt(bytes, offset, salt)) return 'none';
  const bodyBytes = view.getUint32(offset + 32, true);
  if (bodyBytes > bytes.length - bodyStart) return 'short';
  const checksum = view.getUint32(offset, true);
  if (crc32(bytes.subarray(bodyStart, bodyStart + bodyBytes), headerChecksum) !== checksum) return 'body';
  return {
    checksum,
    sequence: getUint64(view, offset + 16),
    timeMs: view.getFloat64(offset + 24, true),
    bodyBytes,
    unsynced: view.getUint32(offset + 36, true),
    previous: view.getUint32(offset + 40, true),
  };
}

/** Whether a record that starts at `offset` would have this salt. */
function hasSalt(bytes: Uint8Array, offset: number, salt: Salt): boolean {
  for (let i = 0; i < SALT_BYTES; i++) if (bytes[offset + SALT_OFFSET + i] !== salt[i]) return false;
  return true;
}

/** The first place from `offset` on where a record would have this salt; -1 when there is none. */
export function findSalt(bytes: Uint8Array, offset: number, salt: Salt): number {
  for (let from = offset; ; ) {
    const found = bytes.indexOf(salt[0]!, from + SALT_OFFSET);
    if (found < 0) return -1;
    const at = found - SALT_OFFSET;
    if (at % RECORD_ALIGNMENT_BYTES === 0 && hasSalt(bytes, at, salt)) return at;
    from = at + 1;
  }
}

export function viewOn(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}

export function setUint64(view: DataView, offset: number, value: number): void {
  view.setUint32(offset, value >>> 0, true);
  view.setUint32(offset + 4, Math.floor(value / 2 ** 32), true);
}

export function getUint64(view: DataView, offset: number): number {
  return view.getUint32(offset, true) + view.getUint32(offset + 4, true) * 2 ** 32;
}
