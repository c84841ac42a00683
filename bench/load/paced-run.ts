/**
 * An open loop: frames are due at times that are fixed beforehand, whatever the server does. Latency counts from the time a
 * frame was due, not from the time it was sent: a server that stalls is charged for all that was due meanwhile, instead of
 * for the few frames that happened to be on their way (coordinated omission).
 *
 * What is due is looked for continuously while it is near: timers count whole milliseconds, which would make every latency
 * that of the generator. So the generator uses a whole core at rates of more than a few hundred frames per second.
 */
import { clearImmediate, clearTimeout, setImmediate, setTimeout } from 'node:timers';
import { LatencyHistogram } from './latency.ts';
import type { Peer, Task } from './peer.ts';
import type { Pool } from './pool.ts';

/** A timer is trusted with what lies further ahead than this; it may be late by a millisecond. Unit: milliseconds. */
const TIMER_AHEAD_MS = 2;

/** So many frames are found due at once at most; then replies are read, or a generator that is late would never read any. */
const DUE_AT_ONCE_MAX = 32;

export class PacedRun implements Task {
  readonly pool: Pool;
  /** Resolves when it was stopped and all replies are there, or abandoned; rejects as soon as one is wrong or missing. */
  readonly finished: Promise<void>;
  /** From the time a frame was due to the end of its reply. */
  readonly latency = new LatencyHistogram();
  /** From the time a frame was due to its being found due: the generator's own part of the latency. */
  readonly lateness = new LatencyHistogram();
  readonly #peers: readonly Peer[];
  /** Of each peer by its place: how many frames were sent, and how many replies are there. */
  readonly #sent: Uint32Array;
  readonly #done: Uint32Array;
  readonly #places: ReadonlyMap<Peer, number>;
  readonly #gapMs: number;
  readonly #startMs = performance.now();
  #recordFromMs = 0;
  #framesDue = 0;
  #framesDone = 0;
  #stopped = false;
  #timer: NodeJS.Timeout | undefined;
  #immediate: NodeJS.Immediate | undefined;
  #resolve!: () => void;
  #reject!: (error: Error) => void;

  /**
   * Starts at once. Each of the peers has one frame due in `everyMs`, the times of all of them spread evenly. A peer with as
   * many frames in flight as it may have sends the next when a reply comes; it was due when it was due.
   */
  constructor(pool: Pool, peers: readonly Peer[], everyMs: number) {
    this.pool = pool;
    this.#peers = peers;
    this.#sent = new Uint32Array(peers.length);
    this.#done = new Uint32Array(peers.length);
    this.#places = new Map(peers.map((peer, place) => [peer, place]));
    this.#gapMs = everyMs / peers.length;
    this.finished = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    // Whoever awaits `finished` still sees the rejection; it may come before anybody does.
    this.finished.catch(() => {});
    for (const peer of peers) peer.begin(this);
    this.#look();
  }

  /** Frames whose replies are there. */
  get framesDone(): number {
    return this.#framesDone;
  }

  /** Forgets what was recorded, and records those frames that become due from now on. */
  startRecording(): void {
    this.#recordFromMs = performance.now();
    this.latency.reset();
    this.lateness.reset();
  }

  /** No further frame becomes due; `finished` resolves once the replies to all that were due are there. */
  stop(): void {
    if (!this.#stopped) this.#findAllDue();
    this.#end();
    if (this.#framesDone === this.#framesDue) this.#resolve();
  }

  /**
   * Gives up waiting for the replies that are missing after `stop`: their latency is recorded as what it is so far, and
   * `finished` resolves. The peers are of no use for anything else afterwards.
   */
  abandon(): void {
    this.#end();
    const nowMs = performance.now();
    for (const [place, done] of this.#done.entries()) {
      const first = Math.max(done, this.#firstRecorded(place));
      const last = this.#dueOf(place) - 1;
      if (first > last) continue;
      this.latency.recordSpread(nowMs - this.#dueMs(place, first), nowMs - this.#dueMs(place, last), last - first + 1);
    }
    for (const peer of this.#peers) peer.destroy();
    this.#resolve();
  }

  fail(error: Error): void {
    this.#end();
    this.#reject(error);
  }

  replied(peer: Peer, millis: number, nowMs: number): void {
    const place = this.#places.get(peer)!;
    this.#record(millis, nowMs);
    this.#done[place]!++;
    this.#framesDone++;
    this.#sendDue(place, nowMs);
    if (this.#stopped && this.#framesDone === this.#framesDue) this.#resolve();
  }

  /** Sends what is due. */
  readonly #look = (): void => {
    for (let found = 0; found < DUE_AT_ONCE_MAX && !this.#stopped; found++) {
      const nowMs = performance.now();
      const dueMs = this.#startMs + this.#framesDue * this.#gapMs;
      if (nowMs < dueMs) {
        this.#lookAgain(dueMs - nowMs);
        return;
      }
      if (dueMs >= this.#recordFromMs) this.lateness.record(nowMs - dueMs);
      const place = this.#framesDue++ % this.#peers.length;
      this.#sendDue(place, nowMs);
    }
    this.#lookAgain(0);
  };

  /** A generator that is late has not found all that is due; whoever stops it now must not forget the rest. */
  #findAllDue(): void {
    const nowMs = performance.now();
    const due = Math.floor((nowMs - this.#startMs) / this.#gapMs) + 1;
    const first = Math.max(this.#framesDue, Math.ceil((this.#recordFromMs - this.#startMs) / this.#gapMs));
    if (first < due) {
      const lateMs = (frame: number): number => nowMs - this.#startMs - frame * this.#gapMs;
      this.lateness.recordSpread(lateMs(first), lateMs(due - 1), due - first);
    }
    this.#framesDue = Math.max(this.#framesDue, due);
    for (const place of this.#peers.keys()) this.#sendDue(place, nowMs);
  }

  #lookAgain(aheadMs: number): void {
    if (this.#stopped) return;
    if (aheadMs > TIMER_AHEAD_MS) this.#timer = setTimeout(this.#look, aheadMs - TIMER_AHEAD_MS);
    else this.#immediate = setImmediate(this.#look);
  }

  /** Sends what is due on one peer, as far as it may have so many frames in flight. */
  #sendDue(place: number, nowMs: number): void {
    const peer = this.#peers[place]!;
    const due = this.#dueOf(place);
    while (this.#sent[place]! < due && !peer.isFull) {
      const number = this.#sent[place]!++;
      const frame = number * this.#peers.length + place;
      peer.send(frame % this.pool.length, this.#dueMs(place, number), nowMs);
    }
  }

  /** How many frames have become due on a peer: they take turns. */
  #dueOf(place: number): number {
    return Math.ceil((this.#framesDue - place) / this.#peers.length);
  }

  /** When the frame of this number, from 0, is due on a peer. */
  #dueMs(place: number, number: number): number {
    return this.#startMs + (number * this.#peers.length + place) * this.#gapMs;
  }

  /** The number of the first frame on a peer that is due in the time that is recorded. */
  #firstRecorded(place: number): number {
    const frames = Math.ceil((this.#recordFromMs - this.#startMs) / this.#gapMs);
    return Math.max(0, Math.ceil((frames - place) / this.#peers.length));
  }

  #record(millis: number, nowMs: number): void {
    if (nowMs - millis >= this.#recordFromMs) this.latency.record(millis);
  }

  #end(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
    clearImmediate(this.#immediate);
  }
}
