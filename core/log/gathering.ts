/**
 * When a group commit under `always` begins: not before those are back whom the last one has answered. Clients that wait for
 * their replies before they go on would else fall into two groups, each of which pays for syncs of its own, and takes the
 * processor from those of the other: one sync for all costs half as much.
 *
 * PostgreSQL's `commit_delay` is the same idea with a fixed time. Here the time is a limit, and after a wait in vain some of
 * the next commits begin at once: twice as many each time, and one less for each wait that was of use. So who sends when he
 * likes, and not when he was answered, is soon waited for next to never, also if others come back.
 */

/** Whoever is here waits for others at most so long, or twice as long after a commit that was held for less. Unit: milliseconds. */
const WAIT_MS = 1;

/** When waiting was in vain again and again, this many commits begin at once. */
const SKIPPED_MAX = 64;

/** Calls back once, about so many milliseconds later. */
export type After = (ms: number, call: () => void) => void;

export class Gathering {
  readonly #after: After;
  /** The commit that was held may begin, by what happened between turns. */
  readonly #onComplete: () => void;
  // Who waits for the commit under way, who for the next, and whose frames were executed in the turn under way.
  #underWay = new Set<object>();
  #here = new Set<object>();
  readonly #inTurn = new Set<object>();
  /** Who was answered by the last commit and is not here: the next waits for them. */
  #absent = new Set<object>();
  /** So many of the next commits begin at once, and so many would after another wait in vain. */
  #skips = 0;
  #skipsNext = 1;
  /** Numbers the commits. */
  #commit = 0;
  #isHeld = false;
  #hasAlarm = false;

  constructor(after: After, onComplete: () => void) {
    this.#after = after;
    this.#onComplete = onComplete;
  }

  /** A frame of somebody was executed in this turn. */
  executed(who: object): void {
    this.#inTurn.add(who);
  }

  /** The turn is over, and all its replies wait for that commit, or for none. */
  turnEnded(waitsFor: 'next' | 'under way' | undefined): void {
    for (const who of this.#inTurn) {
      if (waitsFor === 'under way') this.#underWay.add(who);
      if (waitsFor !== 'next') continue;
      this.#here.add(who);
      if (this.#absent.delete(who) && this.#absent.size === 0 && this.#isHeld) {
        this.#skipsNext = Math.max(this.#skipsNext - 1, 1);
      }
    }
    this.#inTurn.clear();
  }

  /** Somebody is gone for good. */
  left(who: object): void {
    for (const group of [this.#underWay, this.#here, this.#inTurn, this.#absent]) group.delete(who);
    if (this.#isHeld && this.#absent.size === 0) this.#onComplete();
  }

  /** Whether the next commit may begin. If not, it is held until all are here or `onComplete` is called. */
  mayBegin(): boolean {
    this.#isHeld = this.#absent.size > 0;
    if (this.#isHeld && !this.#hasAlarm) this.#setAlarm();
    return !this.#isHeld;
  }

  /** A commit begins, with all that those have recorded who are here, or with a part of it. */
  began(withAll: boolean): void {
    this.#commit++;
    this.#isHeld = false;
    this.#absent.clear();
    if (withAll) [this.#underWay, this.#here] = [this.#here, this.#underWay];
  }

  /** It has ended, and whoever waited for it is answered. */
  ended(): void {
    const answered = this.#underWay;
    this.#underWay = this.#absent;
    if (this.#skips > 0) {
      this.#skips--;
      answered.clear();
    }
    for (const who of this.#here) answered.delete(who);
    this.#absent = answered;
  }

  /** Nobody waits any more. */
  reset(): void {
    this.#commit++;
    this.#isHeld = false;
    for (const group of [this.#underWay, this.#here, this.#inTurn, this.#absent]) group.clear();
  }

  #setAlarm(): void {
    this.#hasAlarm = true;
    const commit = this.#commit;
    this.#after(WAIT_MS, () => {
      this.#hasAlarm = false;
      if (!this.#isHeld) return;
      // It was set for a commit before: this one was held for less.
      if (commit !== this.#commit) this.#setAlarm();
      else this.#giveUp();
    });
  }

  #giveUp(): void {
    this.#absent.clear();
    this.#skips = this.#skipsNext;
    this.#skipsNext = Math.min(this.#skipsNext * 2 + 1, SKIPPED_MAX);
    this.#onComplete();
  }
}
