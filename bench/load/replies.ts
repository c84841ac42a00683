/**
 * Checking replies as their bytes arrive, without keeping them: every reply for its length, its count and the type of each
 * result, a sample of them byte for byte. What is not as it should be is a `ReplyError`, and ends the run.
 */
import { MsgpackError, Reader, readError } from '../../core/msgpack.ts';
import { FRAME_HEADER_BYTES, FRAME_TAG, writeFrameHeader } from '../../core/protocol.ts';
import type { FramePool } from './frames.ts';
import { KEY_BYTES, type Operations, READ, type Values, writeKey } from './workload.ts';

/** One reply in so many is compared in full. */
export const SAMPLE_EVERY = 128;

/** MessagePack's `true`, the result of a SET. */
const TRUE = 0xc3;

/** Of a reply that is wrong from its head on, this much is read to tell what is wrong with it. Unit: bytes. */
const WRONG_BYTES_MAX = 64 * 1024;

/** The longest head: a frame's header and the header of an array. Unit: bytes. */
const HEAD_BYTES_MAX = FRAME_HEADER_BYTES + 5;

/** A reply that is wrong, an error, or one nobody asked for. */
export class ReplyError extends Error {
  override readonly name = 'ReplyError';
}

/** Checks the replies of one connection, one after the other, as their bytes come. */
export interface Checker {
  /** What comes next is the reply to this frame of the pool; `inFull` makes it one of the sample. */
  expect(frame: number, inFull: boolean): void;
  /** Whether the whole reply was seen, and right. */
  readonly complete: boolean;
  /** Takes what belongs to the reply from `chunk` on from `from`, and returns where it ends. Throws `ReplyError`. */
  take(chunk: Uint8Array, from: number): number;
}

/** Checks what a server answers. */
export class ReplyChecker implements Checker {
  readonly #pool: FramePool;
  #frame = 0;
  #replyBytes = 0;
  readonly #head = new Uint8Array(HEAD_BYTES_MAX);
  readonly #headBytes: number;
  /** Bytes of this reply that were seen. */
  #position = 0;
  /** Where in the reply the next result starts, and whose it is. */
  #next = 0;
  #operation = 0;
  /** The whole reply, when it is one of the sample or when its head is wrong. */
  #kept: Uint8Array | undefined;
  #headIsWrong = false;

  constructor(pool: FramePool) {
    this.#pool = pool;
    this.#head.set(pool.arrayHeader, FRAME_HEADER_BYTES);
    this.#headBytes = FRAME_HEADER_BYTES + pool.arrayHeader.length;
  }

  expect(frame: number, inFull: boolean): void {
    this.#frame = frame;
    this.#replyBytes = this.#pool.replyBytes(frame);
    writeFrameHeader(this.#head, 0, this.#replyBytes - FRAME_HEADER_BYTES);
    this.#position = 0;
    this.#next = this.#headBytes;
    this.#operation = frame * this.#pool.batch;
    this.#kept = inFull ? new Uint8Array(this.#replyBytes) : undefined;
  }

  get complete(): boolean {
    return this.#position === this.#replyBytes;
  }

  take(chunk: Uint8Array, from: number): number {
    if (this.#headIsWrong) return this.#takeWrong(chunk, from);
    const taken = Math.min(this.#replyBytes - this.#position, chunk.length - from);
    const end = this.#position + taken;
    // Where the reply's first byte is, or would be, in the chunk.
    const base = from - this.#position;
    for (let at = this.#position; at < this.#headBytes && at < end; at++) {
      if (chunk[base + at] === this.#head[at]) continue;
      this.#headIsWrong = true;
      this.#kept = this.#head.slice(0, at);
      return this.#takeWrong(chunk, base + at);
    }
    this.#checkTypes(chunk, base, end);
    this.#kept?.set(chunk.subarray(from, from + taken), this.#position);
    this.#position = end;
    if (this.#kept !== undefined && this.complete) this.#checkValues(this.#kept);
    return from + taken;
  }

  #checkTypes(chunk: Uint8Array, base: number, end: number): void {
    const { operations, valueHeader, values } = this.#pool;
    const { versions } = operations;
    const valueTag = valueHeader[0]!;
    const valueBytes = valueHeader.length + values.length;
    let next = this.#next;
    let operation = this.#operation;
    while (next < end) {
      const reads = versions[operation] === READ;
      if (chunk[base + next] !== (reads ? valueTag : TRUE)) {
        throw this.#wrongResult(operation, describeResult(chunk, base + next));
      }
      next += reads ? valueBytes : 1;
      operation++;
    }
    this.#next = next;
    this.#operation = operation;
  }

  #checkValues(reply: Uint8Array): void {
    const { operations, valueHeader, values, batch } = this.#pool;
    let at = this.#headBytes;
    for (let operation = this.#frame * batch; operation < (this.#frame + 1) * batch; operation++) {
      if (operations.versions[operation] !== READ) {
        at++;
        continue;
      }
      const header = reply.subarray(at, at + valueHeader.length);
      at += valueHeader.length;
      if (
        !valueHeader.every((byte, i) => byte === header[i]) ||
        !values.matches(reply, at, operations.keyNumbers[operation]!)
      ) {
        throw this.#wrongResult(operation, neverStored(reply.subarray(at, at + values.length)));
      }
      at += values.length;
    }
  }

  /** Collects a reply whose head is wrong, to tell why. */
  #takeWrong(chunk: Uint8Array, from: number): number {
    const kept = new Uint8Array(this.#kept!.length + chunk.length - from);
    kept.set(this.#kept!);
    kept.set(chunk.subarray(from), this.#kept!.length);
    this.#kept = kept;
    if (kept[0] !== FRAME_TAG) throw new ReplyError(`a reply starts with the byte ${hex(kept[0])} instead of 0xce`);
    if (kept.length < FRAME_HEADER_BYTES) return chunk.length;
    const payloadBytes = new DataView(kept.buffer).getUint32(1);
    const end = FRAME_HEADER_BYTES + payloadBytes;
    if (kept.length < Math.min(end, WRONG_BYTES_MAX)) return chunk.length;
    throw this.#describeReply(kept.subarray(FRAME_HEADER_BYTES, end), payloadBytes);
  }

  #describeReply(payload: Uint8Array, payloadBytes: number): ReplyError {
    const { batch } = this.#pool;
    const error = readError(payload, 0, payload.length);
    if (error !== undefined) return new ReplyError(`the frame was refused: ${error.code}: ${error.message}`);
    const lengths = `a reply of ${payloadBytes} bytes instead of ${this.#replyBytes - FRAME_HEADER_BYTES}`;
    try {
      const reader = new Reader(payload);
      const count = reader.arrayHeader();
      if (count < 0) return new ReplyError('a reply is no array');
      if (count !== batch) return new ReplyError(`a reply has ${count} results instead of ${batch}`);
      for (let operation = this.#frame * batch; operation < (this.#frame + 1) * batch; operation++) {
        const start = reader.position;
        reader.skip();
        const result = payload.subarray(start, reader.position);
        if (!this.#isRight(operation, result)) return this.#wrongResult(operation, describeResult(result, 0));
      }
    } catch (cause) {
      if (!(cause instanceof MsgpackError)) throw cause;
      return new ReplyError(`${lengths}, and it is damaged: ${cause.message}`);
    }
    return new ReplyError(lengths);
  }

  #isRight(operation: number, result: Uint8Array): boolean {
    const { operations, valueHeader, values } = this.#pool;
    if (operations.versions[operation] !== READ) return result.length === 1 && result[0] === TRUE;
    return result.length === valueHeader.length + values.length && result[0] === valueHeader[0];
  }

  #wrongResult(operation: number, what: string): ReplyError {
    return wrongResult(this.#pool, operation, what, 'true');
  }
}

/** What was asked for, and in batches of which size. */
interface Asked {
  readonly operations: Operations;
  readonly batch: number;
  readonly values: Values;
}

/** An operation got `what`; `stored` is what a SET has to get. */
export function wrongResult(
  { operations, batch, values }: Asked,
  operation: number,
  what: string,
  stored: string,
): ReplyError {
  const reads = operations.versions[operation] === READ;
  const key = new Uint8Array(KEY_BYTES);
  writeKey(key, 0, operations.keyNumbers[operation]!);
  const asked = `${reads ? 'GET' : 'SET'} ${new TextDecoder().decode(key)}`;
  const expected = reads ? `its value of ${values.length} bytes` : stored;
  return new ReplyError(
    `${asked} answered ${what} instead of ${expected} (result ${(operation % batch) + 1} of ${batch})`,
  );
}

/** A value that is not the key's, in words. */
export function neverStored(value: Uint8Array): string {
  const text = new TextDecoder().decode(value.subarray(0, 40));
  return `a value that was never stored under it, beginning with "${text}"`;
}

/** What a result is, in words. */
export function describeResult(bytes: Uint8Array, at: number): string {
  const error = readError(bytes, at, bytes.length);
  if (error !== undefined) return `the error ${error.code}: ${error.message}`;
  const tag = bytes[at];
  if (tag === 0xc0) return 'nil';
  if (tag === 0xc2) return 'false';
  if (tag === TRUE) return 'true';
  return `something that begins with the byte ${hex(tag)}`;
}

function hex(byte: number | undefined): string {
  return `0x${(byte ?? 0).toString(16).padStart(2, '0')}`;
}
