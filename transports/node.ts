/**
 * Node's sockets (`node:net`), which Bun and Deno have too.
 *
 * On Node itself two things are avoided that cost a third of the CPU time of a small request: the stream machinery and
 * the fresh 64 KiB buffer of every read (`onread` reads into one buffer instead), and a buffer for every write.
 */
import { connect, createServer, type OnReadOpts, type Server, Socket, type SocketConstructorOpts } from 'node:net';
import { versions } from 'node:process';
import { Backlog, LONG_BYTES } from './backlog.ts';
import { addressError, assertUsable } from './errors.ts';
import { connectSecurely, listenSecurely } from './node-tls.ts';
import { type ServedConnection, Serving } from './serving.ts';
import type {
  Address,
  Connection,
  ConnectionHandler,
  Lease,
  Listener,
  SecureAddress,
  ServerHandler,
  TlsSecrets,
  Transport,
} from './transport.ts';
import { claimUnixPath } from './unix.ts';

/** Size of the buffer all connections read into, one after the other. Unit: bytes. */
const READ_BYTES = 64 * 1024;

/** Size of the buffers that writes are made from. Unit: bytes. */
const STAGING_BYTES = 64 * 1024;

/** Runs on all three runtimes. */
export function createNodeTransport(): Transport {
  return new NodeTransport();
}

class NodeTransport implements Transport {
  readonly name = 'node';
  readonly addressKinds = ['tcp', 'tls', 'unix'] as const;
  readonly #buffers = new Buffers();

  availability() {
    return { available: true } as const;
  }

  async listen(address: Address, handler: ServerHandler, tls: TlsSecrets = {}): Promise<Listener> {
    assertUsable(this, 'listen on', address);
    if (address.kind === 'tls') return this.#listenTls(address, handler, tls);
    if (address.kind === 'unix') await claimUnixPath(address);
    const serving = new Serving(handler);
    const server = createServer({ allowHalfOpen: true, noDelay: true, pauseOnConnect: hasOnread });
    server.on('connection', (socket) => {
      const connection = new NodeConnection(this.#buffers, serving);
      connection.attach(hasOnread ? adopt(socket, connection.onread) : socket, hasOnread);
      connection.handler = serving.opened(connection);
    });
    await listening(server, address);
    // A connection that could not be accepted (no descriptor left, say) is the peer's loss, not the server's.
    server.on('error', ignore);
    return serving.listener(addressOf(server, address), () => server.close());
  }

  /** As `listen`. A TLS socket is a stream like any other, but has no handle that could read into our buffer. */
  async #listenTls(address: SecureAddress, handler: ServerHandler, tls: TlsSecrets): Promise<Listener> {
    const serving = new Serving(handler);
    const { port, renew, stop } = await listenSecurely(address, tls, handler.connectionsMax, (socket) => {
      const connection = new NodeConnection(this.#buffers, serving);
      connection.attach(socket, false);
      connection.handler = serving.opened(connection);
    });
    return { ...serving.listener({ ...address, port }, stop), renewTls: renew };
  }

  connect(
    address: Address,
    open: (connection: Connection) => ConnectionHandler,
    signal?: AbortSignal,
    tls: TlsSecrets = {},
  ): Promise<Connection> {
    return new Promise((resolve, reject) => {
      assertUsable(this, 'connect to', address);
      signal?.throwIfAborted();
      const connection = new NodeConnection(this.#buffers);
      const isTls = address.kind === 'tls';
      const socket = isTls
        ? connectSecurely(address, tls)
        : connect({
            ...endpoint(address),
            allowHalfOpen: true,
            noDelay: true,
            ...(hasOnread && { onread: connection.onread }),
          });
      const failed = (error: Error) => {
        signal?.removeEventListener('abort', aborted);
        reject(addressError('connect to', address, error));
      };
      const aborted = () => {
        socket.destroy();
        reject(signal?.reason);
      };
      socket.once('error', failed);
      signal?.addEventListener('abort', aborted, { once: true });
      socket.once(isTls ? 'secureConnect' : 'connect', () => {
        socket.off('error', failed);
        signal?.removeEventListener('abort', aborted);
        connection.attach(socket, hasOnread && !isTls);
        connection.handler = open(connection);
        resolve(connection);
      });
    });
  }
}

function ignore(): void {}

/** Buffers that all connections of a transport share. */
class Buffers {
  /** Only one connection reads at a time, and what it read is borrowed until its handler returns. */
  readonly read = new Uint8Array(READ_BYTES);
  #staging = Buffer.allocUnsafeSlow(STAGING_BYTES);
  #stagingUsed = 0;

  /**
   * Writes the beginning of `bytes`, as much as a staging buffer holds, and returns how much that was. A stream keeps a
   * reference to what the kernel did not take at once, so that room is given away and never used again; most often the
   * kernel takes everything and the next write uses the same room.
   *
   * What is left of a staging buffer is not filled up with a part of what comes: as long as the kernel takes everything
   * that rest stays as it is, and all that follows would leave in pieces as short as it.
   */
  write(socket: Socket, bytes: Uint8Array, written: () => void): number {
    const length = Math.min(bytes.length, STAGING_BYTES);
    if (length > STAGING_BYTES - this.#stagingUsed) {
      this.#staging = Buffer.allocUnsafeSlow(STAGING_BYTES);
      this.#stagingUsed = 0;
    }
    const start = this.#stagingUsed;
    this.#staging.set(length === bytes.length ? bytes : bytes.subarray(0, length), start);
    socket.write(this.#staging.subarray(start, start + length), written);
    if (socket.writableLength > 0) this.#stagingUsed += length;
    return length;
  }
}

class NodeConnection implements ServedConnection {
  readonly framing = 'stream';
  handler!: ConnectionHandler;
  readonly #buffers: Buffers;
  readonly #serving: Serving | undefined;
  #socket!: Socket;
  readonly #backlog = new Backlog();
  #ended = false;
  #discarding = false;
  /** The handler waits for `drain`. */
  #waiting = false;

  constructor(buffers: Buffers, serving?: Serving) {
    this.#buffers = buffers;
    this.#serving = serving;
  }

  /** Where Node puts what it reads, and whom it tells. */
  get onread(): OnReadOpts {
    return {
      buffer: this.#buffers.read,
      callback: (length, buffer) => {
        this.#received(buffer.subarray(0, length));
        return true;
      },
    };
  }

  /** `readsByItself`: what the socket reads comes by `onread`. */
  attach(socket: Socket, readsByItself: boolean): void {
    this.#socket = socket;
    if (!readsByItself) {
      socket.on('data', ({ buffer, byteOffset, length }: Buffer) => {
        this.#received(new Uint8Array(buffer, byteOffset, length));
      });
    }
    socket.on('end', () => {
      this.handler.end();
      this.#serving?.delivered();
    });
    // What went wrong is told by `close`; without a listener it would end the process.
    socket.on('error', ignore);
    socket.on('close', () => {
      this.#backlog.clear();
      this.handler.close(socket.errored ?? undefined);
      this.#serving?.gone(this);
    });
  }

  send(bytes: Uint8Array, lease?: Lease): void {
    const socket = this.#socket;
    if (this.#ended || socket.destroyed) return;
    let taken = 0;
    if (this.#backlog.bytes === 0) {
      while (taken < bytes.length && socket.writableLength === 0) {
        taken += this.#buffers.write(socket, taken === 0 ? bytes : bytes.subarray(taken), this.#written);
      }
    }
    if (taken < bytes.length) this.#keep(bytes.subarray(taken), lease);
    this.#waiting = this.pendingBytes > 0;
  }

  /** Keeps what the kernel did not take. Short pieces are joined by the stream; long ones that are leased lie well here. */
  #keep(bytes: Uint8Array, lease: Lease | undefined): void {
    const isLong = lease !== undefined && bytes.length >= LONG_BYTES;
    if (isLong || this.#backlog.bytes > 0) this.#backlog.append(bytes, lease);
    else this.#socket.write(Buffer.from(bytes), this.#written);
  }

  get pendingBytes(): number {
    return this.#socket.writableLength + this.#backlog.bytes;
  }

  pauseReading(): void {
    this.#socket.pause();
  }

  resumeReading(): void {
    this.#socket.resume();
  }

  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    if (this.#backlog.bytes === 0) this.#socket.end();
  }

  finish(): void {
    this.#discarding = true;
    this.end();
    this.resumeReading();
  }

  destroy(): void {
    this.#socket.destroy();
  }

  #received(bytes: Uint8Array): void {
    if (this.#discarding) return;
    this.handler.data(bytes);
    this.#serving?.delivered();
  }

  /** A write is done: what waits comes next, as far as the kernel takes it. After one that failed, `close` comes. */
  readonly #written = (error?: Error | null): void => {
    if (error || !this.#waiting || this.#socket.destroyed) return;
    while (this.#backlog.bytes > 0 && this.#socket.writableLength === 0) this.#writeNext();
    if (this.pendingBytes > 0) return;
    this.#waiting = false;
    if (this.#ended) {
      this.#socket.end();
      return;
    }
    this.handler.drain();
    this.#serving?.delivered();
  };

  #writeNext(): void {
    const backlog = this.#backlog;
    const bytes = backlog.first();
    if (backlog.firstIsLeased) {
      backlog.consume(this.#buffers.write(this.#socket, bytes, this.#written));
    } else {
      this.#socket.write(bytes, this.#written);
      backlog.consume(bytes.length);
    }
  }
}

/**
 * Whether reads can go into a buffer of ours. The option is Node's; what Bun and Deno make of it is not the same, and
 * they have sockets of their own that are faster.
 */
const hasOnread = versions.bun === undefined && versions.deno === undefined && canAdopt();

/** A socket's handle, undocumented but unchanged for as long as `onread` exists. */
interface HandleOwner {
  _handle: object | null;
}

type AdoptingOptions = SocketConstructorOpts & { handle: object; onread: OnReadOpts };

/** Whether this Node still keeps a socket's handle where `adopt` looks for it. */
function canAdopt(): boolean {
  return '_handle' in new Socket();
}

/**
 * A socket that reads with `onread`, made of one that was accepted without: `createServer` has no such option. The
 * accepted one was paused, has read nothing, and is left without a handle, an empty shell.
 *
 * The server counts the shell as open for good and so never emits `close`; nobody waits for it, `Serving` counts itself.
 */
function adopt(accepted: Socket, onread: OnReadOpts): Socket {
  const owner = accepted as unknown as HandleOwner;
  const handle = owner._handle;
  if (handle === null) return accepted;
  owner._handle = null;
  const options: AdoptingOptions = { handle, onread, allowHalfOpen: true };
  return new Socket(options);
}

function listening(server: Server, address: Address): Promise<void> {
  return new Promise((resolve, reject) => {
    const failed = (error: Error) => reject(addressError('listen on', address, error));
    server.once('error', failed);
    server.listen(endpoint(address), () => {
      server.off('error', failed);
      resolve();
    });
  });
}

function endpoint(address: Address): { host: string; port: number } | { path: string } {
  if (address.kind === 'tcp') return { host: address.host, port: address.port };
  if (address.kind === 'unix') return { path: address.path };
  throw new TypeError(`node:net has no addresses of the kind ${address.kind}`);
}

function addressOf(server: Server, asked: Address): Address {
  const bound = server.address();
  if (bound === null || typeof bound === 'string') return asked;
  return { kind: 'tcp', host: bound.address, port: bound.port };
}
