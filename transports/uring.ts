/**
 * A real io_uring, driven from TypeScript through foreign functions: connections are accepted, received from, sent to and
 * closed by submissions to a ring, in one system call a turn. `docs/uring.md` tells how.
 */
import { Libc } from '../runtime/ffi/libc.ts';
import { addressError, assertUsable } from './errors.ts';
import type {
  Address,
  Availability,
  Connection,
  ConnectionHandler,
  Listener,
  ServerHandler,
  Transport,
  TransportOptions,
} from './transport.ts';
import { claimUnixPath } from './unix.ts';
import { Hub } from './uring/hub.ts';
import { probe } from './uring/probe.ts';
import { listeningSocket, type Sockaddr, toSockaddrs } from './uring/sockets.ts';

/** Runs where the kernel offers io_uring. */
export function createUringTransport(options: TransportOptions = {}): Transport {
  return new UringTransport(options);
}

class UringTransport implements Transport {
  readonly name = 'uring';
  readonly addressKinds = ['tcp', 'unix'] as const;
  readonly #ownsThread: boolean;
  #hub: Hub | undefined;

  constructor({ ownsThread = false }: TransportOptions) {
    this.#ownsThread = ownsThread;
  }

  availability(): Availability {
    return probe();
  }

  async listen(address: Address, handler: ServerHandler): Promise<Listener> {
    assertUsable(this, 'listen on', address);
    if (address.kind === 'unix') await claimUnixPath(address);
    try {
      const [sockaddr] = await toSockaddrs(address);
      // Before there is a ring, since it is what fails most: the address is in use.
      const socket = listeningSocket(new Libc(), address, sockaddr);
      return this.#open((hub) => hub.listen(socket, handler));
    } catch (error) {
      throw addressError('listen on', address, error);
    }
  }

  async connect(
    address: Address,
    open: (connection: Connection) => ConnectionHandler,
    signal?: AbortSignal,
  ): Promise<Connection> {
    assertUsable(this, 'connect to', address);
    signal?.throwIfAborted();
    try {
      return await this.#connectToAny(await toSockaddrs(address), open, signal);
    } catch (error) {
      signal?.throwIfAborted();
      throw addressError('connect to', address, error);
    }
  }

  /** A host may have several addresses, and not all of them answer. */
  async #connectToAny(
    [sockaddr, ...others]: readonly [Sockaddr, ...Sockaddr[]],
    open: (connection: Connection) => ConnectionHandler,
    signal: AbortSignal | undefined,
  ): Promise<Connection> {
    signal?.throwIfAborted();
    try {
      return await this.#open((hub) => hub.connect(sockaddr, open, signal));
    } catch (error) {
      const [next, ...rest] = others;
      if (next === undefined) throw error;
      return this.#connectToAny([next, ...rest], open, signal);
    }
  }

  /** Opens something on the ring, which is there for as long as anything is open. */
  #open<T>(open: (hub: Hub) => T): T {
    if (this.#hub === undefined || this.#hub.isClosed) this.#hub = new Hub(this.#ownsThread);
    try {
      return open(this.#hub);
    } finally {
      // It closes if what was tried has failed, and nothing else is open.
      this.#hub.start();
    }
  }
}
