/**
 * Operations as frames, encoded before the clock starts, and what their replies have to look like. Values have one length,
 * so where every result of a reply lies, and its length, are known beforehand.
 */
import { Writer } from '../../core/msgpack.ts';
import { FRAME_HEADER_BYTES, Op, writeFrameHeader } from '../../core/protocol.ts';
import type { Pool } from './pool.ts';
import { type Checker, ReplyChecker } from './replies.ts';
import { KEY_BYTES, type Operations, READ, type Values, writeKey } from './workload.ts';

/** What a GET takes in a frame: the array, the code, the key's tag, the key. Unit: bytes. */
const GET_BYTES = 3 + KEY_BYTES;

/** Frames of `batch` operations each, one behind the other; operations that fill no frame are left out. */
export class FramePool implements Pool {
  readonly batch: number;
  /** How many frames there are. */
  readonly length: number;
  readonly operations: Operations;
  readonly values: Values;
  /** What stands before a value, in a request as in a reply: its MessagePack header. */
  readonly valueHeader: Uint8Array;
  /** The array header that a request and its reply begin with. */
  readonly arrayHeader: Uint8Array;
  readonly #bytes: Uint8Array;
  readonly #starts: Float64Array;
  readonly #replyBytes: Uint32Array;

  constructor(operations: Operations, batch: number, values: Values) {
    this.batch = batch;
    this.length = Math.floor(operations.versions.length / batch);
    this.operations = operations;
    this.values = values;
    this.valueHeader = stringHeader(values.length);
    this.arrayHeader = arrayHeader(batch);
    this.#starts = new Float64Array(this.length + 1);
    this.#replyBytes = new Uint32Array(this.length);
    this.#layOut();
    this.#bytes = new Uint8Array(this.#starts[this.length]!);
    for (let frame = 0; frame < this.length; frame++) this.#encode(frame);
  }

  /** A whole frame, its header included, or `count` of them, one behind the other: a view. */
  frame(index: number, count = 1): Uint8Array {
    return this.#bytes.subarray(this.#starts[index]!, this.#starts[index + count]!);
  }

  /** The payload of a frame: a view. */
  payload(index: number): Uint8Array {
    return this.#bytes.subarray(this.payloadOffset(index), this.#starts[index + 1]!);
  }

  /** All frames, one behind the other: a view. */
  get bytes(): Uint8Array {
    return this.#bytes;
  }

  /** Where the payload of a frame starts in `bytes`. */
  payloadOffset(index: number): number {
    return this.#starts[index]! + FRAME_HEADER_BYTES;
  }

  /** Length of the payload of a frame. Unit: bytes. */
  payloadBytes(index: number): number {
    return this.#starts[index + 1]! - this.#starts[index]! - FRAME_HEADER_BYTES;
  }

  /** How long the whole reply to a frame is, its header included. Unit: bytes. */
  replyBytes(index: number): number {
    return this.#replyBytes[index]!;
  }

  checker(): Checker {
    return new ReplyChecker(this);
  }

  #layOut(): void {
    const valueBytes = this.valueHeader.length + this.values.length;
    const fixed = FRAME_HEADER_BYTES + this.arrayHeader.length;
    const { versions } = this.operations;
    for (let frame = 0; frame < this.length; frame++) {
      let reads = 0;
      for (let i = frame * this.batch; i < (frame + 1) * this.batch; i++) if (versions[i] === READ) reads++;
      const writes = this.batch - reads;
      this.#starts[frame + 1] = this.#starts[frame]! + fixed + this.batch * GET_BYTES + writes * valueBytes;
      this.#replyBytes[frame] = fixed + reads * valueBytes + writes;
    }
  }

  #encode(frame: number): void {
    const bytes = this.#bytes;
    const { keyNumbers, versions } = this.operations;
    let at = this.#starts[frame]!;
    writeFrameHeader(bytes, at, this.#starts[frame + 1]! - at - FRAME_HEADER_BYTES);
    at += FRAME_HEADER_BYTES;
    bytes.set(this.arrayHeader, at);
    at += this.arrayHeader.length;
    for (let i = frame * this.batch; i < (frame + 1) * this.batch; i++) {
      const reads = versions[i] === READ;
      bytes[at] = 0x90 | (reads ? 2 : 3);
      bytes[at + 1] = reads ? Op.GET : Op.SET;
      bytes[at + 2] = 0xa0 | KEY_BYTES;
      writeKey(bytes, at + 3, keyNumbers[i]!);
      at += GET_BYTES;
      if (reads) continue;
      bytes.set(this.valueHeader, at);
      at += this.valueHeader.length;
      this.values.write(bytes, at, keyNumbers[i]!, versions[i]!);
      at += this.values.length;
    }
  }
}

/** Operations that a pool holds for each batch size: enough for their keys not to fit any cache. */
const POOL_OPERATIONS = 2 ** 20;

/** With long values, a pool holds less. Unit: bytes. */
const POOL_BYTES_MAX = 64 * 1024 * 1024;

/** How many operations to prepare for a run phase whose frames go round and round. At least one frame. */
export function poolOperations(batch: number, valueBytes: number, writeShare: number): number {
  const fitting = Math.floor(POOL_BYTES_MAX / (GET_BYTES + writeShare * valueBytes));
  return Math.max(batch, Math.min(POOL_OPERATIONS, fitting));
}

function arrayHeader(length: number): Uint8Array {
  const writer = new Writer();
  writer.arrayHeader(length);
  return writer.copy();
}

function stringHeader(length: number): Uint8Array {
  const writer = new Writer();
  writer.text('v'.repeat(length));
  return writer.copy().subarray(0, writer.length - length);
}
