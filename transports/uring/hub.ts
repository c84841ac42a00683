/** A loop and what is open on it: listeners, their connections, and connections to others. */
import { Libc, systemError } from '../../runtime/ffi/libc.ts';
import { Serving } from '../serving.ts';
import type { Connection, ConnectionHandler, Listener, ReceiveRoom, ServerHandler } from '../transport.ts';
import { ownUnixFile } from '../unix.ts';
import { Acceptor } from './acceptor.ts';
import { Alarm } from './alarm.ts';
import { BufferGroup } from './buffers.ts';
import { UringConnection } from './connection.ts';
import { connectSocket } from './connector.ts';
import { ECANCELED } from './constants.ts';
import { UringFiles } from './files.ts';
import { Loop } from './loop.ts';
import { connectingSocket, descriptorLimit, type ListeningSocket, type Sockaddr } from './sockets.ts';

/**
 * Buffers that the kernel receives into: as many as connections have something to say in one turn, and each large enough for
 * the usual frame to arrive whole. They are used in turn, so more of them would only be colder.
 */
const RECEIVE_BUFFERS = 256;
const RECEIVE_BUFFER_BYTES = 32 * 1024;

/** Connections that all listeners of a ring have at a time, at most. The kernel's own limit is 2^20. */
const CONNECTIONS_MAX = 65_536;

/** Listeners of a ring, at most. */
const LISTENERS_MAX = 4;

export class Hub {
  readonly #loop: Loop;
  /** Listeners, connections, and those that are being made. */
  #open = 0;
  #groups = 0;
  readonly #acceptors = new Set<Acceptor>();
  /** Places of the file table for listening sockets. */
  readonly #freePlaces: number[] = [];
  #hasFiles = false;
  /** Listeners that are being closed, whose promises wait for their connections to go. */
  #closing = 0;
  /** Where connections that were not accepted receive. */
  #ownBuffers: BufferGroup | undefined;
  /** Nothing was open any more, and the ring is gone. */
  isClosed = false;

  constructor(ownsThread: boolean) {
    this.#loop = new Loop(new Libc(), ownsThread, () => this.#isNeeded());
  }

  /** Takes the socket over, also when it throws the system's error. */
  listen({ descriptor, address }: ListeningSocket, handler: ServerHandler): Listener {
    const loop = this.#loop;
    let place: number;
    let buffers: BufferGroup;
    try {
      place = this.#putFile(descriptor);
      buffers = this.#buffers(handler.room);
    } finally {
      // It is in the file table now, and goes with the ring however its thread ends.
      loop.libc.close(descriptor);
    }
    const serving = new Serving(handler, (endTurn) => {
      loop.atTurnEnd(endTurn);
      loop.start();
    });
    const acceptor = new Acceptor(loop, place, (number) => {
      this.#open++;
      const gone = (): void => this.#gone();
      const connection = new UringConnection(loop, buffers, { number, isDirect: true }, gone, serving);
      connection.begin(serving.opened(connection));
    });
    this.#acceptors.add(acceptor);
    this.#open++;
    const removeFile = address.kind === 'unix' ? ownUnixFile(address.path) : undefined;
    const listener = serving.listener(address, async () => {
      removeFile?.();
      await acceptor.close();
      this.#acceptors.delete(acceptor);
      this.#freePlaces.push(place);
    });
    const files = new UringFiles(loop);
    const close = async (graceMs: number): Promise<void> => {
      this.#closing++;
      await listener.close(graceMs);
      // Files are not what this resolves for: a disk takes its time, for which the log has a limit of its own.
      files.close(() => {
        this.#closing--;
        this.#gone();
      });
      if (this.#open === 0) await loop.closed;
    };
    let closed: Promise<void> | undefined;
    return {
      address,
      requestTurn: () => listener.requestTurn(),
      attend: () => loop.attend(),
      thread: loop.handOver(),
      files,
      after: (ms, call) => {
        if (files.isOpen) new Alarm(loop, ms, call);
      },
      close(graceMs) {
        closed ??= close(graceMs);
        return closed;
      },
    };
  }

  /** Rejects with the system's error, or with the signal's reason. */
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
        loop.returnSoon();
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

  /** Puts a listening socket into the ring's file table, where accepted connections are as well, and returns its place. */
  #putFile(descriptor: number): number {
    const { libc, ring } = this.#loop;
    if (!this.#hasFiles) {
      // The kernel allows a table as long as `ulimit -n`.
      const connections = Math.min(CONNECTIONS_MAX, descriptorLimit(libc) - LISTENERS_MAX);
      ring.registerFiles(connections, LISTENERS_MAX);
      this.#hasFiles = true;
      for (let place = LISTENERS_MAX - 1; place >= 0; place--) this.#freePlaces.push(place);
    }
    const place = this.#freePlaces.pop();
    if (place === undefined) throw new Error(`a ring has ${LISTENERS_MAX} listeners at most`);
    ring.putFile(place, descriptor);
    return place;
  }

  #gone(): void {
    this.#open--;
    for (const acceptor of this.#acceptors) acceptor.goOn();
    if (this.#closing > 0 || this.#open === 0) this.#loop.returnSoon();
  }

  #isNeeded(): boolean {
    if (this.#open > 0) return true;
    this.isClosed = true;
    return false;
  }
}
