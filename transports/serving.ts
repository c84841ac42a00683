/**
 * What every listener has in common: which connections are open, when the turn ends, and the orderly end of it all.
 */
import { setImmediate } from 'node:timers';
import type { Connection, ConnectionHandler, ServerHandler } from './transport.ts';

/** The longest a timer of the runtimes can run. Unit: milliseconds. */
const TIMER_MS_MAX = 2 ** 31 - 1;

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
  #closed: Promise<void> | undefined;
  #allGone: (() => void) | undefined;

  constructor(handler: ServerHandler) {
    this.#handler = handler;
  }

  /** A peer connected: the handler of its events. */
  opened(connection: ServedConnection): ConnectionHandler {
    this.#open.add(connection);
    const handler = this.#handler.open(connection);
    // It was on its way when the listener was closed.
    if (this.#closed !== undefined) connection.finish();
    return handler;
  }

  /** A connection is gone. */
  gone(connection: ServedConnection): void {
    this.#open.delete(connection);
    if (this.#open.size === 0) this.#allGone?.();
  }

  /**
   * An event was delivered to a handler, so a turn is under way. It ends once the event loop has delivered all that was
   * ready: all three runtimes run immediates after the I/O events of a round, before they wait again.
   */
  delivered(): void {
    if (this.#turnOpen) return;
    this.#turnOpen = true;
    setImmediate(this.#endTurn);
  }

  readonly #endTurn = (): void => {
    this.#turnOpen = false;
    if (this.#handler.turnEnd()) this.delivered();
  };

  /** The end as `Listener.close` promises it; `stopListening` is called once, and awaited. */
  close(graceMs: number, stopListening: () => unknown): Promise<void> {
    this.#closed ??= this.#close(graceMs, stopListening);
    return this.#closed;
  }

  async #close(graceMs: number, stopListening: () => unknown): Promise<void> {
    await stopListening();
    // What was executed is answered: its replies are given to the connections before these end.
    this.#handler.turnEnd();
    for (const connection of this.#open) connection.finish();
    if (this.#open.size === 0) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(
        () => {
          for (const connection of this.#open) connection.destroy();
        },
        Math.min(graceMs, TIMER_MS_MAX),
      );
      this.#allGone = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}
