/** Memory for the control to receive into and to send from, of the kind that the real engine has. */
import type { ReceiveRoom } from '../../transports/transport.ts';

/** What transports may take. Pages that are never used cost nothing. Unit: bytes. */
const LENT_BYTES = 256 * 1024 * 1024;

/** The memory of a WebAssembly comes in pages of this size. Unit: bytes. */
const PAGE_BYTES = 64 * 1024;

/** Room at address 0 is not given out, because that means "none". What is given out begins at a multiple of this. */
const ALIGNMENT_BYTES = 4096;

export class EchoRoom implements ReceiveRoom {
  readonly memory: Uint8Array;
  #unused = ALIGNMENT_BYTES;
  /** Length of each piece that was ever given out, by its offset. */
  readonly #lengths = new Map<number, number>();
  /** The pieces that were given back, by their length. */
  readonly #free = new Map<number, number[]>();

  /** `ownBytes` come on top of what a transport may take. */
  constructor(ownBytes: number) {
    const initial = Math.ceil((ownBytes + LENT_BYTES) / PAGE_BYTES);
    this.memory = new Uint8Array(new WebAssembly.Memory({ initial }).buffer);
  }

  readonly allocate = (length: number): number => {
    const rounded = Math.ceil(length / ALIGNMENT_BYTES) * ALIGNMENT_BYTES;
    const used = this.#free.get(rounded)?.pop();
    if (used !== undefined) return used;
    const offset = this.#unused;
    if (offset + rounded > this.memory.length) return 0;
    this.#unused += rounded;
    this.#lengths.set(offset, rounded);
    return offset;
  };

  readonly free = (offset: number): void => {
    const length = this.#lengths.get(offset);
    if (length === undefined) throw new RangeError(`nothing was given out at ${offset}`);
    const pieces = this.#free.get(length);
    if (pieces === undefined) this.#free.set(length, [offset]);
    else pieces.push(offset);
  };
}
