/** Time that passes only when a test says so. */
import type { Timers } from '../../core/client/settings.ts';

interface Alarm {
  readonly atMs: number;
  readonly callback: () => void;
}

export class ManualTimers implements Timers {
  #nowMs = 1000;
  readonly #alarms = new Set<Alarm>();
  readonly #waiting: (() => void)[] = [];
  /** The delays of all alarms that were ever started. */
  readonly delays: number[] = [];

  now(): number {
    return this.#nowMs;
  }

  start(delayMs: number, callback: () => void): () => void {
    const alarm = { atMs: this.#nowMs + delayMs, callback };
    this.#alarms.add(alarm);
    this.delays.push(delayMs);
    for (const wake of this.#waiting.splice(0)) wake();
    return () => this.#alarms.delete(alarm);
  }

  /** How many alarms are set. */
  get alarmCount(): number {
    return this.#alarms.size;
  }

  /** Lets time pass in which nothing runs: the alarms that come due meanwhile ring late. */
  block(forMs: number): void {
    this.#nowMs += forMs;
    this.advance(0);
  }

  /** Lets time pass; the alarms that come due ring in their order, each at its time. */
  advance(byMs: number): void {
    const untilMs = this.#nowMs + byMs;
    while (true) {
      const next = [...this.#alarms].sort((a, b) => a.atMs - b.atMs)[0];
      if (next === undefined || next.atMs > untilMs) break;
      this.#nowMs = Math.max(this.#nowMs, next.atMs);
      this.#alarms.delete(next);
      next.callback();
    }
    this.#nowMs = untilMs;
  }

  /** Resolves when the next alarm is started. */
  started(): Promise<void> {
    return new Promise((resolve) => this.#waiting.push(resolve));
  }
}
