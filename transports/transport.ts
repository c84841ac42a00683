/**
 * The contract of a transport: the one thing that differs between the I/O backends. A transport moves bytes and knows
 * nothing of frames, operations or values; framing, batching and back-pressure are the core's, once for all transports.
 */
import {
  type Connection,
  type ConnectionHandler,
  type Framing,
  type Lease,
  type ReceiveRoom,
  TICK_MS,
} from '../core/connection.ts';

export type { Connection, ConnectionHandler, Framing, Lease, ReceiveRoom };
export { TICK_MS };

export type TransportName = 'memory' | 'node' | 'bun' | 'deno' | 'uws' | 'bun-ws' | 'deno-ws' | 'uring';

/**
 * Where to listen or to connect.
 * - `tcp`: `tcp://127.0.0.1:7464`; port 0 lets the kernel choose
 * - `tls`: `tls://127.0.0.1:7464`, TLS over TCP
 * - `unix`: `unix:/run/ringkv.sock`
 * - `ws`: `ws://127.0.0.1:7464`, WebSocket over TCP
 * - `wss`: `wss://127.0.0.1:7464`, WebSocket over TLS
 * - `memory`: `memory:name`, inside this process
 */
export type Address =
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }
  | { readonly kind: 'tls'; readonly host: string; readonly port: number }
  | { readonly kind: 'unix'; readonly path: string }
  | { readonly kind: 'ws'; readonly host: string; readonly port: number }
  | { readonly kind: 'wss'; readonly host: string; readonly port: number }
  | { readonly kind: 'memory'; readonly name: string };

/** Where TLS is spoken. */
export type SecureAddress = Extract<Address, { kind: 'tls' | 'wss' }>;

/** What an end of TLS shows and trusts, in PEM. */
export interface TlsSecrets {
  /** Its certificate, with those between it and the root. A server needs one. */
  readonly cert?: string | undefined;
  /** The key of `cert`. */
  readonly key?: string | undefined;
  /**
   * Whose certificates are trusted. A server that has it takes only clients with a certificate of theirs. Default: a client
   * trusts what its runtime does, a server asks for no certificate.
   */
  readonly ca?: string | undefined;
}

/** Whether a transport can run here; when not, why, and what would help. */
export type Availability =
  | { readonly available: true }
  | { readonly available: false; readonly reason: string; readonly remedy: string };

/** What a server does with its connections. */
export interface ServerHandler {
  /** A peer connected; the handler returned gets all its events. MUST NOT throw. */
  open(connection: Connection): ConnectionHandler;
  /**
   * The turn is over: the transport has delivered every event that was there and is about to wait. Called at least once
   * after each `data`, `drain` and `end`, before the loop sleeps; the replies of the turn leave here. Returns whether work
   * is left, which the transport gives another turn soon, after the events that are there by then. Not called any more
   * once the listener's `close` has half-closed the connections, since nothing executed after that could be answered.
   */
  turnEnd(): boolean;
  /** Called about every `TICK_MS` while the listener is open, whether anything happens or not. */
  tick(): void;
  /**
   * Called once, by the listener's `close`, after which nothing more is executed. Resolves when replies that wait for something
   * else than their peers were given to the connections; undefined when none does. Default: none ever does.
   */
  settled?(): Promise<void> | undefined;
  /** Most connections at a time that are served, for transports with more to do for one before it is told of. Default: any. */
  readonly connectionsMax?: number | undefined;
  /** The longest request that is answered as one, for transports that have to put it together. Unit: bytes. Default: any. */
  readonly maxFrameBytes?: number | undefined;
  /** Where bytes that arrive are best put. Default: wherever the transport likes. */
  readonly room?: ReceiveRoom | undefined;
}

/** How a transport may use the thread that creates it. */
export interface TransportOptions {
  /**
   * The thread has nothing to do but serve: `uring` then blocks it until there is something to deliver, and returns to the
   * runtime's event loop only now and then, and when the `wakeDescriptor` of `Listener.thread` is written to. Default: false, the thread
   * is shared with other work.
   */
  readonly ownsThread?: boolean;
}

/**
 * A thread that waits in the kernel, as those see it that do not. All of it belongs to whoever got the listener, closed or
 * not: once the thread has ended, it is unmapped first and closed then, each exactly once. The peers of connections that
 * were left then see these end.
 */
export interface BlockedThread {
  /** An eventfd: a uint64 of 1 written to it lets the thread return to its event loop and do what waits there. */
  readonly wakeDescriptor: number;
  /** What keeps the connections alive. */
  readonly descriptors: readonly number[];
  /** Memory shared with the kernel that keeps them alive as well. Unit of `length`: bytes. */
  readonly mappings: readonly { readonly address: number; readonly length: number }[];
}

export interface Listener {
  /** Where it really listens: port 0 has become the real port. */
  readonly address: Address;
  /**
   * Stops accepting, half-closes every connection once its pending bytes have left, and resolves when all are gone. After
   * `graceMs` (milliseconds) the rest is destroyed. Twice is fine: the second call gets the same promise.
   */
  close(graceMs: number): Promise<void>;
  /**
   * New connections get these; those that are open keep what they have. Whether clients are asked for certificates stays
   * as it is. Throws an `Error` when they can't be used. Default: it has no TLS.
   */
  readonly renewTls?: ((secrets: TlsSecrets) => void) | undefined;
  /** Has `turnEnd` called soon, although nothing was delivered: the handler has work that something else brought. */
  requestTurn(): void;
  /**
   * Lets the runtime's event loop go round without a pause, for something that the handler waits for, until what it returns is
   * called. Default: it goes round in any case.
   */
  attend?(): () => void;
  /** What other threads need of a thread that the transport blocks. Default: it blocks none. */
  readonly thread?: BlockedThread | undefined;
  /** Writes files by the way the transport carries bytes. Default: it has nothing better for that than the runtime. */
  readonly files?: FileWriter | undefined;
  /**
   * Calls back once, so many milliseconds later, in the transport's own turns; perhaps never, once the listener is closed.
   * Default: it has nothing more exact than the runtime's timers.
   */
  after?(ms: number, call: () => void): void;
}

/** What of a file a write makes durable: its own bytes, or all that was written to the file up to now. */
export type Durable = 'write' | 'file';

/** Files, written and synced without waiting, in the transport's own turns. */
export interface FileWriter {
  /** Whether it can be used: as long as the listener is not closed. What is being written then goes on until it is done. */
  readonly isOpen: boolean;
  /**
   * Writes all of `bytes`, which may be none, at `offset` of the file that `descriptor` is open on, and makes `durable` what it
   * says. `done` is called once, not before this returns, with the error that the system gave if it gave one: how much was
   * written is unknown then. The bytes MUST stay unchanged until that.
   */
  write(descriptor: number, offset: number, bytes: Uint8Array, durable: Durable, done: (error?: Error) => void): void;
}

export interface Transport {
  readonly name: TransportName;
  /** The kinds of address it can serve and reach. */
  readonly addressKinds: readonly Address['kind'][];
  /** Probed in the current process; cheap and without side effects. */
  availability(): Availability;
  /**
   * Rejects with an `Error` that names the address and the cause (in use, not permitted, no such folder). A unix
   * socket's file that no server answers on any more is replaced; one that is answered is "in use".
   */
  listen(address: Address, handler: ServerHandler, tls?: TlsSecrets): Promise<Listener>;
  /**
   * `handler` is asked for with the connection once it is open; rejects with an `Error` that names the address and the
   * cause when it can't be opened. Aborting gives up the attempt.
   */
  connect(
    address: Address,
    open: (connection: Connection) => ConnectionHandler,
    signal?: AbortSignal,
    tls?: TlsSecrets,
  ): Promise<Connection>;
}
