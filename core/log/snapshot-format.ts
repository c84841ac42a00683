/**
 * Snapshots: the whole state of a shard in one file, as requests that set every key. Integers are little-endian.
 *
 * Header, 64 bytes:
 *
 *      0  magic           8   "RINGKVSN"
 *      8  version         4   2
 *     12  checksum        4   CRC-32 of the bytes from 16 to 64
 *     16  next segment    8   index of the first segment that is not included
 *     24  sequence        8   of the last record that is included
 *     32  record checksum 8   of that record: what the next one continues
 *     40  time            8   float64, milliseconds since 1970: when the requests are to be executed
 *     48  reserved       16   0
 *
 * Then blocks:
 *
 *      0  checksum        4   CRC-32 of the bytes from 8 to 16 and of the body
 *      4  header checksum 4   CRC-32 of the bytes from 8 to 16
 *      8  body bytes      4   0 in the last block, behind which the file ends
 *     12  previous        4   checksum of the block before, that of the header for the first
 *     16  body                a request payload: SETs, with what was left of their time to live
 */
import type { Crc32 } from './disk.ts';
import { BadHeaderChecksumError, type LogPlace } from './errors.ts';
import { checkFileStart, getUint64, LOG_VERSION, setUint64, viewOn } from './format.ts';
import type { LogPosition } from './log.ts';

const MAGIC = new TextEncoder().encode('RINGKVSN');
export const SNAPSHOT_HEADER_BYTES = 64;
export const BLOCK_HEADER_BYTES = 16;

/** What a snapshot is of. */
export interface SnapshotPosition extends LogPosition {
  /** Index of the first segment that is not included. */
  readonly nextSegment: number;
}

export interface SnapshotHeader extends SnapshotPosition {
  readonly timeMs: number;
  readonly checksum: number;
  /** The header's own, which the first block continues. */
  readonly headerChecksum: number;
}

export interface BlockHeader {
  /** Of the header and the body. */
  readonly checksum: number;
  readonly headerChecksum: number;
  readonly bodyBytes: number;
  readonly previous: number;
}

export function encodeSnapshotHeader(position: SnapshotPosition, timeMs: number, crc32: Crc32): Uint8Array {
  const bytes = new Uint8Array(SNAPSHOT_HEADER_BYTES);
  const view = viewOn(bytes);
  bytes.set(MAGIC);
  view.setUint32(8, LOG_VERSION, true);
  setUint64(view, 16, position.nextSegment);
  setUint64(view, 24, position.sequence);
  setUint64(view, 32, position.checksum);
  view.setFloat64(40, timeMs, true);
  view.setUint32(12, snapshotHeaderChecksum(bytes, crc32), true);
  return bytes;
}

export function snapshotHeaderChecksum(header: Uint8Array, crc32: Crc32): number {
  return crc32(header.subarray(16, SNAPSHOT_HEADER_BYTES));
}

/** Reads the header of a snapshot. Throws `BadMagicError`, `BadVersionError` or `BadHeaderChecksumError`. */
export function decodeSnapshotHeader(bytes: Uint8Array, place: LogPlace, crc32: Crc32): SnapshotHeader {
  const view = viewOn(bytes);
  checkFileStart(bytes, MAGIC, view.getUint32(8, true), place);
  const headerChecksum = snapshotHeaderChecksum(bytes, crc32);
  if (headerChecksum !== view.getUint32(12, true)) {
    throw new BadHeaderChecksumError(place, 'the header of the snapshot differs from its checksum');
  }
  return {
    nextSegment: getUint64(view, 16),
    sequence: getUint64(view, 24),
    checksum: getUint64(view, 32),
    timeMs: view.getFloat64(40, true),
    headerChecksum,
  };
}

/** The header of a block that follows one with the checksum `previous`, and this block's own checksum. */
export function encodeBlockHeader(
  body: Uint8Array,
  previous: number,
  crc32: Crc32,
): { header: Uint8Array; checksum: number } {
  const header = new Uint8Array(BLOCK_HEADER_BYTES);
  const view = viewOn(header);
  view.setUint32(8, body.length, true);
  view.setUint32(12, previous, true);
  const headerChecksum = crc32(header.subarray(8));
  const checksum = crc32(body, headerChecksum);
  view.setUint32(4, headerChecksum, true);
  view.setUint32(0, checksum, true);
  return { header, checksum };
}

/** Reads the header of a block. Throws `BadHeaderChecksumError`. */
export function decodeBlockHeader(bytes: Uint8Array, place: LogPlace, crc32: Crc32): BlockHeader {
  const view = viewOn(bytes);
  const headerChecksum = crc32(bytes.subarray(8, BLOCK_HEADER_BYTES));
  if (headerChecksum !== view.getUint32(4, true)) {
    throw new BadHeaderChecksumError(place, 'the header of a block differs from its checksum');
  }
  return {
    checksum: view.getUint32(0, true),
    headerChecksum,
    bodyBytes: view.getUint32(8, true),
    previous: view.getUint32(12, true),
  };
}
