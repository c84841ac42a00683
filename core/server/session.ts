/**
 * One connection's life on the server: its bytes become frames, its frames replies. Back-pressure lives here: a peer that
 * does not read its replies is no longer read from, so what the server keeps for it stays bounded.
 *
 * On a connection that carries messages, a message is a payload. Frames are how payloads are kept and how the engine
 * writes them, all the same: what is kept of a message gets a header, and what is sent is cut at the headers.
 */
import type { Connection, ConnectionHandler, Lease } from '../connection.ts';
import { Writer } from '../msgpack.ts';
import { ErrorCode, FRAME_HEADER_BYTES, FRAME_TAG, readFrameLength, writeFrameHeader } from '../protocol.ts';
import { sendPayloads } from './messages.ts';
import { Arrival, Rest } from './rest.ts';
import type { Shard } from './shard.ts';

/** With more than this unsent, a session executes no further frame and stops reading. Unit: bytes. */
export const OUTPUT_HIGH_WATER_BYTES = 1024 * 1024;

export class Session implements ConnectionHandler {
  readonly #shard: Shard;
  readonly #connection: Connection;
  /** What came and was not executed yet, if anything: the begin of a frame, or whole frames while `#blocked`. */
  #rest: Rest | undefined;
  /** Waiting for the peer to read its replies. */
  #blocked = false;
  /** The peer sent all it will send. */
  #peerEnded = false;
  /** No further frame is executed, because one could not be read; what still comes is dropped. */
  #refusing = false;
  #closed = false;
  /** The connection ends once all replies were given to it. */
  #ending = false;
  /** Bytes of replies that were not given to the connection yet: in the engine's output, or held back. */
  #outputBytes = 0;
  /** Bytes of replies of this turn, whether they have left or not. */
  #turn = 0;
  #turnBytes = 0;

  constructor(shard: Shard, connection: Connection) {
    this.#shard = shard;
    this.#connection = connection;
  }

  data(bytes: Uint8Array): void {
    this.#shard.received(bytes.length);
    if (this.#refusing) return;
    if (!this.#blocked && this.#shard.isFull) this.#block();
    if (this.#connection.framing === 'message') this.#takeMessage(bytes);
    else if (this.#blocked) this.#keep(bytes);
    else if (this.#rest === undefined) this.#executeFrames(bytes);
    else this.#completeFrames(this.#rest, new Arrival(this.#shard.engine, bytes));
  }

  /** A frame that began earlier is completed first, so that the usual chunk of whole frames is never copied twice. */
  #completeFrames(rest: Rest, arrival: Arrival): void {
    const missing = this.#missingBytes(rest);
    if (missing < 0) return;
    const taken = Math.min(missing, arrival.length);
    rest.append(arrival, 0, taken);
    const remaining = this.#missingBytes(rest);
    if (remaining < 0) return;
    // What completed the header may not complete the frame.
    if (remaining > 0 && taken < arrival.length) {
      this.#completeFrames(rest, arrival.from(taken));
      return;
    }
    if (remaining > 0) return;
    this.#rest = undefined;
    this.#executeFrames(rest.bytes);
    rest.free();
    if (taken === arrival.length || this.#refusing) return;
    if (this.#blocked) this.#keep(arrival.part(taken, arrival.length));
    else this.#executeFrames(arrival.part(taken, arrival.length));
  }

  #takeMessage(payload: Uint8Array): void {
    if (this.#blocked) {
      const header = new Uint8Array(FRAME_HEADER_BYTES);
      writeFrameHeader(header, 0, payload.length);
      this.#keep(header);
      // The header of one that is too long is all that it takes to refuse it.
      if (payload.length <= this.#shard.maxFrameBytes) this.#keep(payload);
      return;
    }
    if (payload.length > this.#shard.maxFrameBytes) {
      this.#refuseLength(payload.length);
      return;
    }
    const offset = this.#input(payload);
    if (offset < 0 || !this.#execute(offset, payload.length)) return;
    if (this.#hasEnough) this.#block();
  }

  /** What waited for the peer goes on, since it has taken its replies. */
  drain(): void {
    if (!this.#blocked || this.#closed) return;
    this.#blocked = false;
    const rest = this.#rest;
    this.#rest = undefined;
    if (rest !== undefined) {
      this.#executeFrames(rest.bytes);
      rest.free();
    }
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
    this.#forgetRest();
    this.#shard.forget(this);
  }

  /** Replies of this turn were appended to the engine's output: `bytes` more. */
  replied(bytes: number): void {
    const { turn } = this.#shard;
    if (turn !== this.#turn) {
      this.#turn = turn;
      this.#turnBytes = 0;
    }
    this.#turnBytes += bytes;
    this.#outputBytes += bytes;
  }

  /** Some replies may leave: `bytes`, in the place of `owedBytes` of those that `replied` told of. */
  flush(bytes: Uint8Array, lease?: Lease, owedBytes: number = bytes.length): void {
    this.#outputBytes -= owedBytes;
    if (this.#closed) return;
    if (this.#connection.framing === 'message') sendPayloads(this.#connection, bytes, lease);
    else this.#connection.send(bytes, lease);
    if (this.#ending && this.#outputBytes === 0) this.#connection.end();
    else if (this.#blocked) this.#waitForTurn();
    else if (this.#connection.pendingBytes > OUTPUT_HIGH_WATER_BYTES) this.#block();
  }

  #executeFrames(bytes: Uint8Array): void {
    const shard = this.#shard;
    const offset = this.#input(bytes);
    if (offset < 0) return;
    let memory = shard.engine.memory;
    let position = offset;
    const end = offset + bytes.length;
    while (end - position >= FRAME_HEADER_BYTES) {
      if (memory[position] !== FRAME_TAG) {
        this.#refuse(ErrorCode.FRAME, 'a frame starts with the byte 0xCE');
        return;
      }
      const length = readFrameLength(memory, position);
      if (length > shard.maxFrameBytes) {
        this.#refuseLength(length);
        return;
      }
      const next = position + FRAME_HEADER_BYTES + length;
      if (next > end) break;
      if (!this.#execute(position + FRAME_HEADER_BYTES, length)) return;
      position = next;
      if (this.#hasEnough) {
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

  /** Puts requests where the engine can execute them, and returns their offset; -1 when they were refused. */
  #input(bytes: Uint8Array): number {
    try {
      return this.#shard.input(bytes);
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      this.#refuse(ErrorCode.MEMORY, `no memory for ${bytes.length} bytes of requests`);
      return -1;
    }
  }

  /** Executes a payload in the engine's memory. Returns whether it could be read; if not, the connection ends. */
  #execute(offset: number, length: number): boolean {
    if (this.#shard.execute(this, offset, length)) return true;
    this.#refusing = true;
    this.#endWhenSent();
    return false;
  }

  /**
   * How many bytes the frame that `rest` begins still needs: of its header first, then of its payload, 0 when it is whole; -1
   * when its header was refused.
   */
  #missingBytes(rest: Rest): number {
    if (rest.length < FRAME_HEADER_BYTES) return FRAME_HEADER_BYTES - rest.length;
    const length = readFrameLength(rest.bytes, 0);
    if (length > this.#shard.maxFrameBytes) {
      this.#refuseLength(length);
      return -1;
    }
    return FRAME_HEADER_BYTES + length - rest.length;
  }

  #keep(bytes: Uint8Array): void {
    this.#rest ??= new Rest(this.#shard.restRoom);
    this.#rest.append(new Arrival(this.#shard.engine, bytes), 0, bytes.length);
  }

  #forgetRest(): void {
    this.#rest?.free();
    this.#rest = undefined;
  }

  /** Whether this turn has brought so much for the peer, or so much waits for it, that others come first. */
  get #hasEnough(): boolean {
    const unsent = Math.max(this.#turnBytes, this.#outputBytes) + this.#connection.pendingBytes;
    return unsent > OUTPUT_HIGH_WATER_BYTES || this.#shard.isFull;
  }

  #block(): void {
    this.#blocked = true;
    this.#connection.pauseReading();
    this.#waitForTurn();
  }

  /** Goes on in the next turn if the kernel has taken everything already, so that no `drain` will come. */
  #waitForTurn(): void {
    if (this.#outputBytes === 0 && this.#connection.pendingBytes === 0) this.#shard.waitsForTurn(this);
  }

  #refuseLength(length: number): void {
    this.#refuse(ErrorCode.SIZE, `frame of ${length} bytes; the limit is ${this.#shard.maxFrameBytes}`);
  }

  /** Answers with the error of a whole payload; the connection is closed once it has been sent. */
  #refuse(code: ErrorCode, message: string): void {
    this.#refusing = true;
    this.#forgetRest();
    const writer = new Writer();
    writer.reserve(FRAME_HEADER_BYTES);
    writer.error(code, message);
    const frame = writer.view();
    writeFrameHeader(frame, 0, frame.length - FRAME_HEADER_BYTES);
    this.#shard.reply(this, frame);
    this.#endWhenSent();
  }

  /** The peer has ended and everything it sent was executed: its replies leave, then our end. */
  #finish(): void {
    if (this.#rest !== undefined) this.#refuse(ErrorCode.FRAME, 'the connection ended inside a frame');
    this.#shard.flush();
    this.#endWhenSent();
  }

  /** The connection ends as soon as it was given all replies, which may have happened already. */
  #endWhenSent(): void {
    this.#ending = true;
    if (this.#outputBytes === 0 && !this.#closed) this.#connection.end();
  }
}
