/** How long something that has failed is left alone before it is tried again. */

/** The first pause; each is twice as long as the one before. Unit: milliseconds. */
const FIRST_MS = 100;

/** The longest. Unit: milliseconds. */
const LONGEST_MS = 10_000;

/** After so long without a failure the pauses begin with the first again: a disk that fails again and again is left in peace. */
const CALM_MS = 60_000;

export class Pauses {
  readonly #elapsed: () => number;
  #nextMs = FIRST_MS;
  #overMs = 0;
  /** When it failed last, or what that had led to ended. */
  #troubleMs = 0;

  /** `elapsed`: a time that is never set. Unit: milliseconds. */
  constructor(elapsed: () => number) {
    this.#elapsed = elapsed;
  }

  /** It has failed. Returns how long to wait. Unit: milliseconds. */
  begin(): number {
    const nowMs = this.#elapsed();
    if (nowMs - this.#troubleMs > CALM_MS) this.#nextMs = FIRST_MS;
    const pauseMs = this.#nextMs;
    this.#troubleMs = nowMs;
    this.#overMs = nowMs + pauseMs;
    this.#nextMs = Math.min(pauseMs * 2, LONGEST_MS);
    return pauseMs;
  }

  /** Whether it may be tried now. */
  get areOver(): boolean {
    return this.#elapsed() >= this.#overMs;
  }

  /** Whether the next one is not longer than the one before: it has failed for a while. */
  get areLongest(): boolean {
    return this.#nextMs === LONGEST_MS;
  }

  /** What the failure had led to has ended. */
  calm(): void {
    this.#troubleMs = this.#elapsed();
  }
}
