/**
 * An open loop: frames are due at times that are fixed beforehand, whatever the server does. Latency counts from the time a
 * frame was due, not from the time it was sent: a server that stalls is charged for all that was due meanwhile, instead of
 * for the few frames that happened to be on their way (coordinated omission).
 */
import { clearTimeout, setTimeout } from 'node:timers';
import { LatencyHistogram } from './latency.ts';
import type { Peer, Task } from './peer.ts';
import type { Pool } from './pool.ts';

/** How often it is looked what is due. Unit: milliseconds. */
const LOOK_INTERVAL_MS = 1;

export class PacedRun implements Task {
  readonly pool: Pool;
  /** Resolves when it was stopped and all replies are there; rejects as soon as one is wrong or missing. */
  readonly finished: Promise<void>;
  /** From the time a frame was due to the end of its reply. May be reset at any time. */
  readonly latency = new LatencyHistogram();
  /** From the time a frame was due to its being sent: the generator's own part of the latency. */
  readonly lateness = new LatencyHistogram();
  readonly #peers: readonly Peer[];
  readonly #gapMs: number;
  readonly #startMs = performance.now();
  #framesSent = 0;
  #framesDone = 0;
  #stopped = false;
  #timer: NodeJS.Timeout | undefined;
  #resolve!: () => void;
  #reject!: (error: Error) => void;

  /** Starts at once. Each of the peers sends one frame in `everyMs`, the times of all of them spread evenly. */
  constructor(pool: Pool, peers: readonly Peer[], everyMs: number) {
    this.pool = pool;
    this.#peers = peers;
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

  /** No further frame is sent; `finished` resolves once the replies in flight are there. */
  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
    if (this.#framesDone === this.#framesSent) this.#resolve();
  }

  fail(error: Error): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
    this.#reject(error);
  }

  replied(_peer: Peer, millis: number): void {
    this.latency.record(millis);
    this.#framesDone++;
    if (this.#stopped && this.#framesDone === this.#framesSent) this.#resolve();
  }

  /** Sends all that is due. */
  readonly #look = (): void => {
    while (!this.#stopped) {
      const dueMs = this.#startMs + this.#framesSent * this.#gapMs;
      const lateMs = performance.now() - dueMs;
      if (lateMs < 0) break;
      this.lateness.record(lateMs);
      const frame = this.#framesSent++;
      this.#peers[frame % this.#peers.length]!.send(frame % this.pool.length, dueMs);
    }
    if (!this.#stopped) this.#timer = setTimeout(this.#look, LOOK_INTERVAL_MS);
  };
}
