/**
 * What every listener has in common: which connections are open, when the turn ends, and the orderly end of it all.
 */
import { clearInterval, clearTimeout, setImmediate, setInterval, setTimeout } from 'node:timers';
import {
  type Address,
  type Connection,
  type ConnectionHandler,
  type Listener,
  type ServerHandler,
  TICK_MS,
} from './transport.ts';

/** The longest a timer of the runtimes can run. Unit: milliseconds. */
export const TIMER_MS_MAX = 2 ** 31 - 1;

/**
 * Turns that a close gives those who wait for one, so that what they sent is answered too. They run without a pause in
 * between, so a peer that reads as fast as it is answered must not be able to hold up the end: one that still waits after
 * that many leaves the rest unexecuted. So does one that gets no turn before replies have to be awaited.
 */
const LAST_TURNS_MAX = 100;

export interface ServedConnection extends Connection {
  /**
   * Half-close once the pending bytes have left, and drop what the peer still sends: nothing could answer it any more.
   * It is read all the same, because closing with unread bytes makes the kernel reset the connection, and a reset
   * destroys replies that are still on their way.
   */
  finish(): void;
}

export class Serving {
  readonly #handler: ServerHandler;
  readonly #open = new Set<ServedConnection>();
  #turnOpen = false;
  /** Every connection was told to finish: what a turn would execute now could not be answered any more. */
  #finished = false;
  #closed: Promise<void> | undefined;
  #allGone: (() => void) | undefined;
  #ticks: NodeJS.Timeout | undefined;
  readonly #atTurnEnd: (endTurn: () => void) => unknown;

  /**
   * `atTurnEnd` calls what it is given once the transport has delivered all that was ready. Default: `setImmediate`, for all
   * three runtimes run immediates after the I/O events of a round, before they wait again.
   */
  constructor(handler: ServerHandler, atTurnEnd: (endTurn: () => void) => unknown = setImmediate) {
    this.#handler = handler;
    this.#atTurnEnd = atTurnEnd;
  }

  /** The transport listens at `address`: what it returns to its caller. `stopListening` is called once, and awaited. */
  listener(address: Address, stopListening: () => unknown): Listener {
    this.#ticks = setInterval(() => this.#handler.tick(), TICK_MS);
    return {
      address,
      requestTurn: () => this.delivered(),
      close: (graceMs) => {
        this.#closed ??= this.#close(graceMs, stopListening);
        return this.#closed;
      },
    };
  }

  /** A peer connected: the handler of its events. */
  opened(connection: ServedConnection): ConnectionHandler {
    const handler = this.#handler.open(connection);
    this.#open.add(connection);
    // It was on its way when the listener was closed.
    if (this.#closed !== undefined) connection.finish();
    return handler;
  }

  /** A connection is gone. */
  gone(connection: ServedConnection): void {
    this.#open.delete(connection);
    if (this.#open.size === 0) this.#allGone?.();
  }

  /** An event was delivered to a handler, so a turn is under way. */
  delivered(): void {
    if (this.#turnOpen) return;
    this.#turnOpen = true;
    this.#atTurnEnd(this.#endTurn);
  }

  readonly #endTurn = (): void => {
    this.#turnOpen = false;
    if (this.#finished) return;
    if (this.#handler.turnEnd()) this.delivered();
  };

  /** What was executed is answered: its replies are given to the connections before these end. */
  async #lastTurns(graceEnd: Promise<true>): Promise<void> {
    for (let turns = 0; turns < LAST_TURNS_MAX && this.#handler.turnEnd(); turns++);
    await Promise.race([this.#handler.settled?.(), graceEnd]);
  }

  /** The end as `Listener.close` promises it. */
  async #close(graceMs: number, stopListening: () => unknown): Promise<void> {
    clearInterval(this.#ticks);
    // One time for all of it: whoever waits for the end does not wait for the replies first and for the peers then.
    let timer: NodeJS.Timeout | undefined;
    const graceEnd = new Promise<true>((resolve) => {
      timer = setTimeout(() => resolve(true), Math.min(graceMs, TIMER_MS_MAX));
    });
    await stopListening();
    await this.#lastTurns(graceEnd);
    this.#finished = true;
    for (const connection of this.#open) connection.finish();
    if (this.#open.size > 0) {
      const allGone = new Promise<void>((resolve) => {
        this.#allGone = resolve;
      });
      if (await Promise.race([allGone, graceEnd])) for (const connection of this.#open) connection.destroy();
      await allGone;
    }
    clearTimeout(timer);
  }
}
