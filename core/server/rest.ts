/**
 * What a session has received and not executed: the begin of a frame, or whole frames while its peer does not read. It lies
 * in the engine's memory as long as there is room, so that a frame which arrives in pieces is put together where it is
 * executed, each of its bytes copied once.
 */
import type { Engine } from '../engine/engine.ts';
import { FRAME_HEADER_BYTES, readFrameLength } from '../protocol.ts';

/**
 * A frame up to this size gets its room at once, when its header has come, if there is plenty. The room of others grows with
 * what comes: who announces much and sends little must not cost much. Unit: bytes.
 */
const ANNOUNCED_BYTES_MAX = 1024 * 1024;

/** What needs less than this lies in the heap: engines hand out no smaller piece of their memory. Unit: bytes. */
const ROOM_BYTES_MIN = 16 * 1024;

/** Most of an engine's memory that is used so, by all sessions together; the rest is kept in the heap. Unit: bytes. */
const ROOM_BYTES_MAX = 64 * 1024 * 1024;

/** Smallest piece of the heap that is taken. Unit: bytes. */
const CAPACITY_MIN = 512;

const NOTHING = new Uint8Array(0);

/** The engine of a shard, and how much of its memory its sessions use for what they have not executed. */
export class RestRoom {
  readonly engine: Engine;
  readonly #bytesMax: number;
  #engineBytes = 0;
  #usedBytes = 0;

  /** All sessions together may take `bytesMax` bytes, of the engine's memory and of the heap. */
  constructor(engine: Engine, bytesMax: number) {
    this.engine = engine;
    this.#bytesMax = bytesMax;
  }

  /** What all sessions have taken. Unit: bytes. */
  get usedBytes(): number {
    return this.#usedBytes;
  }

  /** Whether so much may be taken before it is needed: only while there is plenty. */
  isPlenty(length: number): boolean {
    return length <= ANNOUNCED_BYTES_MAX && this.#usedBytes + length < this.#bytesMax / 2;
  }

  /** Counts so many bytes as taken, or says that they are too many. */
  take(length: number): boolean {
    if (this.#usedBytes + length > this.#bytesMax) return false;
    this.#usedBytes += length;
    return true;
  }

  /** So many bytes that were taken are no longer. */
  give(length: number): void {
    this.#usedBytes -= length;
  }

  /** Places in the engine's memory what was taken, and returns the offset; 0 when there is no room. */
  allocate(length: number): number {
    const { room } = this.engine;
    if (room === undefined || length < ROOM_BYTES_MIN || this.#engineBytes + length > ROOM_BYTES_MAX) return 0;
    const offset = room.allocate(length);
    if (offset > 0) this.#engineBytes += length;
    return offset;
  }

  free(offset: number, length: number): void {
    this.engine.room?.free(offset);
    this.#engineBytes -= length;
  }
}

export class Rest {
  readonly #room: RestRoom;
  /** Where it lies in the engine's memory; 0 when it lies in the heap. */
  #offset = 0;
  #heap: Uint8Array = NOTHING;
  #capacity = 0;
  #length = 0;

  constructor(room: RestRoom) {
    this.#room = room;
  }

  get length(): number {
    return this.#length;
  }

  /** All of it: a view, until the engine is called or something is appended. */
  get bytes(): Uint8Array {
    if (this.#offset === 0) return this.#heap.subarray(0, this.#length);
    return this.#room.engine.memory.subarray(this.#offset, this.#offset + this.#length);
  }

  /** Copies what has arrived to the end. False, and nothing is copied, when all sessions' rests have become too much. */
  append(arrival: Arrival, from: number, to: number): boolean {
    const length = this.#length + to - from;
    if (length > this.#capacity && !this.#grow(length)) return false;
    const bytes = arrival.part(from, to);
    if (this.#offset === 0) this.#heap.set(bytes, this.#length);
    else this.#room.engine.memory.set(bytes, this.#offset + this.#length);
    this.#length = length;
    const whole = this.#frameBytes;
    if (whole > this.#capacity && this.#room.isPlenty(whole)) this.#grow(whole);
    return true;
  }

  /** Of the first frame, once its header is there; 0 before. */
  get #frameBytes(): number {
    return this.#length < FRAME_HEADER_BYTES ? 0 : FRAME_HEADER_BYTES + readFrameLength(this.bytes, 0);
  }

  /** Gives the room back. */
  free(): void {
    if (this.#offset > 0) this.#room.free(this.#offset, this.#capacity);
    this.#room.give(this.#capacity);
    this.#offset = 0;
    this.#heap = NOTHING;
    this.#capacity = 0;
    this.#length = 0;
  }

  #grow(length: number): boolean {
    const doubled = Math.max(this.#capacity * 2, CAPACITY_MIN);
    const whole = this.#frameBytes;
    // The last step takes what is still to come and no more: half a frame would be doubled to more than the frame.
    const isLast = length <= whole && doubled > whole / 2;
    const capacity = isLast ? whole : Math.max(length, doubled);
    if (!this.#room.take(capacity)) return false;
    const offset = this.#room.allocate(capacity);
    if (offset > 0) this.#room.engine.memory.set(this.bytes, offset);
    const heap = offset > 0 ? NOTHING : new Uint8Array(capacity);
    if (offset === 0) heap.set(this.bytes);
    const kept = this.#length;
    this.free();
    this.#offset = offset;
    this.#heap = heap;
    this.#capacity = capacity;
    this.#length = kept;
    return true;
  }
}

/**
 * Bytes that a transport has delivered. When they lie in the engine's memory, a view on them is worth nothing once that has
 * grown, so each is made when it is needed.
 */
export class Arrival {
  readonly length: number;
  readonly #bytes: Uint8Array;
  readonly #engine: Engine;
  readonly #isInEngine: boolean;
  readonly #offset: number;

  constructor(engine: Engine, bytes: Uint8Array) {
    this.length = bytes.length;
    this.#bytes = bytes;
    this.#offset = bytes.byteOffset;
    this.#engine = engine;
    this.#isInEngine = bytes.buffer === engine.memory.buffer;
  }

  /** Those from a position on. */
  from(position: number): Arrival {
    return new Arrival(this.#engine, this.part(position, this.length));
  }

  /** A part of them: a view, until the engine is called. */
  part(from: number, to: number): Uint8Array {
    if (!this.#isInEngine) return this.#bytes.subarray(from, to);
    return this.#engine.memory.subarray(this.#offset + from, this.#offset + to);
  }
}
