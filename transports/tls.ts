/** What the transports that speak TLS have in common. */

/** Who has not finished the handshake within this is cut. Unit: milliseconds. */
export const HANDSHAKE_MS = 5000;

interface Destroyable {
  destroy(): void;
}

/** Connections of a listener whose handshake is not over. The runtimes set them no time-out that would close anybody. */
export class Handshakes {
  readonly #deadlines = new Map<Destroyable, ReturnType<typeof setTimeout>>();

  begun(connection: Destroyable): void {
    this.#deadlines.set(
      connection,
      setTimeout(() => connection.destroy(), HANDSHAKE_MS),
    );
  }

  /** It is finished, or the connection is gone. */
  over(connection: Destroyable): void {
    clearTimeout(this.#deadlines.get(connection));
    this.#deadlines.delete(connection);
  }

  destroyAll(): void {
    for (const connection of [...this.#deadlines.keys()]) {
      this.over(connection);
      connection.destroy();
    }
  }
}
