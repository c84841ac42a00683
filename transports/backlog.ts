/**
 * Bytes that wait for the kernel: copied in, taken out in order, joined so that many small replies leave in few writes.
 * Empty, it holds no memory.
 */

/** Room of a chunk that gathers what comes while something is waiting already. Unit: bytes. */
const CHUNK_BYTES = 16 * 1024;

export class Backlog {
  /** The first is partly taken, the last partly filled; all between are full. */
  #chunks: Uint8Array[] = [];
  #taken = 0;
  #filled = 0;
  #bytes = 0;

  /** Bytes that wait. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Copies bytes to the end. */
  append(bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    const last = this.#chunks.at(-1);
    const fits = last === undefined ? 0 : Math.min(last.length - this.#filled, bytes.length);
    if (fits > 0) {
      last!.set(bytes.subarray(0, fits), this.#filled);
      this.#filled += fits;
    }
    const rest = bytes.length - fits;
    if (rest > 0) {
      // The first is cut to measure: most often nothing follows before it has left.
      const chunk = new Uint8Array(last === undefined ? rest : Math.max(rest, CHUNK_BYTES));
      chunk.set(bytes.subarray(fits));
      this.#chunks.push(chunk);
      this.#filled = rest;
    }
    this.#bytes += bytes.length;
  }

  /** The bytes that come next, as many as lie together: a view that stays unchanged until they are consumed. */
  first(): Uint8Array {
    const end = this.#chunks.length === 1 ? this.#filled : undefined;
    return this.#chunks[0]!.subarray(this.#taken, end);
  }

  /** Forgets the next `count` bytes, at most `first().length`. */
  consume(count: number): void {
    this.#taken += count;
    this.#bytes -= count;
    if (this.#bytes === 0) this.clear();
    else if (this.#taken === this.#chunks[0]!.length) {
      this.#chunks.shift();
      this.#taken = 0;
    }
  }

  /** Forgets everything. */
  clear(): void {
    if (this.#chunks.length > 0) this.#chunks = [];
    this.#taken = 0;
    this.#filled = 0;
    this.#bytes = 0;
  }
}
