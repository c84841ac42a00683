/** Accepting connections, by one multishot accept into the ring's file table for as long as a listener is open. */
import { clearTimeout, setTimeout } from 'node:timers';
import { EAGAIN, ECANCELED, ECONNABORTED, EINTR, IORING_CQE_F_MORE, IOSQE_FIXED_FILE } from './constants.ts';
import { type Loop, NOBODY, type Target } from './loop.ts';
import { prepCancel64, prepCloseDirect, prepMultishotAcceptDirect, sqeSetFlags } from './prep.ts';

/**
 * Something is exhausted, most often the places for connections: for so long nothing is accepted, unless one leaves before. A
 * thread that waits in the kernel notices at its next tick. Unit: milliseconds.
 */
const RETRY_MS = 100;

/** Errors that are the peer's, or nobody's: accepting goes on. */
const PASSING: ReadonlySet<number> = new Set([-ECONNABORTED, -EINTR, -EAGAIN, -ECANCELED]);

// What completions are about.
const ACCEPT = 1;
const CLOSE = 2;

export class Acceptor implements Target {
  readonly #loop: Loop;
  /** Of the listening socket in the file table. */
  readonly #place: number;
  readonly #accepted: (place: number) => void;
  readonly #target: number;
  #isAccepting = false;
  #retry: NodeJS.Timeout | undefined;
  #closed: (() => void) | undefined;

  /** `accepted` is told the place of each connection. */
  constructor(loop: Loop, place: number, accepted: (place: number) => void) {
    this.#loop = loop;
    this.#place = place;
    this.#accepted = accepted;
    this.#target = loop.register(this);
    this.#accept();
  }

  complete(what: number, result: number, flags: number): void {
    if (what === CLOSE) {
      this.#loop.unregister(this.#target);
      this.#closed?.();
      this.#loop.returnSoon();
      return;
    }
    if ((flags & IORING_CQE_F_MORE) === 0) this.#isAccepting = false;
    if (result >= 0) this.#accepted(result);
    if (this.#isAccepting) return;
    if (this.#closed !== undefined) this.#closeSocket();
    else if (result >= 0 || PASSING.has(result)) this.#accept();
    else this.#retry ??= setTimeout(() => this.goOn(), RETRY_MS);
  }

  /** A place has become free: if nothing was accepted for want of one, accepting goes on. */
  goOn(): void {
    if (this.#retry === undefined) return;
    clearTimeout(this.#retry);
    this.#retry = undefined;
    if (this.#closed !== undefined) return;
    this.#accept();
    this.#loop.start();
  }

  /** Resolves when the kernel accepts nothing more. */
  close(): Promise<void> {
    return new Promise((resolve) => {
      this.#closed = resolve;
      if (this.#isAccepting) {
        const sqe = this.#loop.sqe();
        prepCancel64(this.#loop.ring.sqes, sqe, this.#target, ACCEPT, 0);
        this.#loop.tag(sqe, NOBODY, 0);
      } else this.#closeSocket();
      this.#loop.start();
    });
  }

  #accept(): void {
    const { sqes } = this.#loop.ring;
    const sqe = this.#loop.sqe();
    prepMultishotAcceptDirect(sqes, sqe, this.#place);
    sqeSetFlags(sqes, sqe, IOSQE_FIXED_FILE);
    this.#loop.tag(sqe, this.#target, ACCEPT);
    this.#isAccepting = true;
  }

  #closeSocket(): void {
    const sqe = this.#loop.sqe();
    prepCloseDirect(this.#loop.ring.sqes, sqe, this.#place);
    this.#loop.tag(sqe, this.#target, CLOSE);
  }
}
