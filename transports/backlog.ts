/**
 * Bytes that wait for the kernel, taken out in order. Long ones that are leased stay where they lie; others are copied in,
 * and joined so that many small replies leave in few writes. Empty, it holds no memory.
 */
import type { Lease } from './transport.ts';

/** Room of a chunk that gathers what comes while something is waiting already. Unit: bytes. */
const CHUNK_BYTES = 16 * 1024;

/**
 * Leased bytes of this length or more stay where they lie until their peer has read them; fewer are copied. A turn's output is
 * kept for them meanwhile, so they have to be worth that. Unit: bytes.
 */
export const LONG_BYTES = 64 * 1024;

/** Bytes that stay where they lie for as long as this retains their lease. */
export interface LeasedBytes {
  readonly lease: Lease;
  /** In the memory of the lease. */
  readonly offset: number;
  readonly length: number;
}

export class Backlog {
  /** The first is partly taken, the last partly filled; all between are full. */
  #chunks: (Uint8Array | LeasedBytes)[] = [];
  #taken = 0;
  #filled = 0;
  #bytes = 0;

  /** Bytes that wait. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Adds bytes to the end: copies them, or retains their lease. */
  append(bytes: Uint8Array, lease?: Lease): void {
    if (bytes.length === 0) return;
    this.#bytes += bytes.length;
    if (lease !== undefined && bytes.length >= LONG_BYTES) {
      lease.retain();
      this.#endLast();
      this.#chunks.push({ lease, offset: bytes.byteOffset, length: bytes.length });
      this.#filled = bytes.length;
      return;
    }
    const last = this.#chunks.at(-1);
    const fits = last instanceof Uint8Array ? Math.min(last.length - this.#filled, bytes.length) : 0;
    if (fits > 0) {
      (last as Uint8Array).set(bytes.subarray(0, fits), this.#filled);
      this.#filled += fits;
    }
    const rest = bytes.length - fits;
    if (rest === 0) return;
    // The first is cut to measure: most often nothing follows before it has left.
    const chunk = new Uint8Array(last === undefined ? rest : Math.max(rest, CHUNK_BYTES));
    chunk.set(bytes.subarray(fits));
    this.#chunks.push(chunk);
    this.#filled = rest;
  }

  /** Leaves the last chunk as long as it is filled. */
  #endLast(): void {
    const last = this.#chunks.at(-1);
    if (last instanceof Uint8Array) this.#chunks[this.#chunks.length - 1] = last.subarray(0, this.#filled);
  }

  /**
   * The bytes that come next, as many as lie together: a view that stays unchanged until they are consumed. To be taken anew
   * after anything else was executed: the memory of leased bytes may have grown, and a view become empty.
   */
  first(): Uint8Array {
    const first = this.#chunks[0]!;
    const end = this.#chunks.length === 1 ? this.#filled : first.length;
    if (first instanceof Uint8Array) return first.subarray(this.#taken, end);
    return first.lease.memory.subarray(first.offset + this.#taken, first.offset + end);
  }

  /** Whether they are leased. Others stay as they are for good, also once they are consumed. */
  get firstIsLeased(): boolean {
    return !(this.#chunks[0] instanceof Uint8Array);
  }

  /** Forgets the next `count` bytes, at most `first().length`. */
  consume(count: number): void {
    this.#taken += count;
    this.#bytes -= count;
    const first = this.#chunks[0]!;
    if (this.#bytes > 0 && this.#taken < first.length) return;
    this.#chunks.shift();
    this.#taken = 0;
    if (!(first instanceof Uint8Array)) first.lease.release();
    if (this.#bytes === 0) this.#filled = 0;
  }

  /**
   * Forgets the bytes that come next, if they are leased, and returns them with their lease, which is now the caller's to
   * release; undefined if they are not leased, or taken in part.
   */
  takeLeased(): LeasedBytes | undefined {
    const first = this.#chunks[0];
    if (first === undefined || first instanceof Uint8Array || this.#taken > 0) return undefined;
    this.#chunks.shift();
    this.#bytes -= first.length;
    if (this.#bytes === 0) this.#filled = 0;
    return first;
  }

  /** Forgets everything. */
  clear(): void {
    for (const chunk of this.#chunks) if (!(chunk instanceof Uint8Array)) chunk.lease.release();
    this.#chunks = [];
    this.#taken = 0;
    this.#filled = 0;
    this.#bytes = 0;
  }
}
