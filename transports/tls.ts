/** What the transports that speak TLS have in common. */
import type { TlsSecrets } from './transport.ts';

/** Who has not finished the handshake within this is cut. Unit: milliseconds. */
export const HANDSHAKE_MS = 5000;

/** How long it is waited before listening is tried again. Unit: milliseconds. */
const LISTEN_RETRY_MS = 1000;

interface Destroyable {
  destroy(): void;
}

/** Connections of a listener whose handshake is not over. The runtimes set them no time-out that would close anybody. */
export class Handshakes {
  readonly #deadlines = new Map<Destroyable, ReturnType<typeof setTimeout>>();
  readonly #countMax: number;

  /** Beyond `countMax` at a time they are destroyed when they begin: they cost memory and a descriptor like what is connected. */
  constructor(countMax: number = Infinity) {
    this.#countMax = countMax;
  }

  begun(connection: Destroyable): void {
    if (this.#deadlines.size >= this.#countMax) {
      connection.destroy();
      return;
    }
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

/** What a `Renewal` renews: a server that can't be given another certificate. */
export interface Renewable<Listening> {
  /** Listens with these secrets, at that port. */
  listen(secrets: TlsSecrets, port: number): Listening;
  portOf(listening: Listening): number;
  /** Stops listening; connections that are there go on. */
  stop(listening: Listening): void;
}

/**
 * Listens, and for another certificate anew: one server takes the place of the other at once. Who connects in that instant may be
 * reset.
 */
export class Renewal<Listening> {
  readonly port: number;
  readonly #server: Renewable<Listening>;
  #secrets: TlsSecrets;
  /** Undefined while nobody can connect, because listening again has failed. */
  #listening: Listening | undefined;
  #retry: ReturnType<typeof setTimeout> | undefined;
  #isStopped = false;

  /** Throws what `listen` throws. */
  constructor(server: Renewable<Listening>, secrets: TlsSecrets, port: number) {
    this.#server = server;
    this.#secrets = secrets;
    const listening = server.listen(secrets, port);
    this.#listening = listening;
    this.port = server.portOf(listening);
  }

  /** As `Listener.renewTls`. */
  readonly renew = (secrets: TlsSecrets): void => {
    if (this.#isStopped) return;
    this.#end();
    try {
      this.#listening = this.#server.listen(secrets, this.port);
      this.#secrets = secrets;
    } catch (error) {
      this.#listenAgain();
      if (this.#listening !== undefined) throw error;
      const message = error instanceof Error ? error.message : String(error);
      throw new Error(`${message}; nobody can connect until it listens again, which it tries every second`, {
        cause: error,
      });
    }
  };

  readonly stop = (): void => {
    this.#isStopped = true;
    this.#end();
  };

  #end(): void {
    clearTimeout(this.#retry);
    if (this.#listening !== undefined) this.#server.stop(this.#listening);
    this.#listening = undefined;
  }

  /** With the secrets that it has. A descriptor may be free only when a client leaves, so it is tried for as long as it takes. */
  readonly #listenAgain = (): void => {
    try {
      this.#listening = this.#server.listen(this.#secrets, this.port);
    } catch {
      this.#retry = setTimeout(this.#listenAgain, LISTEN_RETRY_MS);
    }
  };
}
