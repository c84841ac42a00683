/**
 * A group of provided buffers (`IORING_REGISTER_PBUF_RING`): the kernel takes one for each piece of a stream that arrives,
 * and gets it back when what arrived was dealt with. They lie in the memory of the server's engine, where it can be had,
 * so that requests are executed where the kernel put them.
 */
import { type Libc, type Mapping, systemError } from '../../runtime/ffi/libc.ts';
import type { ReceiveRoom } from '../transport.ts';
import { IORING_REGISTER_PBUF_RING, IORING_UNREGISTER_PBUF_RING, layout } from './constants.ts';
import type { Ring } from './ring.ts';

export interface BufferGroupOptions {
  /** Names the group; one number for each group of a ring. */
  readonly id: number;
  /** A power of two, up to 32,768. */
  readonly count: number;
  /** Of each buffer. */
  readonly bytes: number;
  /** Where they are to lie. Default, and when there is no room: in memory of their own. */
  readonly room?: ReceiveRoom | undefined;
}

export class BufferGroup {
  readonly id: number;
  readonly #libc: Libc;
  readonly #ring: Ring;
  readonly #count: number;
  readonly #bytes: number;
  readonly #entries: Mapping;
  readonly #words: Int32Array;
  readonly #tails: Uint16Array;
  #tail = 0;

  readonly #room: ReceiveRoom | undefined;
  /** Where the first buffer lies in `#memory`, and in the address space. */
  readonly #offset: number;
  #memory: Uint8Array;
  readonly #address: number;
  readonly #own: Mapping | undefined;

  /** Throws the system's error when the kernel refuses. */
  constructor(libc: Libc, ring: Ring, { id, count, bytes, room }: BufferGroupOptions) {
    this.id = id;
    this.#libc = libc;
    this.#ring = ring;
    this.#count = count;
    this.#bytes = bytes;
    const offset = room?.allocate(count * bytes) ?? 0;
    if (room !== undefined && offset > 0) {
      this.#room = room;
      this.#offset = offset;
      this.#memory = room.memory;
      this.#address = libc.ffi.addressOf(this.#memory) + offset;
    } else {
      this.#own = libc.map(count * bytes);
      this.#offset = 0;
      this.#memory = new Uint8Array(this.#own.buffer);
      this.#address = this.#own.address;
    }
    this.#entries = libc.map(count * layout.io_uring_buf.size);
    this.#words = new Int32Array(this.#entries.buffer);
    this.#tails = new Uint16Array(this.#entries.buffer);
    for (let buffer = 0; buffer < count; buffer++) this.recycle(buffer);
    this.publish();
    const result = this.#register(IORING_REGISTER_PBUF_RING);
    if (result < 0) {
      this.#free();
      throw systemError('IORING_REGISTER_PBUF_RING', result);
    }
  }

  /** What the kernel has put into a buffer: a view, until the buffer is recycled. */
  view(buffer: number, length: number): Uint8Array {
    return this.at(this.#offset + buffer * this.#bytes, length);
  }

  /** Whether bytes lie in the memory that the buffers are in, if that is the handler's. */
  shares(bytes: Uint8Array): boolean {
    this.#follow();
    return this.#room !== undefined && bytes.buffer === this.#memory.buffer;
  }

  /** The address of an offset in that memory. */
  addressAt(offset: number): number {
    return this.#address - this.#offset + offset;
  }

  /** A part of that memory. */
  at(offset: number, length: number): Uint8Array {
    this.#follow();
    return this.#memory.subarray(offset, offset + length);
  }

  /** Gives a buffer back, which the kernel learns of with `publish`. */
  recycle(buffer: number): void {
    const entry = (this.#tail & (this.#count - 1)) * (layout.io_uring_buf.size >> 2);
    const address = this.#address + buffer * this.#bytes;
    this.#words[entry] = address | 0;
    this.#words[entry + 1] = (address / 2 ** 32) | 0;
    this.#words[entry + (layout.io_uring_buf.len >> 2)] = this.#bytes;
    // The upper half of the word is unused, but in the first entry, where it is the tail.
    this.#tails[(entry << 1) + (layout.io_uring_buf.bid >> 1)] = buffer;
    this.#tail = (this.#tail + 1) & 0xffff;
  }

  /** The kernel may use what was recycled. To be called before it is entered. */
  publish(): void {
    this.#follow();
    this.#tails[layout.io_uring_buf_ring.tail >> 1] = this.#tail;
  }

  /** The kernel MUST be receiving nothing into the group any more. */
  close(): void {
    this.#register(IORING_UNREGISTER_PBUF_RING);
    this.#free();
  }

  /** A view is worth nothing once its memory has grown. It has grown in its place, or the room would not have been lent. */
  #follow(): void {
    const room = this.#room;
    if (room === undefined || room.memory === this.#memory) return;
    this.#memory = room.memory;
    if (this.#libc.ffi.addressOf(this.#memory) + this.#offset !== this.#address) {
      throw new Error('the memory that the kernel receives into has moved');
    }
  }

  #register(opcode: number): number {
    const { size, ring_addr, ring_entries, bgid } = layout.io_uring_buf_reg;
    const argument = this.#libc.map(size);
    const view = new DataView(argument.buffer);
    view.setBigUint64(ring_addr, BigInt(this.#entries.address), true);
    view.setUint32(ring_entries, this.#count, true);
    view.setUint16(bgid, this.id, true);
    const result = this.#libc.ioUringRegister(this.#ring.descriptor, opcode, argument.address, 1);
    this.#libc.unmap(argument);
    return result;
  }

  #free(): void {
    this.#libc.unmap(this.#entries);
    if (this.#own === undefined) this.#room?.free(this.#offset);
    else this.#libc.unmap(this.#own);
  }
}
