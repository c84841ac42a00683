/**
 * The requests that wait to be sent, encoded, one after the other in one buffer, from which frames are cut without copying.
 */
import { MsgpackError, Reader, Writer } from '../msgpack.ts';
import { FRAME_HEADER_BYTES, writeFrameHeader } from '../protocol.ts';
import { OperationWriter } from './operation-writer.ts';
import type { Operation } from './operations.ts';
import type { Request } from './request.ts';

/** Room before the first request for the largest headers of a frame and of its array. Unit: bytes. */
const HEADROOM_BYTES = FRAME_HEADER_BYTES + 5;

/** A buffer that has grown beyond this is not kept once it is empty. Unit: bytes. */
const KEPT_BYTES_MAX = 1024 * 1024;

/** Requests given up take no more than this, or half of the buffer. Unit: bytes. */
const GIVEN_UP_BYTES_MAX = 64 * 1024;

/** A frame ready to be sent. */
export interface Frame {
  /** Header and payload, valid until the queue is used again. */
  readonly bytes: Uint8Array;
  /** What it holds; their places are relative to `bytes`. */
  readonly requests: readonly Request[];
}

export class Queue {
  #writer = newWriter();
  #requests: Request[] = [];
  /** How many of the requests, from the first on, were taken already. */
  #taken = 0;
  #givenUpBytes = 0;

  get isEmpty(): boolean {
    return this.#taken === this.#requests.length;
  }

  /** Those that wait, from the oldest on; also those that were given up in the meantime. */
  *waiting(): Generator<Request> {
    for (let i = this.#taken; i < this.#requests.length; i++) yield this.#requests[i]!;
  }

  /** Encodes an operation at the end and returns where it lies. Throws its `ArgumentError`, leaving nothing behind. */
  write<A extends readonly unknown[]>(operation: Operation<A, unknown>, args: A): [start: number, end: number] {
    const writer = this.#writer;
    const start = writer.length;
    writer.operation(operation, args);
    return [start, writer.length];
  }

  /** Forgets what was written last, from `start` on. */
  unwrite(start: number): void {
    this.#writer.truncate(start);
  }

  /** Adds the request whose operation was written last. */
  push(request: Request): void {
    this.#requests.push(request);
  }

  /** Whether a request that waits has a value that nests deeper than this. */
  nestsDeeper({ start, end }: Request, depthMax: number): boolean {
    const reader = new Reader(this.#writer.view(), start, end);
    try {
      // Each operation is an array around its values.
      while (reader.position < end) reader.skip(depthMax + 1);
      return false;
    } catch (error) {
      if (error instanceof MsgpackError && error.tooDeep) return true;
      throw error;
    }
  }

  /**
   * The next frame, of as many requests as one with a payload of `payloadBytesMax` and `operationsMax` can hold; undefined
   * when none waits, or the next is larger than that.
   */
  take(payloadBytesMax: number, operationsMax: number): Frame | undefined {
    this.#compact();
    const all = this.#requests;
    while (all[this.#taken]?.isSettled) this.#taken++;
    const first = all[this.#taken];
    if (first === undefined) {
      this.#reset();
      return undefined;
    }
    // What was given up ends a frame, since its bytes lie between those that are wanted.
    let count = 0;
    let next = this.#taken;
    for (; next < all.length; next++) {
      const { operation, end, isSettled } = all[next]!;
      const bytes = arrayHeaderBytes(count + operation.count) + end - first.start;
      if (isSettled || bytes > payloadBytesMax || count + operation.count > operationsMax) break;
      count += operation.count;
    }
    if (next === this.#taken) return undefined;
    const isAll = this.#taken === 0 && next === all.length;
    const requests = isAll ? all : all.slice(this.#taken, next);
    // The headers are written over what lies before the first request, and that is no longer needed.
    const headerBytes = FRAME_HEADER_BYTES + arrayHeaderBytes(count);
    const start = first.start - headerBytes;
    const bytes = this.#writer.view().subarray(start, requests.at(-1)!.end);
    writeFrameHeader(bytes, 0, bytes.length - FRAME_HEADER_BYTES);
    writeArrayHeader(bytes, FRAME_HEADER_BYTES, count);
    for (const request of requests) {
      request.start -= start;
      request.end -= start;
    }
    this.#taken = next;
    if (next === all.length) this.#reset();
    return { bytes, requests };
  }

  /** A request that waits was given up. */
  giveUp(request: Request): void {
    this.#givenUpBytes += request.end - request.start;
    if (this.#givenUpBytes > GIVEN_UP_BYTES_MAX && this.#givenUpBytes > this.#writer.length / 2) this.putBack([]);
  }

  /** Puts requests that were sent before all that wait; `bytes` is what their places are relative to. */
  putBack(sent: readonly { readonly request: Request; readonly bytes: Uint8Array }[]): void {
    const old = this.#writer.view();
    const waiting = Array.from(this.waiting(), (request) => ({ request, bytes: old }));
    this.#writer = newWriter();
    this.#requests = [];
    this.#taken = 0;
    this.#givenUpBytes = 0;
    for (const { request, bytes } of [...sent, ...waiting]) {
      if (request.isSettled) continue;
      const start = this.#writer.length;
      this.#writer.raw(bytes.subarray(request.start, request.end));
      request.start = start;
      request.end = this.#writer.length;
      request.wasSent = false;
      this.#requests.push(request);
    }
  }

  /** Takes out all that wait; `bytes` is what their places are relative to, and nobody else's from now on. */
  takeAll(): { readonly request: Request; readonly bytes: Uint8Array }[] {
    const bytes = this.#writer.view();
    const waiting = [...this.waiting()].filter(({ isSettled }) => !isSettled);
    this.#writer = newWriter();
    this.#reset();
    return waiting.map((request) => ({ request, bytes }));
  }

  /** Under steady load something always waits, so what was taken before it has to go in between. */
  #compact(): void {
    const start = this.#requests[this.#taken]?.start ?? 0;
    if (start > KEPT_BYTES_MAX && start > this.#writer.length / 2) this.putBack([]);
  }

  #reset(): void {
    this.#requests = [];
    this.#taken = 0;
    this.#givenUpBytes = 0;
    if (this.#writer.capacity > KEPT_BYTES_MAX) this.#writer = newWriter();
    else this.#writer.truncate(HEADROOM_BYTES);
  }
}

/** Bytes of a payload that holds one request alone. */
export function payloadBytes({ operation, start, end }: Request): number {
  return arrayHeaderBytes(operation.count) + end - start;
}

function newWriter(): OperationWriter {
  const writer = new OperationWriter(4096);
  writer.reserve(HEADROOM_BYTES);
  return writer;
}

function arrayHeaderBytes(count: number): number {
  return count < 16 ? 1 : count < 0x10000 ? 3 : 5;
}

function writeArrayHeader(bytes: Uint8Array, at: number, count: number): void {
  const header = new Writer(8);
  header.arrayHeader(count);
  bytes.set(header.view(), at);
}
