/**
 * One connection's life on the server: its bytes become frames, its frames replies. Back-pressure lives here: a peer that
 * does not read its replies is no longer read from, so what the server keeps for it stays bounded.
 */
import type { Connection, ConnectionHandler, Lease } from '../connection.ts';
import { Writer } from '../msgpack.ts';
import { ErrorCode, FRAME_HEADER_BYTES, FRAME_TAG, writeFrameHeader } from '../protocol.ts';
import type { Shard } from './shard.ts';

/** With more than this unsent, a session executes no further frame and stops reading. Unit: bytes. */
export const OUTPUT_HIGH_WATER_BYTES = 1024 * 1024;

/** Smallest buffer for a frame that did not arrive whole. It grows with what has come, not with what was announced. */
const PARTIAL_BYTES_MIN = 512;

const NOTHING = new Uint8Array(0);

export class Session implements ConnectionHandler {
  readonly #shard: Shard;
  readonly #connection: Connection;
  /** Bytes that came and were not executed yet: the begin of a frame, or whole frames while `#blocked`. */
  #rest: Uint8Array = NOTHING;
  #restBytes = 0;
  /** Waiting for the peer to read its replies. */
  #blocked = false;
  /** The peer sent all it will send. */
  #peerEnded = false;
  /** No further frame is executed, because one could not be read; what still comes is dropped. */
  #refusing = false;
  #closed = false;
  /** Bytes of replies in the engine's output, not given to the connection yet. */
  #turnBytes = 0;

  constructor(shard: Shard, connection: Connection) {
    this.#shard = shard;
    this.#connection = connection;
  }

  data(bytes: Uint8Array): void {
    this.#shard.received(bytes.length);
    if (this.#refusing) return;
    if (this.#blocked) {
      this.#keep(bytes);
      return;
    }
    let from = 0;
    // A frame that began earlier is completed first, so that the usual chunk of whole frames is never copied twice.
    while (this.#restBytes > 0) {
      const missing = this.#missingBytes();
      if (missing < 0) return;
      const taken = Math.min(missing, bytes.length - from);
      this.#keep(bytes.subarray(from, from + taken));
      from += taken;
      if (taken < missing) return;
      if (this.#missingBytes() === 0) {
        const frame = this.#rest.subarray(0, this.#restBytes);
        this.#rest = NOTHING;
        this.#restBytes = 0;
        this.#executeFrames(frame);
        if (this.#blocked) {
          this.#keep(bytes.subarray(from));
          return;
        }
        if (this.#refusing) return;
      }
    }
    if (from < bytes.length && !this.#refusing) this.#executeFrames(from === 0 ? bytes : bytes.subarray(from));
  }

  /** What waited for the peer goes on, since it has taken its replies. */
  drain(): void {
    if (!this.#blocked || this.#closed) return;
    this.#blocked = false;
    const rest = this.#rest.subarray(0, this.#restBytes);
    this.#rest = NOTHING;
    this.#restBytes = 0;
    if (rest.length > 0) this.#executeFrames(rest);
    if (this.#blocked || this.#closed) return;
    if (this.#peerEnded) this.#finish();
    else this.#connection.resumeReading();
  }

  end(): void {
    this.#peerEnded = true;
    if (!this.#blocked) this.#finish();
  }

  close(): void {
    this.#closed = true;
    this.#rest = NOTHING;
    this.#shard.forget(this);
  }

  /** Replies of this turn were appended to the engine's output: `bytes` more. */
  replied(bytes: number): void {
    this.#turnBytes += bytes;
  }

  /** The turn ends: this part of its output goes to the peer. */
  flush(bytes: Uint8Array, lease?: Lease): void {
    this.#turnBytes -= bytes.length;
    if (this.#closed) return;
    this.#connection.send(bytes, lease);
    if (this.#refusing && this.#turnBytes === 0) this.#connection.end();
    else if (this.#blocked) {
      // The kernel took all of it at once, so no `drain` will come.
      if (this.#turnBytes === 0 && this.#connection.pendingBytes === 0) this.#shard.waitsForTurn(this);
    } else if (this.#connection.pendingBytes > OUTPUT_HIGH_WATER_BYTES) this.#block();
  }

  #executeFrames(bytes: Uint8Array): void {
    const shard = this.#shard;
    let offset: number;
    try {
      offset = shard.input(bytes);
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      this.#refuse(ErrorCode.MEMORY, `no memory for ${bytes.length} bytes of requests`);
      return;
    }
    let memory = shard.engine.memory;
    let position = offset;
    const end = offset + bytes.length;
    while (end - position >= FRAME_HEADER_BYTES) {
      if (memory[position] !== FRAME_TAG) {
        this.#refuse(ErrorCode.FRAME, 'a frame starts with the byte 0xCE');
        return;
      }
      const length = readLength(memory, position + 1);
      if (length > shard.maxFrameBytes) {
        this.#refuse(ErrorCode.SIZE, `frame of ${length} bytes; the limit is ${shard.maxFrameBytes}`);
        return;
      }
      const next = position + FRAME_HEADER_BYTES + length;
      if (next > end) break;
      if (!shard.execute(this, position + FRAME_HEADER_BYTES, length)) {
        this.#refusing = true;
        // Its reply may have left already, when it made the turn end early.
        if (this.#turnBytes === 0) this.#connection.end();
        return;
      }
      position = next;
      if (this.#turnBytes + this.#connection.pendingBytes > OUTPUT_HIGH_WATER_BYTES) {
        this.#block();
        break;
      }
      memory = shard.engine.memory;
    }
    if (position === end) return;
    if (memory[position] !== FRAME_TAG && !this.#blocked) {
      this.#refuse(ErrorCode.FRAME, 'a frame starts with the byte 0xCE');
      return;
    }
    // Read from the memory again: if the bytes lay there, it may have grown and left them behind.
    this.#keep(shard.engine.memory.subarray(position, end));
  }

  /**
   * How many bytes the frame in `#rest` still needs: of its header first, then of its payload, 0 when it is whole; -1 when
   * its header was refused.
   */
  #missingBytes(): number {
    if (this.#restBytes < FRAME_HEADER_BYTES) return FRAME_HEADER_BYTES - this.#restBytes;
    const length = readLength(this.#rest, 1);
    if (length > this.#shard.maxFrameBytes) {
      this.#refuse(ErrorCode.SIZE, `frame of ${length} bytes; the limit is ${this.#shard.maxFrameBytes}`);
      return -1;
    }
    return FRAME_HEADER_BYTES + length - this.#restBytes;
  }

  #keep(bytes: Uint8Array): void {
    const needed = this.#restBytes + bytes.length;
    if (needed > this.#rest.length) {
      const doubled = Math.min(this.#rest.length * 2, FRAME_HEADER_BYTES + this.#shard.maxFrameBytes);
      const grown = new Uint8Array(Math.max(needed, doubled, PARTIAL_BYTES_MIN));
      grown.set(this.#rest.subarray(0, this.#restBytes));
      this.#rest = grown;
    }
    this.#rest.set(bytes, this.#restBytes);
    this.#restBytes = needed;
  }

  #block(): void {
    this.#blocked = true;
    this.#connection.pauseReading();
  }

  /** Answers with the error of a whole payload; the connection is closed once it has been sent. */
  #refuse(code: ErrorCode, message: string): void {
    this.#shard.flush();
    this.#refusing = true;
    this.#rest = NOTHING;
    this.#restBytes = 0;
    const writer = new Writer();
    writer.reserve(FRAME_HEADER_BYTES);
    writer.error(code, message);
    const frame = writer.view();
    writeFrameHeader(frame, 0, frame.length - FRAME_HEADER_BYTES);
    this.replied(frame.length);
    this.flush(frame);
  }

  /** The peer has ended and everything it sent was executed: its replies leave, then our end. */
  #finish(): void {
    if (this.#restBytes > 0) this.#refuse(ErrorCode.FRAME, 'the connection ended inside a frame');
    this.#shard.flush();
    if (!this.#closed) this.#connection.end();
  }
}

/** A big-endian uint32, as a frame's header has it. */
function readLength(bytes: Uint8Array, at: number): number {
  return ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0;
}
