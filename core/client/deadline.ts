/** What bounds an operation on all of its way, when that leads over several shards. */
import { AbortError, type RingkvError, TimeoutError } from './errors.ts';
import type { CallOptions } from './methods.ts';
import type { Timers } from './settings.ts';

export class Deadline {
  readonly #name: string;
  readonly #timers: Timers;
  readonly #atMs: number;
  readonly #signal: AbortSignal | undefined;

  /** Begins now. `name` is the operation's, for messages; `timeoutMs` holds if the call's options have none. */
  constructor(name: string, timers: Timers, timeoutMs: number, options: CallOptions | undefined) {
    this.#name = name;
    this.#timers = timers;
    this.#atMs = timers.now() + (options?.timeoutMs ?? timeoutMs);
    this.#signal = options?.signal;
  }

  /** The options for what is left of the way. */
  get rest(): CallOptions {
    return { timeoutMs: Math.max(1, this.#atMs - this.#timers.now()), signal: this.#signal };
  }

  /** Waits for something that is no operation of its own. Rejects with `TimeoutError` or `AbortError` if that comes first. */
  async wait(other: Promise<void>): Promise<void> {
    const signal = this.#signal;
    const leftMs = this.#atMs - this.#timers.now();
    let giveUp: (cause: RingkvError) => void = () => {};
    const givenUp = new Promise<never>((_, reject) => {
      giveUp = reject;
    });
    const onAbort = (): void => giveUp(new AbortError(`${this.#name} was aborted`, { cause: signal?.reason }));
    const onTime = (): void => giveUp(new TimeoutError(`no reply to ${this.#name} in time`));
    if (signal?.aborted) onAbort();
    signal?.addEventListener('abort', onAbort, { once: true });
    const cancel = this.#timers.start(Math.max(0, leftMs), onTime);
    try {
      await Promise.race([other, givenUp]);
    } finally {
      signal?.removeEventListener('abort', onAbort);
      cancel();
    }
  }
}
