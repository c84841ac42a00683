/** A phase of YCSB, the load or the run of a workload: what all sessions do until it is over, and what it is known by. */
import { LatencyHistogram } from '../../load/latency.ts';
import { Moments } from '../../results/moments.ts';
import type { RequestName, Session, Work } from './session.ts';
import type { OperationName } from './workload-names.ts';
import type { Drawn } from './workloads.ts';

/** What is known of one kind of operation. Latencies are in microseconds. */
export interface Recorded {
  readonly latency: LatencyHistogram;
  readonly moments: Moments;
}

export class Phase implements Work {
  /** Resolves when every session has run out of work; rejects as soon as something goes wrong. */
  readonly finished: Promise<void>;
  readonly #draw: () => Drawn | undefined;
  readonly #onDone: (drawn: Drawn) => void;
  #recorded = new Map<OperationName, Recorded>();
  #operationsDone = 0;
  #lost = 0;
  #sessionsAtWork: number;
  #stopped = false;
  #resolve!: () => void;
  #reject!: (error: Error) => void;

  /** Starts all sessions. `draw` gives what is to be done next, undefined at the end; `onDone` hears of it when it is done. */
  constructor(sessions: readonly Session[], draw: () => Drawn | undefined, onDone: (drawn: Drawn) => void = () => {}) {
    this.#draw = draw;
    this.#onDone = onDone;
    this.#sessionsAtWork = sessions.length;
    this.finished = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    // Whoever awaits `finished` still sees the rejection; it may come before anybody does.
    this.finished.catch(() => {});
    for (const session of sessions) session.begin(this);
  }

  /** Operations that are done since the start; a read-modify-write is one. */
  get operationsDone(): number {
    return this.#operationsDone;
  }

  /** CAS that came too late, since the start. */
  get lostWrites(): number {
    return this.#lost;
  }

  /** What was recorded since the start or the last `reset`, by operation. A read-modify-write's requests count as such, too. */
  get recorded(): ReadonlyMap<OperationName, Recorded> {
    return this.#recorded;
  }

  /** Forgets the latencies so far. */
  reset(): void {
    this.#recorded = new Map();
  }

  /** Sessions do no more; `finished` resolves once the replies in flight are there. */
  stop(): void {
    this.#stopped = true;
  }

  next(): Drawn | undefined {
    const drawn = this.#stopped ? undefined : this.#draw();
    if (drawn === undefined && --this.#sessionsAtWork === 0) this.#resolve();
    return drawn;
  }

  answered(request: RequestName, millis: number): void {
    this.#record(request, millis);
  }

  done(drawn: Drawn, millis: number): void {
    this.#operationsDone++;
    if (drawn.operation === 'readModifyWrite') this.#record(drawn.operation, millis);
    this.#onDone(drawn);
  }

  lost(): void {
    this.#lost++;
  }

  fail(error: Error): void {
    this.#stopped = true;
    this.#reject(error);
  }

  #record(operation: OperationName, millis: number): void {
    let recorded = this.#recorded.get(operation);
    if (recorded === undefined) {
      recorded = { latency: new LatencyHistogram(), moments: new Moments() };
      this.#recorded.set(operation, recorded);
    }
    recorded.latency.record(millis);
    recorded.moments.add(millis * 1000);
  }
}
