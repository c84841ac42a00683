/**
 * Memory for bytes on their way into the kernel that have no lease: copied in one behind the other, and used again once all
 * that lies in a chunk has left. It is mapped, outside of every heap, so that it stays in its place while the kernel reads.
 */
import type { Libc, Mapping } from '../../runtime/ffi/libc.ts';

/** Most that is staged in one piece. Unit: bytes. */
export const CHUNK_BYTES = 128 * 1024;

/** Chunks that are kept though nothing lies in them. The rest goes back to the system. */
const FREE_CHUNKS_MAX = 16;

/** Some staged bytes. */
export interface Piece {
  readonly address: number;
  readonly length: number;
  readonly chunk: Chunk;
}

class Chunk {
  readonly mapping: Mapping;
  readonly bytes: Uint8Array;
  used = 0;
  /** Pieces that have not left. */
  pieces = 0;

  constructor(mapping: Mapping) {
    this.mapping = mapping;
    this.bytes = new Uint8Array(mapping.buffer);
  }
}

export class Stage {
  readonly #libc: Libc;
  #current: Chunk;
  readonly #free: Chunk[] = [];
  readonly #all = new Set<Chunk>();

  constructor(libc: Libc) {
    this.#libc = libc;
    this.#current = this.#map();
  }

  /** Copies bytes in, as many as fit a chunk; `length` of the piece says how many. */
  add(bytes: Uint8Array): Piece {
    const length = Math.min(bytes.length, CHUNK_BYTES);
    if (length > CHUNK_BYTES - this.#current.used) this.#current = this.#free.pop() ?? this.#map();
    const chunk = this.#current;
    chunk.bytes.set(length === bytes.length ? bytes : bytes.subarray(0, length), chunk.used);
    const address = chunk.mapping.address + chunk.used;
    chunk.used += length;
    chunk.pieces++;
    return { address, length, chunk };
  }

  /** The kernel needs the piece no more. */
  release({ chunk }: Piece): void {
    if (--chunk.pieces > 0) return;
    chunk.used = 0;
    if (chunk === this.#current) return;
    if (this.#free.length < FREE_CHUNKS_MAX) this.#free.push(chunk);
    else {
      this.#all.delete(chunk);
      this.#libc.unmap(chunk.mapping);
    }
  }

  /** Gives all memory back. The kernel MUST have no use for any of it. */
  close(): void {
    for (const { mapping } of this.#all) this.#libc.unmap(mapping);
    this.#all.clear();
  }

  #map(): Chunk {
    const chunk = new Chunk(this.#libc.map(CHUNK_BYTES));
    this.#all.add(chunk);
    return chunk;
  }
}
