/**
 * The append side of a shard's log: it turns what the engine changed into records, one for each turn, and hands them out in
 * batches to be committed. It writes nothing itself and waits for nothing; whoever drives it commits the batches in order.
 *
 *     engine.redo() ──► append … endTurn ──► take ──► CommitFile.commit ──► settle, synced
 */
import { FRAME_HEADER_BYTES, writeFrameHeader } from '../protocol.ts';
import type { CommitFile, Crc32 } from './disk.ts';
import { align, RECORD_HEADER_BYTES, type Salt, SEGMENT_HEADER_BYTES, sealRecord } from './format.ts';

/** Buffers that a turn has made larger than this are not kept. Unit: bytes. */
const BUFFER_KEPT_BYTES_MAX = 4 * 1024 * 1024;
const BUFFER_BYTES_MIN = 64 * 1024;

const UNSYNCED_MAX = 2 ** 32 - 1;

/** A segment that was prepared and holds no record yet. */
export interface LogSegment {
  readonly index: number;
  readonly salt: Salt;
  /** Bytes of it that were written beforehand: where the next segment is begun, when there is one. */
  readonly sizeBytes: number;
  readonly file: CommitFile;
}

/** Where a log ends: what the next record goes on from. */
export interface LogPosition {
  /** Sequence number of the last record; 0 when there was none. */
  readonly sequence: number;
  /** Checksum of the last record; 0 when there was none. */
  readonly checksum: number;
}

/** Sealed records that lie one behind the other in a segment. */
export interface LogBatch {
  readonly segment: LogSegment;
  readonly offset: number;
  /** Lent until `settle`. Empty when a segment ends and all of it was taken before. */
  readonly bytes: Uint8Array;
  /** Sequence number of its last record. */
  readonly sequence: number;
  /**
   * Whether the segment ends here. Then it is to be synced, whatever the policy, before the next batch is written: that a
   * segment has records says that all before it is durable.
   */
  readonly lastOfSegment: boolean;
}

export class Log {
  readonly #crc32: Crc32;
  /** Where the next record goes. */
  #segment: LogSegment;
  #offset = SEGMENT_HEADER_BYTES;
  readonly #nextSegments: LogSegment[] = [];
  #segmentStart: LogPosition;

  #sequence: number;
  #checksum: number;
  #durableSequence: number;

  /** The buffer: sealed records up to `#sealed`, which lie in the segment from `#batchOffset` on, then the open record. */
  #buffer = newBuffer(BUFFER_BYTES_MIN);
  #batchOffset = SEGMENT_HEADER_BYTES;
  #sealed = 0;
  /** Where the open record ends; `#sealed` when there is none. */
  #end = 0;
  #openTimeMs = 0;

  /** Batches that ended their segments. */
  readonly #closed: LogBatch[] = [];
  readonly #freeBuffers: Uint8Array<ArrayBuffer>[] = [];

  /** Goes on after `position`, all up to which is durable, in an empty segment. */
  constructor(segment: LogSegment, position: LogPosition, crc32: Crc32) {
    this.#crc32 = crc32;
    this.#segment = segment;
    this.#segmentStart = position;
    this.#sequence = position.sequence;
    this.#checksum = position.checksum;
    this.#durableSequence = position.sequence;
  }

  /** Sequence number of the last sealed record. */
  get sequence(): number {
    return this.#sequence;
  }

  /** Where the log ends with its last sealed record. */
  get position(): LogPosition {
    return { sequence: this.#sequence, checksum: this.#checksum };
  }

  /** Sequence number of the last record that `synced` was told of. */
  get durableSequence(): number {
    return this.#durableSequence;
  }

  /** The segment that the next record goes to. */
  get segment(): LogSegment {
    return this.#segment;
  }

  /** Where the log ended when that segment was begun: what the segments before it hold. */
  get segmentStart(): LogPosition {
    return this.#segmentStart;
  }

  /** Bytes of records in that segment. */
  get segmentBytes(): number {
    return this.#offset - SEGMENT_HEADER_BYTES;
  }

  /** Whether `addSegment` should be called: there is none to go on in when this one is full. */
  get needsSegment(): boolean {
    return this.#nextSegments.length === 0;
  }

  /** Whether `take` returns something. */
  get hasPending(): boolean {
    return this.#sealed > 0 || this.#closed.length > 0;
  }

  /** Sealed bytes that were not taken yet. */
  get pendingBytes(): number {
    return this.#sealed + this.#closed.reduce((bytes, batch) => bytes + batch.bytes.length, 0);
  }

  /** The next prepared segment, whose index is one more than that of the one before. */
  addSegment(segment: LogSegment): void {
    const last = this.#nextSegments.at(-1) ?? this.#segment;
    if (segment.index !== last.index + 1) {
      throw new RangeError(`segment ${segment.index} cannot follow segment ${last.index}`);
    }
    this.#nextSegments.push(segment);
  }

  /**
   * Adds what one `execute` changed, at the engine's `redoTimeMs`, to the record of the turn. `redo` is copied; when it is
   * empty, nothing is added.
   */
  append(redo: Uint8Array, timeMs: number): void {
    if (redo.length === 0) return;
    if (this.#end > this.#sealed && timeMs !== this.#openTimeMs) this.#seal();
    if (this.#end === this.#sealed) this.#open(timeMs);
    this.#reserve(FRAME_HEADER_BYTES + redo.length);
    writeFrameHeader(this.#buffer, this.#end, redo.length);
    this.#buffer.set(redo, this.#end + FRAME_HEADER_BYTES);
    this.#end += FRAME_HEADER_BYTES + redo.length;
  }

  /** Seals the record of the turn, if it changed anything. Returns `sequence`: what its replies may have to wait for. */
  endTurn(): number {
    if (this.#end > this.#sealed) this.#seal();
    return this.#sequence;
  }

  /**
   * Seals a record without a body. Committed last, after a sync of all before it, it says that they were durable: so a fault
   * in them is known not to be a torn write. And it has the time, from which the engine's goes on: what expired since the last
   * change does not come back when the clock was set back.
   */
  sealMark(timeMs: number): number {
    this.endTurn();
    this.#open(timeMs);
    this.#seal();
    return this.#sequence;
  }

  /** The next batch to commit; undefined when all was taken. Any number may be under way, but they are written in order. */
  take(): LogBatch | undefined {
    const closed = this.#closed.shift();
    if (closed !== undefined) return closed;
    if (this.#sealed === 0) return undefined;
    return this.#cut(false);
  }

  /**
   * Ends the segment here, if it has records and there is another one to go on in: what was recorded up to now does not share
   * its file with what comes. Returns whether there is nothing in it, so that all before it has ended.
   */
  endSegment(): boolean {
    this.endTurn();
    if (this.#offset > SEGMENT_HEADER_BYTES) this.#changeSegment();
    return this.#offset === SEGMENT_HEADER_BYTES;
  }

  /** Closes the files of what was not taken yet, and those that it would go on in. Nothing MUST be under way on them. */
  close(): void {
    const ended = this.#closed.splice(0).map(({ segment }) => segment);
    for (const { file } of [...ended, this.#segment, ...this.#nextSegments.splice(0)]) file.close();
  }

  /** A batch was committed, or given up: its buffer is used again. */
  settle(batch: LogBatch): void {
    const buffer = batch.bytes.buffer as ArrayBuffer;
    if (buffer.byteLength <= BUFFER_KEPT_BYTES_MAX && buffer.byteLength > 0)
      this.#freeBuffers.push(new Uint8Array(buffer));
  }

  /** A sync returned that covers all records up to `sequence`. */
  synced(sequence: number): void {
    this.#durableSequence = Math.max(this.#durableSequence, sequence);
  }

  #open(timeMs: number): void {
    this.#reserve(RECORD_HEADER_BYTES);
    this.#end += RECORD_HEADER_BYTES;
    this.#openTimeMs = timeMs;
  }

  #seal(): void {
    const length = this.#end - this.#sealed;
    const room = align(length);
    if (this.#offset + room > this.#segment.sizeBytes && this.#offset > SEGMENT_HEADER_BYTES) this.#changeSegment();
    this.#reserve(room - length);
    this.#buffer.fill(0, this.#end, this.#sealed + room);
    const record = this.#buffer.subarray(this.#sealed, this.#sealed + length);
    this.#sequence++;
    const fields = {
      sequence: this.#sequence,
      timeMs: this.#openTimeMs,
      unsynced: Math.min(this.#sequence - this.#durableSequence, UNSYNCED_MAX),
      previous: this.#checksum,
    };
    this.#checksum = sealRecord(record, this.#segment.salt, fields, this.#crc32);
    this.#sealed += room;
    this.#end = this.#sealed;
    this.#offset += room;
  }

  /** Goes on in the next segment; stays in this one, beyond its size, while none is prepared. */
  #changeSegment(): void {
    const next = this.#nextSegments.shift();
    if (next === undefined) return;
    this.#closed.push(this.#cut(true));
    this.#segment = next;
    this.#segmentStart = this.position;
    this.#offset = SEGMENT_HEADER_BYTES;
    this.#batchOffset = SEGMENT_HEADER_BYTES;
  }

  /** Cuts the sealed records off as a batch; the open one moves to another buffer. */
  #cut(lastOfSegment: boolean): LogBatch {
    const full = this.#buffer;
    const batch: LogBatch = {
      segment: this.#segment,
      offset: this.#batchOffset,
      bytes: full.subarray(0, this.#sealed),
      sequence: this.#sequence,
      lastOfSegment,
    };
    const open = full.subarray(this.#sealed, this.#end);
    this.#buffer = this.#freeBuffers.pop() ?? newBuffer(BUFFER_BYTES_MIN);
    this.#batchOffset += this.#sealed;
    this.#sealed = 0;
    this.#end = 0;
    this.#reserve(open.length);
    this.#buffer.set(open);
    this.#end = open.length;
    return batch;
  }

  /** Makes sure that so many bytes fit behind the open record. */
  #reserve(bytes: number): void {
    const needed = this.#end + bytes;
    if (needed <= this.#buffer.length) return;
    const grown = newBuffer(Math.max(needed, 2 * this.#buffer.length));
    grown.set(this.#buffer.subarray(0, this.#end));
    this.#buffer = grown;
  }
}

/** Of an `ArrayBuffer` of its own, whose bytes stay in their place while the kernel reads them. */
function newBuffer(bytes: number): Uint8Array<ArrayBuffer> {
  return new Uint8Array(new ArrayBuffer(bytes));
}
