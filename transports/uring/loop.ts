/**
 * The event loop of a ring, in turns: hand over what was queued and wait for completions, in one `io_uring_enter`; deliver
 * every completion that is there; then let those who asked for it end the turn, whose sends are queued for the next.
 *
 * A thread of its own is blocked in the kernel for as long as nothing completes; an eventfd that the ring reads wakes it,
 * and so does a time-out of the ring every `TICK_MS`: it then returns to the runtime's event loop, a few times round, for
 * the messages and timers that wait there. In a thread that has other work the loop blocks for a millisecond at most while
 * there is traffic, and looks in from time to time when there is none.
 */
import { clearTimeout, setImmediate, setTimeout } from 'node:timers';
import { type Libc, type Mapping, systemError } from '../../runtime/ffi/libc.ts';
import { type BlockedThread, type Lease, TICK_MS } from '../transport.ts';
import { EAGAIN, EBUSY, EINTR, ETIME, IORING_ASYNC_CANCEL_ALL, IORING_ASYNC_CANCEL_ANY, layout } from './constants.ts';
import { prepCancel64, prepRead, prepTimeout, sqeSetUserData } from './prep.ts';
import { Ring } from './ring.ts';
import { Stage } from './stage.ts';

const SQ_ENTRIES = 1024;
const CQ_ENTRIES = 8192;

/**
 * When a thread of its own returns to its event loop, it goes so many rounds without waiting in between: for timers, and for
 * messages, which take the more rounds of the two. Deno needs some 20 from a message's arrival to the answer.
 */
const ROUNDS = 8;
const MESSAGE_ROUNDS = 32;

/**
 * A busy thread of its own returns to its event loop after so many turns, for what the runtime does there: as long as the
 * loop does not come round, Bun frees no buffer that was collected.
 */
const TURNS_MAX = 64;

/** How long a shared thread is blocked at a time while there is traffic. Unit: milliseconds. */
const SHARED_WAIT_MS = 1;

/** After so many waits in which nothing completed there is no traffic. */
const QUIET_WAITS = 20;

/** How often a shared thread without traffic looks whether there is some. Unit: milliseconds. */
const SHARED_LOOK_MS = 10;

/**
 * What completions are for. The user data of an SQE is where it stands in the table of targets, and what it was about:
 *
 *     63            32 31             0
 *     | what        | target          |
 */
export interface Target {
  /** A CQE: `what` of the user data, the result, and the flags (`IORING_CQE_F_…`). MUST NOT throw. */
  complete(what: number, result: number, flags: number): void;
}

/** A send that the kernel takes at once, without a completion, or in part or not at all, which it completes as `TRY`. */
export interface Trial {
  /** The number of the latest try. */
  readonly tryNumber: number;
  /** The kernel was entered with this try, which completed if it did not succeed. */
  tried(tryNumber: number): void;
}

/** What the user data of a trial is about. */
export const TRY = -1;

/** The target whose completions, but for those of the loop's own, are of no interest. */
export const NOBODY = 0;

const WAKE = 1;
const TICK = 2;

export class Loop {
  readonly libc: Libc;
  readonly ring: Ring;
  readonly stage: Stage;
  /** Called before the kernel is entered. */
  readonly beforeEnter: (() => void)[] = [];
  /** Called when the loop closes for good, before the ring does. */
  readonly atClose: (() => void)[] = [];

  readonly #ownsThread: boolean;
  /** Whether anything is open that completions are for: without, the loop rests. */
  readonly #isNeeded: () => boolean;
  readonly #targets: (Target | undefined)[] = [{ complete: (what) => this.#woken(what) }];
  readonly #freeTargets: number[] = [];

  /** Sends that were queued since the kernel was last entered, and those it was entered with. */
  #queued: Trial[] = [];
  #entered: Trial[] = [];
  #queuedNumbers: number[] = [];
  #enteredNumbers: number[] = [];
  #queuedLeases: Lease[] = [];
  #enteredLeases: Lease[] = [];
  /** What is to run when the turn ends. */
  #turnEnds: (() => void)[] = [];

  /** For what the kernel reads and writes: the eventfd's counter and the time-out. */
  readonly #scratch: Mapping;
  /** An eventfd that lets a thread of its own return to its event loop. */
  readonly #wakeDescriptor: number | undefined;
  /** The ring and the eventfd belong to another thread, which outlives this one. */
  #isHandedOver = false;
  /** Resolves when nothing was needed any more, and the ring is gone. */
  readonly closed: Promise<void>;
  #resolveClosed!: () => void;
  #isHasty = false;
  /** Rounds that were asked for since the last return. */
  #roundsAsked = 0;
  /** Rounds of the event loop that are still to be gone without waiting. */
  #rounds = 0;
  /** Requests on the loop's own account that are under way. */
  #armed = 0;
  /** How many want the event loop to go round. */
  #attended = 0;
  #quietWaits = 0;
  #isRunning = false;
  #isClosing = false;
  #look: NodeJS.Timeout | undefined;

  /** Throws the system's error when there can be no ring. */
  constructor(libc: Libc, ownsThread: boolean, isNeeded: () => boolean) {
    this.libc = libc;
    this.#ownsThread = ownsThread;
    this.#isNeeded = isNeeded;
    this.ring = new Ring(libc, { sqEntries: SQ_ENTRIES, cqEntries: CQ_ENTRIES });
    this.stage = new Stage(libc);
    this.#scratch = libc.map(4096);
    const { tv_nsec } = layout.__kernel_timespec;
    new DataView(this.#scratch.buffer).setBigInt64(TIMEOUT_AT + tv_nsec, BigInt(TICK_MS * 1e6), true);
    this.closed = new Promise((resolve) => {
      this.#resolveClosed = resolve;
    });
    if (!ownsThread) return;
    const descriptor = libc.eventfd();
    if (descriptor < 0) {
      this.#free();
      throw systemError('eventfd', descriptor);
    }
    this.#wakeDescriptor = descriptor;
    this.#armWake();
    this.#armTick();
  }

  /** Gives a target its place in the table. */
  register(target: Target): number {
    const place = this.#freeTargets.pop() ?? this.#targets.length;
    this.#targets[place] = target;
    return place;
  }

  /** Takes the place back. Nothing MUST be under way any more that completes for it. */
  unregister(place: number): void {
    this.#targets[place] = undefined;
    this.#freeTargets.push(place);
  }

  /** The next SQE, to be filled with a function of `prep.ts`; user data included. */
  sqe(): number {
    for (;;) {
      const sqe = this.ring.getSqe();
      if (sqe >= 0) return sqe;
      // Full. A kernel that has no memory to take any is asked until it has: what is queued must not be lost.
      this.#enter(0);
    }
  }

  /** Makes sure that the next `count` SQEs are handed over together, as those that are linked must be. */
  reserveSqes(count: number): void {
    while (this.ring.sqEntries - this.ring.sqReady() < count) this.#enter(0);
  }

  /** Fills in whom an SQE completes for. */
  tag(sqe: number, target: number, what: number): void {
    sqeSetUserData(this.ring.sqes, sqe, target, what);
  }

  /**
   * A send was queued that completes, if it does not succeed, while the kernel is entered next. The lease, if there is one,
   * is retained until that is known.
   */
  try(trial: Trial, lease: Lease | undefined): void {
    this.#queued.push(trial);
    this.#queuedNumbers.push(trial.tryNumber);
    if (lease === undefined || lease === this.#queuedLeases.at(-1)) return;
    lease.retain();
    this.#queuedLeases.push(lease);
  }

  /** Somebody waits for `tried`: the next time the kernel is entered it need not wait for anything. */
  hasten(): void {
    this.#isHasty = true;
  }

  /** `turnEnd` is called when what is there has been delivered, before the loop waits. */
  atTurnEnd(turnEnd: () => void): void {
    this.#turnEnds.push(turnEnd);
  }

  /** Something was queued or opened: the loop runs, if it does not already. One that has closed does nothing. */
  start(): void {
    if (this.#isClosing) return;
    if (this.#isRunning) {
      this.#quietWaits = 0;
      if (this.#look === undefined) return;
      clearTimeout(this.#look);
      this.#look = undefined;
    }
    this.#isRunning = true;
    setImmediate(this.#run);
  }

  /** What another thread needs of this one, and owns from now on; undefined when this one is shared. */
  handOver(): BlockedThread | undefined {
    const wakeDescriptor = this.#wakeDescriptor;
    if (wakeDescriptor === undefined) return undefined;
    this.#isHandedOver = true;
    const { descriptor, mappings } = this.ring;
    return {
      wakeDescriptor,
      descriptors: [descriptor],
      mappings: mappings.map(({ address, length }) => ({ address, length })),
    };
  }

  /** A promise was resolved: a thread of its own returns to its event loop before it waits again. */
  returnSoon(): void {
    this.#roundsAsked = MESSAGE_ROUNDS;
  }

  /** Until what it returns is called, a thread of its own returns to its event loop after every turn, and never waits. */
  attend(): () => void {
    this.#attended++;
    let isOver = false;
    return () => {
      if (!isOver) this.#attended--;
      isOver = true;
    };
  }

  readonly #run = (): void => {
    this.#look = undefined;
    if (!this.#isNeeded()) {
      this.#isRunning = false;
      this.#close();
      return;
    }
    let isQuiet = false;
    try {
      if (this.#ownsThread) this.#turnUntilReturn();
      else isQuiet = this.#turnOnce();
    } finally {
      // Also when a handler has thrown, which it must not: the others' connections are still there.
      if (isQuiet) this.#look = setTimeout(this.#run, SHARED_LOOK_MS);
      else setImmediate(this.#run);
    }
  };

  #turnUntilReturn(): void {
    let turns = 0;
    do this.#turn();
    while (++turns < TURNS_MAX && this.#rounds === 0 && this.#roundsAsked + this.#attended === 0 && this.#isNeeded());
    this.#rounds = Math.max(this.#rounds - 1, this.#roundsAsked, 0);
    this.#roundsAsked = 0;
  }

  /** Returns whether there is no traffic. */
  #turnOnce(): boolean {
    this.#quietWaits = this.#turn() === 0 ? this.#quietWaits + 1 : 0;
    return this.#quietWaits > QUIET_WAITS;
  }

  /** Returns how many completions there were. */
  #turn(): number {
    const { ring } = this;
    const entered = this.#queued;
    this.#queued = this.#entered;
    this.#entered = entered;
    const numbers = this.#queuedNumbers;
    this.#queuedNumbers = this.#enteredNumbers;
    this.#enteredNumbers = numbers;
    const leases = this.#queuedLeases;
    this.#queuedLeases = this.#enteredLeases;
    this.#enteredLeases = leases;

    if (ring.sqReady() > 0 || ring.cqReady() === 0) this.#wait();
    let isTaken = ring.sqReady() === 0;
    let completions = 0;
    if (isTaken && !ring.cqOverflows) this.#deliverTrials(entered.length);
    else {
      // The kernel had no memory to take everything, or no room to tell of everything: that must not be taken for success.
      completions = this.#deliver();
      while (!isTaken) {
        this.#enter(0);
        isTaken = ring.sqReady() === 0;
        completions += this.#deliver();
      }
    }
    for (let i = 0; i < entered.length; i++) entered[i]!.tried(numbers[i]!);
    entered.length = 0;
    numbers.length = 0;
    for (let i = 0; i < leases.length; i++) leases[i]!.release();
    leases.length = 0;
    completions += this.#deliver();

    const { length } = this.#turnEnds;
    for (let i = 0; i < length; i++) this.#turnEnds[i]!();
    this.#turnEnds.splice(0, length);
    return completions;
  }

  /** Hands over what is ready and waits, as long as that is right here and now. */
  #wait(): void {
    const isBusy = this.#isHasty || this.#rounds + this.#attended > 0 || this.#turnEnds.length > 0;
    this.#isHasty = false;
    if (this.#ownsThread || isBusy) this.#enter(isBusy ? 0 : 1);
    else if (this.#quietWaits < QUIET_WAITS) this.#enter(1, SHARED_WAIT_MS);
    else this.#enter(0);
  }

  #enter(waitNr: number, timeoutMs?: number): void {
    for (const prepare of this.beforeEnter) prepare();
    const { ring } = this;
    this.#check(timeoutMs === undefined ? ring.submitAndWait(waitNr) : ring.submitAndWaitTimeout(waitNr, timeoutMs));
  }

  /**
   * Delivers what trials have come to before all else, so that what comes next on their connections finds them done with,
   * and their memory is free for the replies of this turn.
   */
  #deliverTrials(most: number): void {
    const { ring } = this;
    const { words } = ring;
    const count = ring.cqReady();
    let left = most;
    for (let i = 0; i < count && left > 0; i++) {
      const cqe = ring.cqe(i);
      if (words[cqe + 1] !== TRY) continue;
      const target = words[cqe]!;
      words[cqe] = NOBODY;
      words[cqe + 1] = 0;
      left--;
      this.#targets[target]?.complete(TRY, words[cqe + 2]!, words[cqe + 3]!);
    }
  }

  #deliver(): number {
    const { ring } = this;
    const { words } = ring;
    let delivered = 0;
    for (;;) {
      const count = ring.cqReady();
      for (let i = 0; i < count; i++) {
        const cqe = ring.cqe(0);
        const target = words[cqe]!;
        const what = words[cqe + 1]!;
        const result = words[cqe + 2]!;
        const flags = words[cqe + 3]!;
        // Its place is free from here on: what the target does may need it.
        ring.cqAdvance(1);
        this.#targets[target]?.complete(what, result, flags);
      }
      delivered += count;
      if (!ring.cqOverflows) return delivered;
      this.#enter(0);
    }
  }

  /** What a failed wait says of itself is no failure of the operations. */
  #check(result: number): void {
    if (result >= 0 || result === -ETIME || result === -EINTR || result === -EAGAIN || result === -EBUSY) return;
    throw systemError('io_uring_enter', result);
  }

  #woken(what: number): void {
    if (what !== WAKE && what !== TICK) return;
    this.#armed--;
    this.#roundsAsked = Math.max(this.#roundsAsked, what === WAKE ? MESSAGE_ROUNDS : ROUNDS);
    if (this.#isClosing) return;
    if (what === WAKE) this.#armWake();
    else this.#armTick();
  }

  #armWake(): void {
    const sqe = this.sqe();
    prepRead(this.ring.sqes, sqe, this.#wakeDescriptor!, this.#scratch.address + COUNTER_AT, 8);
    this.tag(sqe, NOBODY, WAKE);
    this.#armed++;
  }

  #armTick(): void {
    const sqe = this.sqe();
    prepTimeout(this.ring.sqes, sqe, this.#scratch.address + TIMEOUT_AT);
    this.tag(sqe, NOBODY, TICK);
    this.#armed++;
  }

  /** The kernel writes to memory of ours until the last request has completed. */
  #close(): void {
    this.#isClosing = true;
    if (this.#armed > 0) {
      const sqe = this.sqe();
      prepCancel64(this.ring.sqes, sqe, 0, 0, IORING_ASYNC_CANCEL_ALL | IORING_ASYNC_CANCEL_ANY);
      this.tag(sqe, NOBODY, 0);
    }
    while (this.#armed > 0) {
      this.#enter(1);
      this.#deliver();
    }
    for (const close of this.atClose) close();
    this.#free();
    this.#resolveClosed();
  }

  #free(): void {
    this.stage.close();
    this.libc.unmap(this.#scratch);
    if (this.#isHandedOver) return;
    this.ring.close();
    if (this.#wakeDescriptor !== undefined) this.libc.close(this.#wakeDescriptor);
  }
}

// Where things lie in the scratch page.
const COUNTER_AT = 0;
const TIMEOUT_AT = 64;
