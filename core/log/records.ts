/**
 * Reading the segments of a log, and telling a torn write from damage.
 *
 * A power loss takes from what was not synced any part, so the end of a log may be a record that is not whole, and behind it
 * others that are. But each record tells how far the log was durable when it was sealed: what a later one calls durable and
 * is not whole was whole once. That is damage, as is everything missing from a segment that has a successor in use, since a
 * segment is synced before the next one gets its first record.
 */
import type { Crc32, Disk } from './disk.ts';
import {
  BadBodyChecksumError,
  BadHeaderChecksumError,
  BrokenChainError,
  type LogError,
  type LogPlace,
  MisplacedSegmentError,
  MissingSegmentError,
  ShortReadError,
} from './errors.ts';
import {
  decodeRecord,
  decodeSegmentHeader,
  findSalt,
  RECORD_ALIGNMENT_BYTES,
  RECORD_HEADER_BYTES,
  type RecordFault,
  type RecordHeader,
  recordBytes,
  type Salt,
  SEGMENT_HEADER_BYTES,
  type SegmentHeader,
  viewOn,
} from './format.ts';
import type { LogPosition } from './log.ts';
import { closing, fileName, type LogFile } from './segments.ts';

/** Called for each record, in order. `body` is lent until it returns. */
export type RecordReader = (record: RecordHeader, body: Uint8Array, place: LogPlace) => void;

/** What follows the last whole record of a log. */
export interface Tear {
  /** Unit: bytes, from where the whole records end. */
  readonly bytes: number;
  /** Whole records in it. */
  readonly records: number;
  /** What is wrong with the first record, which is not whole. */
  readonly fault: LogError;
}

/** Where the records of a log end. */
export interface LogEnd {
  readonly position: LogPosition;
  /** The last segment that was written to; undefined when none was. */
  readonly segment: LogFile | undefined;
  /** Where in it the whole records end. */
  readonly offset: number;
  /** Where in it the records begin that are not known to be durable. */
  readonly unsyncedOffset: number;
  readonly tear: Tear | undefined;
  readonly records: number;
  /** Bytes of the segments up to the end. */
  readonly bytes: number;
}

/**
 * Reads all records of `segments`, which are those from index `first` on, after `position`. Throws a `LogError` at the first
 * damage; the records before it were read then.
 */
export async function readRecords(
  disk: Disk,
  segments: readonly LogFile[],
  first: number,
  position: LogPosition,
  onRecord: RecordReader,
): Promise<LogEnd> {
  let end: LogEnd = {
    position,
    segment: undefined,
    offset: SEGMENT_HEADER_BYTES,
    unsyncedOffset: SEGMENT_HEADER_BYTES,
    tear: undefined,
    records: 0,
    bytes: 0,
  };
  let torn: LogError | undefined;
  let buffer = new Uint8Array();
  for (const [i, segment] of segments.entries()) {
    const place = { directory: disk.path, file: fileName(first + i, 'log'), offset: 0 };
    if (segment.index !== first + i) {
      throw new MissingSegmentError(place, `this segment is missing, but ${segment.name} is there`);
    }
    const bytes = await readWhole(disk, segment.name, buffer);
    // One for all: to touch as much new memory as the log is long may cost more than to read it.
    if (bytes.buffer !== buffer.buffer) buffer = new Uint8Array(bytes.buffer);
    const walk = new SegmentWalk(disk, segment, bytes);
    const found = walk.read(end, onRecord);
    if (found.tear === undefined && found.records === 0) continue;
    // The segments before were synced before this one was written to.
    if (torn !== undefined) throw torn;
    torn = found.tear?.fault;
    end = {
      position: found.position,
      segment,
      offset: found.offset,
      unsyncedOffset: found.unsyncedOffset,
      tear: found.tear,
      records: end.records + found.records,
      bytes: end.bytes + found.offset,
    };
  }
  return end;
}

/** How many whole records a segment has from `offset` on; 0 when its header is damaged, since that tells which are its own. */
export async function countRecords(disk: Disk, { name }: LogFile, offset: number): Promise<number> {
  const bytes = await readWhole(disk, name);
  let salt: Salt;
  try {
    salt = decodeSegmentHeader(bytes, { directory: disk.path, file: name, offset: 0 }, disk.crc32).salt;
  } catch {
    return 0;
  }
  let count = 0;
  for (const _ of wholeRecords(bytes, Math.max(offset, SEGMENT_HEADER_BYTES), salt, disk.crc32)) count++;
  return count;
}

/** The whole records of a use of a segment, whatever lies between them. */
function* wholeRecords(
  bytes: Uint8Array,
  from: number,
  salt: Salt,
  crc32: Crc32,
): Generator<{ record: RecordHeader; at: number }> {
  const view = viewOn(bytes);
  for (let at = findSalt(bytes, from, salt); at >= 0; ) {
    const record = decodeRecord(bytes, view, at, salt, crc32);
    if (typeof record !== 'string') yield { record, at };
    at = findSalt(
      bytes,
      at + (typeof record === 'string' ? RECORD_ALIGNMENT_BYTES : recordBytes(record.bodyBytes)),
      salt,
    );
  }
}

/** What one segment holds. */
type SegmentEnd = Pick<LogEnd, 'position' | 'offset' | 'unsyncedOffset' | 'tear' | 'records'>;

class SegmentWalk {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #header: SegmentHeader;
  readonly #crc32: Crc32;
  readonly #directory: string;
  readonly #file: string;

  constructor(disk: Disk, { name, index }: LogFile, bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = viewOn(bytes);
    this.#crc32 = disk.crc32;
    this.#directory = disk.path;
    this.#file = name;
    this.#header = decodeSegmentHeader(bytes, this.#place(0), disk.crc32);
    if (this.#header.index !== index) {
      throw new MisplacedSegmentError(
        this.#place(0),
        `this is segment ${this.#header.index} under the name of another`,
      );
    }
  }

  read(before: LogEnd, onRecord: RecordReader): SegmentEnd {
    let { position } = before;
    let offset = SEGMENT_HEADER_BYTES;
    const offsets: number[] = [];
    let unsynced = 0;
    let fault: RecordFault;
    for (;;) {
      const record = this.#record(offset);
      if (typeof record === 'string') {
        fault = record;
        break;
      }
      this.#checkChain(record, position, offset, before);
      const start = offset + RECORD_HEADER_BYTES;
      onRecord(record, this.#bytes.subarray(start, start + record.bodyBytes), this.#place(offset));
      position = { sequence: record.sequence, checksum: record.checksum };
      unsynced = record.unsynced;
      offsets.push(offset);
      offset += recordBytes(record.bodyBytes);
    }
    return {
      position,
      offset,
      unsyncedOffset: unsynced === 0 ? offset : offsets[Math.max(0, offsets.length - unsynced)]!,
      records: offsets.length,
      tear: this.#tear(offset, fault, position.sequence),
    };
  }

  #record(offset: number): RecordHeader | RecordFault {
    return decodeRecord(this.#bytes, this.#view, offset, this.#header.salt, this.#crc32);
  }

  #checkChain({ sequence, previous }: RecordHeader, position: LogPosition, offset: number, before: LogEnd): void {
    if (sequence === position.sequence + 1 && previous === position.checksum) return;
    const follows = `record ${sequence} does not follow record ${position.sequence}`;
    if (offset > SEGMENT_HEADER_BYTES || before.segment === undefined) {
      throw new BrokenChainError(this.#place(offset), follows);
    }
    const end = { directory: this.#directory, file: before.segment.name, offset: before.offset };
    throw new BrokenChainError(end, `the records end here, and in ${this.#file} ${follows}`);
  }

  /** What follows the whole records, which end at `offset`. Throws when that was durable once. */
  #tear(offset: number, fault: RecordFault, sequence: number): Tear | undefined {
    let end = offset;
    let records = 0;
    const start = offset + RECORD_ALIGNMENT_BYTES;
    for (const { record, at } of wholeRecords(this.#bytes, start, this.#header.salt, this.#crc32)) {
      if (record.sequence - record.unsynced > sequence) {
        const witness = `, but record ${record.sequence}, whole at offset ${at}, says that it was durable`;
        throw this.#error(offset, fault, witness);
      }
      records++;
      end = at + recordBytes(record.bodyBytes);
    }
    if (records === 0 && fault === 'none') return undefined;
    const bytes = Math.max(end, this.#faultyEnd(offset, fault)) - offset;
    return { records, bytes, fault: this.#error(offset, fault) };
  }

  /** Where a record ends that is not whole, as far as that can be told. */
  #faultyEnd(offset: number, fault: RecordFault): number {
    const isHeaderWhole = fault === 'body' || (fault === 'short' && offset + RECORD_HEADER_BYTES <= this.#bytes.length);
    const bodyBytes = isHeaderWhole ? this.#view.getUint32(offset + 32, true) : 0;
    return Math.min(offset + recordBytes(bodyBytes), this.#bytes.length);
  }

  #error(offset: number, fault: RecordFault, more = ''): LogError {
    const place = this.#place(offset);
    switch (fault) {
      case 'none':
        return new BrokenChainError(place, `a record is missing here${more}`);
      case 'short':
        return new ShortReadError(place, `the file ends within a record${more}`);
      case 'header':
        return new BadHeaderChecksumError(place, `the header of a record differs from its checksum${more}`);
      case 'body':
        return new BadBodyChecksumError(place, `the body of a record differs from its checksum${more}`);
    }
  }

  #place(offset: number): LogPlace {
    return { directory: this.#directory, file: this.#file, offset };
  }
}

/** All bytes of a file, in `buffer` if they fit. */
async function readWhole(disk: Disk, name: string, buffer = new Uint8Array()): Promise<Uint8Array<ArrayBuffer>> {
  return closing(await disk.open(name), async (file) => {
    const size = await file.size();
    const bytes = size > buffer.length ? new Uint8Array(size) : buffer.subarray(0, size);
    const length = await file.read(0, bytes);
    return bytes.subarray(0, length);
  });
}
