/**
 * When a group commit under `always` begins: not before those are back whom the last one has answered. Clients that wait for
 * their replies before they go on would else fall into two groups, each of which pays for syncs of its own, and takes the
 * processor from those of the other: one sync for all costs half as much.
 *
 * PostgreSQL's `commit_delay` is the same idea with a fixed time. Here the time is a limit, and after each wait in vain twice
 * as many commits begin at once as after the one before.
 */

/** Whoever is here waits for others at most about so long. Unit: milliseconds. */
const WAIT_MS = 1;

/** When waiting was in vain again and again, this many commits begin at once. */
const SKIPPED_MAX = 64;

/** Calls back once, about so many milliseconds later. */
export type After = (ms: number, call: () => void) => void;

export class Gathering {
  readonly #after: After;
  /** The time is up: the next commit begins with those who are here. */
  readonly #onTimeUp: () => void;
  /** Frames that are answered by the commit under way, by the next, and by the one of the turn that has not ended. */
  #underWay = 0;
  #here = 0;
  #inTurn = 0;
  /** How many are to be here when the next begins. */
  #expected = 0;
  /** So many of the next commits begin at once, and so many would after another wait in vain. */
  #skips = 0;
  #skipsNext = 1;
  /** Numbers what is waited for. */
  #wait = 0;
  #hasAlarm = false;

  constructor(after: After, onTimeUp: () => void) {
    this.#after = after;
    this.#onTimeUp = onTimeUp;
  }

  /** A frame was executed whose reply waits for what this turn, or one before it, has to be committed. */
  joined(): void {
    this.#inTurn++;
  }

  /** A frame was executed whose reply waits for the commit under way. */
  joinedLate(): void {
    this.#underWay++;
  }

  /** What the turn has changed can be committed. */
  turnEnded(): void {
    this.#here += this.#inTurn;
    this.#inTurn = 0;
  }

  /** Whether to begin now. If not, `onTimeUp` is called unless `began` is before that. */
  get isComplete(): boolean {
    if (this.#here >= this.#expected) return true;
    this.#setAlarm();
    return false;
  }

  /** A commit begins: with all frames that are here, or only with a part of what they have changed. */
  began(withAll: boolean): void {
    if (this.#expected > 0 && this.#here >= this.#expected) this.#skipsNext = 1;
    this.#expected = 0;
    this.#wait++;
    if (!withAll) return;
    this.#underWay = this.#here;
    this.#here = 0;
  }

  /** The commit has ended; its frames are answered. */
  ended(): void {
    if (this.#skips > 0) this.#skips--;
    else this.#expected = this.#here + this.#underWay;
    this.#underWay = 0;
  }

  /** Nobody waits any more. */
  reset(): void {
    this.#underWay = 0;
    this.#here = 0;
    this.#inTurn = 0;
    this.#expected = 0;
    this.#wait++;
  }

  #setAlarm(): void {
    if (this.#hasAlarm) return;
    this.#hasAlarm = true;
    const wait = this.#wait;
    this.#after(WAIT_MS, () => {
      this.#hasAlarm = false;
      if (this.#here === 0 || this.#here >= this.#expected) return;
      // It was set for those who are gone: who is here now has waited for less.
      if (wait !== this.#wait) this.#setAlarm();
      else this.#giveUp();
    });
  }

  #giveUp(): void {
    this.#expected = 0;
    this.#skips = this.#skipsNext;
    this.#skipsNext = Math.min(this.#skipsNext * 2, SKIPPED_MAX);
    this.#onTimeUp();
  }
}
