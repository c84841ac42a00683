/** Cuts a stream of bytes, however it was split on its way, into the payloads of its frames. */
import { FRAME_HEADER_BYTES, FRAME_TAG, readFrameLength } from '../protocol.ts';
import { ProtocolError } from './errors.ts';

/** Smallest buffer for a frame that did not arrive whole. It grows with what has come, not with what was announced. */
const PARTIAL_BYTES_MIN = 1024;

const NOTHING = new Uint8Array(0);

export interface PayloadHandler {
  /** Longest payload that may come now. Unit: bytes. */
  payloadBytesMax(): number;
  /** A payload has come; it is borrowed until this returns. Returns whether more are wanted. */
  payload(bytes: Uint8Array): boolean;
}

export class FrameSplitter {
  readonly #handler: PayloadHandler;
  /** The begin of a frame whose end did not arrive yet, and how much of the buffer that is. */
  #partial: Uint8Array = NOTHING;
  #partialBytes = 0;

  constructor(handler: PayloadHandler) {
    this.#handler = handler;
  }

  /**
   * Takes the next bytes of the stream. Throws `ProtocolError` when no frame starts where one should, or a longer one
   * than may come.
   */
  push(bytes: Uint8Array): void {
    let from = 0;
    while (this.#partialBytes > 0 && from < bytes.length) {
      const whole = this.#frameBytes(this.#partial, 0, this.#partialBytes);
      const taken = Math.min((whole ?? FRAME_HEADER_BYTES) - this.#partialBytes, bytes.length - from);
      this.#keep(bytes.subarray(from, from + taken));
      from += taken;
      if (this.#partialBytes !== this.#frameBytes(this.#partial, 0, this.#partialBytes)) continue;
      const payload = this.#partial.subarray(FRAME_HEADER_BYTES, this.#partialBytes);
      this.#partial = NOTHING;
      this.#partialBytes = 0;
      if (!this.#handler.payload(payload)) return;
    }
    // Whole frames are taken where they lie.
    while (from < bytes.length) {
      const length = this.#frameBytes(bytes, from, bytes.length);
      if (length === undefined || length > bytes.length - from) {
        this.#keep(bytes.subarray(from));
        return;
      }
      const payload = bytes.subarray(from + FRAME_HEADER_BYTES, from + length);
      from += length;
      if (!this.#handler.payload(payload)) return;
    }
  }

  /** Bytes of the frame that starts at `at`, its header included; undefined when its header isn't all there. */
  #frameBytes(bytes: Uint8Array, at: number, end: number): number | undefined {
    if (bytes[at] !== FRAME_TAG) throw new ProtocolError(`a frame starts with the byte 0xCE, not with ${bytes[at]}`);
    if (end - at < FRAME_HEADER_BYTES) return undefined;
    const length = readFrameLength(bytes, at);
    const most = this.#handler.payloadBytesMax();
    if (length > most) throw new ProtocolError(`a reply of ${length} bytes; ${most} at most were to be expected`);
    return FRAME_HEADER_BYTES + length;
  }

  #keep(bytes: Uint8Array): void {
    const needed = this.#partialBytes + bytes.length;
    if (needed > this.#partial.length) {
      const grown = new Uint8Array(Math.max(needed, this.#partial.length * 2, PARTIAL_BYTES_MIN));
      grown.set(this.#partial.subarray(0, this.#partialBytes));
      this.#partial = grown;
    }
    this.#partial.set(bytes, this.#partialBytes);
    this.#partialBytes = needed;
  }
}
