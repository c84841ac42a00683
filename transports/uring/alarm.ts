/** A time-out of the ring: calls back once, in a turn of the loop, unless the ring is gone before that. */
import { ECANCELED, layout } from './constants.ts';
import type { Loop, Target } from './loop.ts';
import { prepTimeout } from './prep.ts';
import type { Piece } from './stage.ts';

export class Alarm implements Target {
  readonly #loop: Loop;
  readonly #call: () => void;
  readonly #target: number;
  readonly #timespec: Piece;

  constructor(loop: Loop, ms: number, call: () => void) {
    this.#loop = loop;
    this.#call = call;
    this.#timespec = loop.stage.add(timespec(ms));
    this.#target = loop.register(this);
    const sqe = loop.sqe();
    prepTimeout(loop.ring.sqes, sqe, this.#timespec.address);
    loop.tag(sqe, this.#target, 0);
    loop.start();
  }

  complete(_what: number, result: number): void {
    this.#loop.stage.release(this.#timespec);
    this.#loop.unregister(this.#target);
    // Whatever else it is, there will be no other completion.
    if (result !== -ECANCELED) this.#call();
  }
}

function timespec(ms: number): Uint8Array {
  const { size, tv_sec, tv_nsec } = layout.__kernel_timespec;
  const bytes = new Uint8Array(size);
  const view = new DataView(bytes.buffer);
  view.setBigInt64(tv_sec, BigInt(Math.floor(ms / 1000)), true);
  view.setBigInt64(tv_nsec, BigInt(Math.round((ms % 1000) * 1e6)), true);
  return bytes;
}
