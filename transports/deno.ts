/**
 * Deno's own sockets (`Deno.listen`, `Deno.connect`). Reading and writing are promises: there is one read and at most one
 * write under way per connection.
 */
import { availableOn } from './available.ts';
import { Backlog, LONG_BYTES } from './backlog.ts';
import { addressError, assertUsable } from './errors.ts';
import { createNodeTransport } from './node.ts';
import { type ServedConnection, Serving } from './serving.ts';
import type {
  Address,
  Connection,
  ConnectionHandler,
  Lease,
  Listener,
  ServerHandler,
  TlsSecrets,
  Transport,
} from './transport.ts';
import { claimUnixPath, ownUnixFile } from './unix.ts';

/** What a connection reads into while little comes; an idle one holds no more. Unit: bytes. */
const SMALL_READ_BYTES = 512;

/** What a connection that filled its small buffer reads into. Unit: bytes. */
const LARGE_READ_BYTES = 64 * 1024;

/** Most large buffers at a time, for all connections of a transport: 16 MiB. Beyond that they read in small pieces. */
const LARGE_BUFFERS_MAX = 256;

/** Size of the buffers that writes are made from; a turn's replies usually find room in one. Unit: bytes. */
const STAGE_BYTES = 1024 * 1024;

/** How long no connection is accepted after one could not be, since it fails at once again. Unit: milliseconds. */
const ACCEPT_RETRY_MS = 100;

/** Runs on Deno. */
export function createDenoTransport(): Transport {
  return new DenoTransport();
}

class DenoTransport implements Transport {
  readonly name = 'deno';
  readonly addressKinds = ['tcp', 'tls', 'unix'] as const;
  readonly #buffers = new Buffers();
  /**
   * Serves TLS, by `node:tls`: `Deno.listenTls` can't ask for a client's certificate, and a connection of it that is closed in its
   * handshake stays open to the system until the peer closes it, so a silent client could not be cut.
   */
  readonly #secure = createNodeTransport();

  availability() {
    return availableOn('deno');
  }

  async listen(address: Address, handler: ServerHandler, tls?: TlsSecrets): Promise<Listener> {
    assertUsable(this, 'listen on', address);
    if (address.kind === 'tls') return this.#secure.listen(address, handler, tls);
    if (address.kind === 'unix') await claimUnixPath(address);
    const server = listening(address);
    const removeFile = address.kind === 'unix' ? ownUnixFile(address.path) : undefined;
    const serving = new Serving(handler);
    const accepting = this.#accept(server, serving);
    return serving.listener(addressOf(server, address), () => {
      removeFile?.();
      server.close();
      // The kernel goes on accepting for as long as an `accept` is under way.
      return accepting;
    });
  }

  /** Accepts connections until the listener is closed. */
  async #accept(server: Deno.Listener, serving: Serving): Promise<void> {
    for (;;) {
      let conn: Deno.Conn;
      try {
        conn = await server.accept();
      } catch (error) {
        if (error instanceof Deno.errors.BadResource || error instanceof Deno.errors.Interrupted) return;
        // Who came has reset the connection already, which is no reason to let others wait.
        if (isPeerGone(error)) continue;
        // No descriptor left, say: those that are connected go on, and may free one.
        await new Promise((resolve) => setTimeout(resolve, ACCEPT_RETRY_MS));
        continue;
      }
      this.#serve(conn, serving);
    }
  }

  #serve(conn: Deno.Conn, serving: Serving): void {
    try {
      const connection = new DenoConnection(conn, this.#buffers, serving);
      connection.start(serving.opened(connection));
    } catch (error) {
      conn.close();
      // The handler may not throw; should it all the same, then it is to be seen as it is on the other runtimes, and the
      // others who connect are not to suffer.
      queueMicrotask(() => {
        throw error;
      });
    }
  }

  async connect(
    address: Address,
    open: (connection: Connection) => ConnectionHandler,
    signal?: AbortSignal,
    tls: TlsSecrets = {},
  ): Promise<Connection> {
    assertUsable(this, 'connect to', address);
    signal?.throwIfAborted();
    const conn = await connected(address, signal, tls);
    const connection = new DenoConnection(conn, this.#buffers);
    connection.start(open(connection));
    return connection;
  }
}

/** Buffers that the connections of a transport share. */
class Buffers {
  readonly #free: Uint8Array<ArrayBuffer>[] = [];
  #count = 0;
  #stage = new Stage();

  /** Where to copy bytes for a write; there is room for some. */
  stage(): Stage {
    if (this.#stage.full) this.#stage = new Stage();
    return this.#stage;
  }

  /** A large buffer to read into, or nothing when all that may exist are in use. */
  take(): Uint8Array<ArrayBuffer> | undefined {
    const free = this.#free.pop();
    if (free !== undefined) return free;
    if (this.#count === LARGE_BUFFERS_MAX) return undefined;
    this.#count++;
    return new Uint8Array(LARGE_READ_BYTES);
  }

  give(buffer: Uint8Array<ArrayBuffer>): void {
    this.#free.push(buffer);
  }
}

/** Room for bytes that are being written, used again once all of them have left. */
class Stage {
  readonly #bytes = new Uint8Array(STAGE_BYTES);
  #used = 0;
  #writes = 0;

  get full(): boolean {
    return this.#used === STAGE_BYTES;
  }

  /** Copies as much as there is room for, and returns the copy. It stays until it is released. */
  copy(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
    const start = this.#used;
    const length = Math.min(bytes.length, STAGE_BYTES - start);
    this.#bytes.set(length === bytes.length ? bytes : bytes.subarray(0, length), start);
    this.#used += length;
    this.#writes++;
    return this.#bytes.subarray(start, start + length);
  }

  release(): void {
    if (--this.#writes === 0) this.#used = 0;
  }
}

class DenoConnection implements ServedConnection {
  readonly framing = 'stream';
  readonly #conn: Deno.Conn;
  readonly #buffers: Buffers;
  readonly #serving: Serving | undefined;
  readonly #small = new Uint8Array(SMALL_READ_BYTES);
  readonly #backlog = new Backlog();
  #handler!: ConnectionHandler;
  #reading = false;
  /** Given to the write under way and not taken yet, beside the backlog. */
  #stagedBytes = 0;
  #writing = false;
  #paused = false;
  #ended = false;
  /** Our direction is ended, for the kernel too. */
  #shutDown = false;
  #peerEnded = false;
  #discarding = false;
  #closed = false;

  constructor(conn: Deno.Conn, buffers: Buffers, serving?: Serving) {
    this.#conn = conn;
    this.#buffers = buffers;
    this.#serving = serving;
    try {
      if ('setNoDelay' in conn) (conn as Deno.TcpConn).setNoDelay(true);
    } catch {
      // Some kernels refuse it when the peer has reset the connection already, which reading tells too.
    }
  }

  start(handler: ConnectionHandler): void {
    this.#handler = handler;
    this.resumeReading();
  }

  send(bytes: Uint8Array, lease?: Lease): void {
    if (this.#ended || this.#closed) return;
    if (this.#writing) this.#backlog.append(bytes, lease);
    else if (lease !== undefined && bytes.length >= LONG_BYTES) {
      this.#backlog.append(bytes, lease);
      void this.#write();
    } else {
      const stage = this.#buffers.stage();
      const staged = stage.copy(bytes);
      if (staged.length < bytes.length) this.#backlog.append(bytes.subarray(staged.length));
      void this.#write(staged, stage);
    }
  }

  get pendingBytes(): number {
    return this.#closed ? 0 : this.#stagedBytes + this.#backlog.bytes;
  }

  pauseReading(): void {
    this.#paused = true;
  }

  resumeReading(): void {
    this.#paused = false;
    if (!this.#reading) void this.#read();
  }

  end(): void {
    if (this.#ended || this.#closed) return;
    this.#ended = true;
    if (!this.#writing) this.#shutdown();
  }

  finish(): void {
    this.#discarding = true;
    this.end();
    this.resumeReading();
  }

  destroy(): void {
    this.#close();
  }

  /** Reads until it is paused or nothing comes any more. */
  async #read(): Promise<void> {
    this.#reading = true;
    let buffer = this.#small;
    try {
      while (!this.#paused && !this.#peerEnded && !this.#closed) {
        const count = await this.#conn.read(buffer);
        if (this.#closed) break;
        if (count === null) {
          this.#peerEnded = true;
          this.#handler.end();
          this.#serving?.delivered();
          this.#closeWhenBothEnded();
          break;
        }
        this.#received(buffer.subarray(0, count));
        buffer = this.#nextBuffer(buffer, count);
      }
    } catch (error) {
      this.#close(error);
    }
    if (buffer !== this.#small) this.#buffers.give(buffer);
    this.#reading = false;
  }

  #received(bytes: Uint8Array): void {
    if (this.#discarding) return;
    this.#handler.data(bytes);
    this.#serving?.delivered();
  }

  /** What to read into next: a large buffer for who fills the small one, until less comes again. */
  #nextBuffer(buffer: Uint8Array<ArrayBuffer>, count: number): Uint8Array<ArrayBuffer> {
    if (count < SMALL_READ_BYTES) {
      if (buffer !== this.#small) this.#buffers.give(buffer);
      return this.#small;
    }
    return buffer === this.#small ? (this.#buffers.take() ?? this.#small) : buffer;
  }

  /** Writes what was staged, if anything, then until nothing waits any more. */
  async #write(staged?: Uint8Array<ArrayBuffer>, stage?: Stage): Promise<void> {
    this.#writing = true;
    const backlog = this.#backlog;
    try {
      this.#stagedBytes = staged?.length ?? 0;
      while (this.#stagedBytes > 0 && !this.#closed) {
        this.#stagedBytes -= await this.#conn.write(staged!.subarray(-this.#stagedBytes));
      }
      stage?.release();
      while (backlog.bytes > 0 && !this.#closed) backlog.consume(await this.#conn.write(backlog.first()));
    } catch (error) {
      this.#close(error);
    }
    this.#writing = false;
    if (this.#closed) {
      backlog.clear();
      return;
    }
    if (this.#ended) {
      this.#shutdown();
      return;
    }
    this.#handler.drain();
    this.#serving?.delivered();
  }

  /** Ends our direction. */
  #shutdown(): void {
    this.#shutDown = true;
    // It fails when the peer has reset the connection, which reading tells too.
    this.#conn.closeWrite().catch(() => {});
    this.#closeWhenBothEnded();
  }

  #closeWhenBothEnded(): void {
    if (this.#peerEnded && this.#shutDown) this.#close();
  }

  #close(error?: unknown): void {
    if (this.#closed) return;
    this.#closed = true;
    // What a write under way reads has to stay as it is.
    if (!this.#writing) this.#backlog.clear();
    this.#conn.close();
    // Whoever destroys the connection may be a handler that has not returned yet.
    queueMicrotask(() => {
      this.#handler.close(error instanceof Error ? error : undefined);
      this.#serving?.gone(this);
    });
  }
}

/** Whether a connection could not be accepted since its peer has left already. */
function isPeerGone(error: unknown): boolean {
  const { NotConnected, ConnectionReset, ConnectionAborted } = Deno.errors;
  return error instanceof NotConnected || error instanceof ConnectionReset || error instanceof ConnectionAborted;
}

function listening(address: Address): Deno.Listener {
  try {
    return address.kind === 'unix'
      ? Deno.listen({ transport: 'unix', path: address.path })
      : Deno.listen({ hostname: tcp(address).host, port: tcp(address).port });
  } catch (error) {
    throw addressError('listen on', address, error);
  }
}

/** Deno can't give up an attempt, so what comes of an aborted one is closed. */
function connected(address: Address, signal: AbortSignal | undefined, tls: TlsSecrets): Promise<Deno.Conn> {
  return new Promise((resolve, reject) => {
    const aborted = () => reject(signal?.reason);
    signal?.addEventListener('abort', aborted, { once: true });
    const attempt: Promise<Deno.Conn> =
      address.kind === 'unix'
        ? Deno.connect({ transport: 'unix', path: address.path })
        : address.kind === 'tls'
          ? shaken(address, signal, tls)
          : Deno.connect({ hostname: tcp(address).host, port: tcp(address).port });
    attempt.then(
      (conn) => {
        signal?.removeEventListener('abort', aborted);
        if (signal?.aborted) conn.close();
        else resolve(conn);
      },
      (error) => {
        signal?.removeEventListener('abort', aborted);
        reject(addressError('connect to', address, error));
      },
    );
  });
}

type TlsAddress = Extract<Address, { kind: 'tls' }>;

/** A connection whose handshake is finished. An aborted one is closed, or it would keep the process from ending. */
async function shaken(
  address: TlsAddress,
  signal: AbortSignal | undefined,
  { cert, key, ca }: TlsSecrets,
): Promise<Deno.TlsConn> {
  const conn = await Deno.connectTls({
    hostname: address.host,
    port: address.port,
    ...(ca && { caCerts: [ca] }),
    ...(cert && key && { cert, key }),
  });
  let isClosed = false;
  const close = () => {
    if (!isClosed) conn.close();
    isClosed = true;
  };
  signal?.addEventListener('abort', close, { once: true });
  try {
    if (signal?.aborted) close();
    await conn.handshake();
    return conn;
  } catch (error) {
    close();
    throw error;
  } finally {
    signal?.removeEventListener('abort', close);
  }
}

function addressOf(listener: Deno.Listener, asked: Address): Address {
  const bound = listener.addr;
  return bound.transport === 'tcp' ? { kind: 'tcp', host: bound.hostname, port: bound.port } : asked;
}

function tcp(address: Address): Extract<Address, { kind: 'tcp' }> {
  if (address.kind !== 'tcp') throw new TypeError(`Deno's sockets have no addresses of the kind ${address.kind}`);
  return address;
}
