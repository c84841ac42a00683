/**
 * Checking the replies of other stores as their bytes arrive, as strictly as those of ringkv: of every reply what it is and
 * how long, one in `SAMPLE_EVERY` pipelines byte for byte.
 */
import { type Checker, neverStored, type ReplyError, wrongResult } from './replies.ts';
import type { TextPool } from './text-pool.ts';
import { READ } from './workload.ts';

const LINE_FEED = 0x0a;

/** Of a reply that is wrong, this much is shown at most. Unit: bytes. */
const WRONG_BYTES_MAX = 200;

/** A right reply: what stands before the value, the value's length, what stands behind it. */
interface Shape {
  readonly head: Uint8Array;
  readonly valueBytes: number;
  readonly tail: Uint8Array;
}

export class TextChecker implements Checker {
  readonly #pool: TextPool;
  readonly #value: Shape;
  readonly #stored: Shape;
  /** The operation whose reply comes next, and that behind the last of the frame. */
  #operation = 0;
  #end = 0;
  /** Bytes of this operation's reply that were seen. */
  #position = 0;
  /** Where values of the sample are put together. */
  readonly #scratch: Uint8Array;
  #inFull = false;
  /** The line of a reply that is wrong, as far as it came. */
  #wrong: number[] | undefined;

  constructor(pool: TextPool) {
    const { value, stored } = pool.language;
    const encode = (text: string): Uint8Array => new TextEncoder().encode(text);
    this.#pool = pool;
    this.#value = { head: encode(value[0]), valueBytes: pool.values.length, tail: encode(value[1]) };
    this.#stored = { head: encode(stored), valueBytes: 0, tail: encode('') };
    this.#scratch = new Uint8Array(pool.values.length);
  }

  expect(frame: number, inFull: boolean): void {
    this.#operation = frame * this.#pool.batch;
    this.#end = this.#operation + this.#pool.batch;
    this.#position = 0;
    this.#inFull = inFull;
  }

  get complete(): boolean {
    return this.#operation === this.#end;
  }

  take(chunk: Uint8Array, from: number): number {
    let at = from;
    while (at < chunk.length && this.#operation < this.#end) at = this.#takeReply(chunk, at);
    return at;
  }

  /** Takes what belongs to the reply of one operation. */
  #takeReply(chunk: Uint8Array, from: number): number {
    if (this.#wrong !== undefined) return this.#takeWrong(this.#wrong, chunk, from);
    const { head, valueBytes, tail } = this.#reads ? this.#value : this.#stored;
    const valueEnd = head.length + valueBytes;
    const replyEnd = valueEnd + tail.length;
    let position = this.#position;
    let at = from;
    for (; position < head.length && at < chunk.length; position++, at++) {
      if (chunk[at] === head[position]) continue;
      this.#wrong = [...head.subarray(0, position)];
      return this.#takeWrong(this.#wrong, chunk, at);
    }
    if (position >= head.length && position < valueEnd) {
      const taken = Math.min(valueEnd - position, chunk.length - at);
      if (this.#inFull) this.#scratch.set(chunk.subarray(at, at + taken), position - head.length);
      position += taken;
      at += taken;
    }
    for (; position < replyEnd && at < chunk.length; position++, at++) {
      if (chunk[at] !== tail[position - valueEnd]) throw this.#wrongReply('a value that is longer');
    }
    this.#position = position;
    if (position === replyEnd) this.#finish();
    return at;
  }

  #finish(): void {
    const { operations, values } = this.#pool;
    if (this.#inFull && this.#reads && !values.matches(this.#scratch, 0, operations.keyNumbers[this.#operation]!)) {
      throw this.#wrongReply(neverStored(this.#scratch));
    }
    this.#operation++;
    this.#position = 0;
  }

  #takeWrong(wrong: number[], chunk: Uint8Array, from: number): number {
    for (const byte of chunk.subarray(from)) {
      wrong.push(byte);
      if (byte !== LINE_FEED && wrong.length < WRONG_BYTES_MAX) continue;
      const line = String.fromCharCode(...wrong);
      throw this.#wrongReply(line === this.#pool.language.missing ? 'nil' : JSON.stringify(line.trimEnd()));
    }
    return chunk.length;
  }

  get #reads(): boolean {
    return this.#pool.operations.versions[this.#operation] === READ;
  }

  #wrongReply(what: string): ReplyError {
    return wrongResult(this.#pool, this.#operation, what, JSON.stringify(this.#pool.language.stored.trimEnd()));
  }
}
