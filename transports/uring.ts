/**
 * A real io_uring, driven from TypeScript through foreign functions: connections are accepted, received from, sent to and
 * closed by submissions to a ring, in one system call a turn. `docs/uring.md` tells how.
 */
import { setTimeout } from 'node:timers';
import { Libc, systemError } from '../runtime/ffi/libc.ts';
import { addressError, assertUsable } from './errors.ts';
import { Serving } from './serving.ts';
import type {
  Address,
  Availability,
  Connection,
  ConnectionHandler,
  Listener,
  ReceiveRoom,
  ServerHandler,
  Transport,
  TransportOptions,
} from './transport.ts';
import { claimUnixPath, removeUnixPath } from './unix.ts';
import { BufferGroup } from './uring/buffers.ts';
import { UringConnection } from './uring/connection.ts';
import {
  ECANCELED,
  EMFILE,
  ENFILE,
  ENOBUFS,
  ENOMEM,
  IORING_CQE_F_MORE,
  IORING_REGISTER_FILES2,
  IORING_RSRC_REGISTER_SPARSE,
  layout,
} from './uring/constants.ts';
import { Loop, NOBODY, type Target } from './uring/loop.ts';
import { prepCancel64, prepClose, prepConnect, prepMultishotAcceptDirect } from './uring/prep.ts';
import { probe } from './uring/probe.ts';
import { connectingSocket, descriptorLimit, listeningSocket, type Sockaddr, toSockaddr } from './uring/sockets.ts';

/**
 * Buffers that the kernel receives into: as many as connections have something to say in one turn, and each large enough for
 * the usual frame to arrive whole. They are used in turn, so more of them would only be colder.
 */
const RECEIVE_BUFFERS = 256;
const RECEIVE_BUFFER_BYTES = 32 * 1024;

/** Places of the ring's file table, at most: connections of a server at a time. The kernel's own limit is 2^20. */
const FILES_MAX = 65_536;

/** No descriptor is left for another connection: this long nothing is accepted. Unit: milliseconds. */
const ACCEPT_RETRY_MS = 100;

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
      const sockaddr = await toSockaddr(address);
      return this.#open((hub) => hub.listen(address, sockaddr, handler));
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
      const sockaddr = await toSockaddr(address);
      signal?.throwIfAborted();
      return await this.#open((hub) => hub.connect(sockaddr, open, signal));
    } catch (error) {
      signal?.throwIfAborted();
      throw addressError('connect to', address, error);
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

/** A loop and what is open on it. */
class Hub {
  readonly #loop: Loop;
  /** Listeners, connections, and those that are being made. */
  #open = 0;
  #groups = 0;
  #files = 0;
  /** Where connections that were not accepted receive. */
  #ownBuffers: BufferGroup | undefined;
  isClosed = false;

  constructor(ownsThread: boolean) {
    this.#loop = new Loop(new Libc(), ownsThread, () => this.#isNeeded());
  }

  listen(asked: Address, sockaddr: Sockaddr, handler: ServerHandler): Listener {
    const loop = this.#loop;
    const { descriptor, address } = listeningSocket(loop.libc, asked, sockaddr);
    let buffers: BufferGroup;
    try {
      this.#registerFiles();
      buffers = this.#buffers(handler.room);
    } catch (error) {
      loop.libc.close(descriptor);
      throw error;
    }
    const serving = new Serving(handler, (endTurn) => {
      loop.atTurnEnd(endTurn);
      loop.start();
    });
    const acceptor = new Acceptor(loop, descriptor, (number) => {
      this.#open++;
      const gone = (): void => this.#gone();
      const connection = new UringConnection(loop, buffers, { number, isDirect: true }, gone, serving);
      connection.begin(serving.opened(connection));
    });
    this.#open++;
    const listener = serving.listener(address, async () => {
      await acceptor.close();
      if (asked.kind === 'unix') removeUnixPath(asked.path);
    });
    const close = async (graceMs: number): Promise<void> => {
      await listener.close(graceMs);
      this.#gone();
      if (this.#open === 0) await loop.closed;
    };
    let closed: Promise<void> | undefined;
    const { wakeDescriptor } = loop;
    return {
      address,
      thread:
        wakeDescriptor === undefined
          ? undefined
          : {
              wakeDescriptor,
              descriptors: [loop.ring.descriptor, descriptor],
              mappings: loop.ring.mappings.map(({ address, length }) => ({ address, length })),
            },
      close(graceMs) {
        closed ??= close(graceMs);
        return closed;
      },
    };
  }

  connect(
    sockaddr: Sockaddr,
    open: (connection: Connection) => ConnectionHandler,
    signal: AbortSignal | undefined,
  ): Promise<Connection> {
    const loop = this.#loop;
    const buffers = this.#ownBuffers ?? this.#buffers(undefined);
    this.#ownBuffers = buffers;
    const number = connectingSocket(loop.libc, sockaddr);
    this.#open++;
    return new Promise((resolve, reject) => {
      connectSocket(loop, number, sockaddr, signal, (result) => {
        if (result < 0) {
          this.#gone();
          reject(result === -ECANCELED ? signal?.reason : systemError('connect', result));
          return;
        }
        const connection = new UringConnection(loop, buffers, { number, isDirect: false }, () => this.#gone());
        connection.begin(open(connection));
        resolve(connection);
      });
    });
  }

  /** To be called after something was opened, or failed to. */
  start(): void {
    this.#loop.start();
  }

  #buffers(room: ReceiveRoom | undefined): BufferGroup {
    const group = new BufferGroup(this.#loop.libc, this.#loop.ring, {
      id: this.#groups++,
      count: RECEIVE_BUFFERS,
      bytes: RECEIVE_BUFFER_BYTES,
      room,
    });
    this.#loop.beforeEnter.push(() => group.publish());
    this.#loop.atClose.push(() => group.close());
    return group;
  }

  /** Accepted connections have no descriptor of the process but a place in this table, which goes with the ring. */
  #registerFiles(): void {
    if (this.#files > 0) return;
    const { libc, ring } = this.#loop;
    this.#files = Math.min(FILES_MAX, descriptorLimit(libc));
    const { size, nr, flags } = layout.io_uring_rsrc_register;
    const argument = libc.map(size);
    const view = new DataView(argument.buffer);
    view.setUint32(nr, this.#files, true);
    view.setUint32(flags, IORING_RSRC_REGISTER_SPARSE, true);
    const result = libc.ioUringRegister(ring.descriptor, IORING_REGISTER_FILES2, argument.address, size);
    libc.unmap(argument);
    if (result < 0) throw systemError('IORING_REGISTER_FILES2', result);
  }

  #gone(): void {
    this.#open--;
    // Somebody may be opening something in the same breath; the loop asks when it comes round.
    this.#loop.returnSoon();
  }

  #isNeeded(): boolean {
    if (this.#open > 0) return true;
    this.isClosed = true;
    return false;
  }
}

/** Accepts connections for as long as a listener is open. */
class Acceptor implements Target {
  readonly #loop: Loop;
  readonly #descriptor: number;
  readonly #accepted: (index: number) => void;
  readonly #target: number;
  #isAccepting = false;
  #isPausing = false;
  #closed: (() => void) | undefined;

  constructor(loop: Loop, descriptor: number, accepted: (index: number) => void) {
    this.#loop = loop;
    this.#descriptor = descriptor;
    this.#accepted = accepted;
    this.#target = loop.register(this);
    this.#accept();
  }

  complete(what: number, result: number, flags: number): void {
    if (what === CLOSE) {
      this.#loop.unregister(this.#target);
      this.#closed?.();
      this.#loop.returnSoon();
      return;
    }
    if ((flags & IORING_CQE_F_MORE) === 0) this.#isAccepting = false;
    if (result >= 0) this.#accepted(result);
    if (this.#isAccepting) return;
    if (this.#closed !== undefined) this.#closeSocket();
    else if (result === -EMFILE || result === -ENFILE || result === -ENOBUFS || result === -ENOMEM) this.#pause();
    else this.#accept();
  }

  /** Resolves when the kernel accepts nothing more. */
  close(): Promise<void> {
    return new Promise((resolve) => {
      this.#closed = resolve;
      if (this.#isAccepting) {
        const sqe = this.#loop.sqe();
        prepCancel64(this.#loop.ring.sqes, sqe, this.#target, ACCEPT, 0);
        this.#loop.tag(sqe, NOBODY, 0);
      } else this.#closeSocket();
      this.#loop.start();
    });
  }

  #accept(): void {
    const sqe = this.#loop.sqe();
    prepMultishotAcceptDirect(this.#loop.ring.sqes, sqe, this.#descriptor);
    this.#loop.tag(sqe, this.#target, ACCEPT);
    this.#isAccepting = true;
  }

  /** Those that are connected go on, and may free a place. */
  #pause(): void {
    if (this.#isPausing) return;
    this.#isPausing = true;
    setTimeout(() => {
      this.#isPausing = false;
      if (this.#closed !== undefined) return;
      this.#accept();
      this.#loop.start();
    }, ACCEPT_RETRY_MS);
  }

  #closeSocket(): void {
    const sqe = this.#loop.sqe();
    prepClose(this.#loop.ring.sqes, sqe, this.#descriptor);
    this.#loop.tag(sqe, this.#target, CLOSE);
  }
}

const ACCEPT = 1;
const CLOSE = 2;
const CONNECT = 3;

/** Connects a socket; `done` gets 0, or a negative errno once the socket is closed again. */
function connectSocket(
  loop: Loop,
  descriptor: number,
  { bytes }: Sockaddr,
  signal: AbortSignal | undefined,
  done: (result: number) => void,
): void {
  const piece = loop.stage.add(bytes);
  let connectResult = 0;
  const target = loop.register({
    complete(what, result) {
      if (what === CONNECT) {
        signal?.removeEventListener('abort', aborted);
        loop.stage.release(piece);
        connectResult = signal?.aborted ? -ECANCELED : result;
        if (connectResult < 0) {
          const sqe = loop.sqe();
          prepClose(loop.ring.sqes, sqe, descriptor);
          loop.tag(sqe, target, CLOSE);
          return;
        }
      }
      loop.unregister(target);
      done(connectResult);
    },
  });
  const aborted = (): void => {
    const sqe = loop.sqe();
    prepCancel64(loop.ring.sqes, sqe, target, CONNECT, 0);
    loop.tag(sqe, NOBODY, 0);
    loop.start();
  };
  signal?.addEventListener('abort', aborted, { once: true });
  const sqe = loop.sqe();
  prepConnect(loop.ring.sqes, sqe, descriptor, piece.address, bytes.length);
  loop.tag(sqe, target, CONNECT);
}
