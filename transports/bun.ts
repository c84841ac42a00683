/**
 * Bun's own sockets (`Bun.listen`, `Bun.connect`). They write without buffering: what the kernel did not take is ours to
 * keep.
 */
import { availableOn } from './available.ts';
import { Backlog } from './backlog.ts';
import { addressError, assertUsable } from './errors.ts';
import { type ServedConnection, Serving } from './serving.ts';
import { Handshakes, Renewal } from './tls.ts';
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

type Socket = Bun.Socket<BunConnection>;

/** Runs on Bun. */
export function createBunTransport(): Transport {
  return new BunTransport();
}

class BunTransport implements Transport {
  readonly name = 'bun';
  readonly addressKinds = ['tcp', 'tls', 'unix'] as const;

  availability() {
    return availableOn('bun');
  }

  async listen(address: Address, handler: ServerHandler, tls: TlsSecrets = {}): Promise<Listener> {
    assertUsable(this, 'listen on', address);
    if (address.kind === 'tls') return listenTls(address, handler, tls);
    const serving = new Serving(handler);
    const socket = handlers((connection) => serving.opened(connection), serving);
    if (address.kind === 'unix') {
      await claimUnixPath(address);
      const server = listening(address, () =>
        Bun.listen<BunConnection>({ unix: address.path, allowHalfOpen: true, socket }),
      );
      const removeFile = ownUnixFile(address.path);
      return serving.listener(address, () => {
        removeFile();
        server.stop();
      });
    }
    const { host: hostname, port } = internet(address);
    const server = listening(address, () =>
      Bun.listen<BunConnection>({ hostname, port, exclusive: true, allowHalfOpen: true, socket }),
    );
    return serving.listener({ kind: 'tcp', host: server.hostname, port: server.port }, () => server.stop());
  }

  async connect(
    address: Address,
    open: (connection: Connection) => ConnectionHandler,
    signal?: AbortSignal,
    tls: TlsSecrets = {},
  ): Promise<Connection> {
    assertUsable(this, 'connect to', address);
    signal?.throwIfAborted();
    return new Promise((resolve, reject) => {
      let unfinished: BunConnection | undefined;
      const shaking: Shaking = {
        begun(connection) {
          if (signal?.aborted) connection.destroy();
          else unfinished = connection;
        },
        over() {
          unfinished = undefined;
        },
      };
      const aborted = () => {
        reject(signal?.reason);
        unfinished?.destroy();
      };
      signal?.addEventListener('abort', aborted, { once: true });
      const opened = (connection: BunConnection) => {
        // Bun can't give up an attempt before there is a socket, so what comes of it is dropped.
        if (signal?.aborted) return undefined;
        signal?.removeEventListener('abort', aborted);
        resolve(connection);
        return open(connection);
      };
      const failed = (error: unknown) => {
        signal?.removeEventListener('abort', aborted);
        reject(addressError('connect to', address, error));
      };
      const isTls = address.kind === 'tls';
      const options = {
        allowHalfOpen: true,
        socket: isTls ? secureHandlers(opened, failed, shaking) : handlers(opened),
      };
      const attempt =
        address.kind === 'unix'
          ? Bun.connect<BunConnection>({ unix: address.path, ...options })
          : Bun.connect<BunConnection>({
              hostname: internet(address).host,
              port: internet(address).port,
              ...options,
              ...(isTls && { tls: { ...tls, rejectUnauthorized: true } }),
            });
      attempt.catch(failed);
    });
  }
}

/**
 * One set of handlers for all connections of a listener, or for one connection of ours. `open` may refuse the connection
 * by giving no handler.
 */
function handlers(
  open: (connection: BunConnection) => ConnectionHandler | undefined,
  serving?: Serving,
): Bun.SocketHandler<BunConnection> {
  const typed: Bun.SocketHandler<BunConnection, 'uint8array'> = {
    binaryType: 'uint8array',
    open(socket) {
      const connection = new BunConnection(socket, serving);
      socket.data = connection;
      socket.setNoDelay(true);
      const handler = open(connection);
      if (handler === undefined) connection.destroy();
      else connection.handler = handler;
    },
    data: (socket, bytes) => socket.data.received(bytes),
    drain: (socket) => socket.data.writable(),
    end: (socket) => socket.data.peerEnded(),
    close: (socket, error) => socket.data.closed(error),
    // Bun comes here when one of the functions above threw. Nothing that is called from them may; should it happen all
    // the same, then it is to be seen as it is on the other runtimes.
    error(_socket, error) {
      queueMicrotask(() => {
        throw error;
      });
    },
  };
  // Bun's types forget `binaryType` in the options that take the handlers.
  return typed as Bun.SocketHandler<BunConnection, Bun.BinaryType> as Bun.SocketHandler<BunConnection>;
}

class BunConnection implements ServedConnection {
  readonly framing = 'stream';
  handler: ConnectionHandler | undefined;
  readonly #socket: Socket;
  readonly #serving: Serving | undefined;
  readonly #backlog = new Backlog();
  #ended = false;
  #peerEnded = false;
  #discarding = false;
  #destroyed = false;
  #reset: Error | undefined;
  #closed = false;

  constructor(socket: Socket, serving?: Serving) {
    this.#socket = socket;
    this.#serving = serving;
  }

  send(bytes: Uint8Array, lease?: Lease): void {
    if (this.#ended || this.#closed) return;
    const taken = this.#backlog.bytes === 0 ? this.#write(bytes) : 0;
    if (taken < bytes.length && !this.#closed) this.#backlog.append(bytes.subarray(taken), lease);
  }

  get pendingBytes(): number {
    return this.#backlog.bytes;
  }

  pauseReading(): void {
    this.#socket.pause();
  }

  resumeReading(): void {
    this.#socket.resume();
  }

  end(): void {
    if (this.#ended || this.#closed) return;
    this.#ended = true;
    if (this.#backlog.bytes === 0) this.#socket.shutdown();
  }

  finish(): void {
    this.#discarding = true;
    this.end();
    this.resumeReading();
  }

  destroy(): void {
    if (this.#closed) return;
    this.#destroyed = true;
    this.#socket.terminate();
  }

  received(bytes: Uint8Array): void {
    if (this.#discarding) return;
    this.handler?.data(bytes);
    this.#serving?.delivered();
  }

  /** The kernel takes bytes again. Bun calls this at other times too, with nothing waiting. */
  writable(): void {
    const backlog = this.#backlog;
    if (backlog.bytes === 0) return;
    while (backlog.bytes > 0) {
      const bytes = backlog.first();
      const taken = this.#write(bytes);
      if (this.#closed) return;
      backlog.consume(taken);
      if (taken < bytes.length) return;
    }
    if (this.#ended) {
      this.#socket.shutdown();
      return;
    }
    this.handler?.drain();
    this.#serving?.delivered();
  }

  /** Returns how many bytes the kernel took. */
  #write(bytes: Uint8Array): number {
    const taken = this.#socket.write(bytes);
    if (taken >= 0) return taken;
    // The peer has reset the connection. The kernel tells that once, and Bun, to which it told it here, will next take
    // it for an orderly end.
    this.#reset = Object.assign(new Error('the peer reset the connection'), { code: 'ECONNRESET' });
    this.#socket.terminate();
    return 0;
  }

  peerEnded(): void {
    if (this.#peerEnded) return;
    this.#peerEnded = true;
    this.handler?.end();
    this.#serving?.delivered();
  }

  closed(reason: Error | undefined): void {
    if (this.#closed) return;
    const error = reason ?? this.#reset;
    this.#closed = true;
    this.#backlog.clear();
    // `terminate` gets here at once, and whoever called it may be a handler that has not returned yet.
    queueMicrotask(() => {
      // When the peer ends after us, Bun closes without a word of the end.
      if (this.#ended && !this.#destroyed && error === undefined) this.peerEnded();
      this.handler?.close(error);
      this.#serving?.gone(this);
    });
  }
}

function listening<Listening>(address: Address, listen: () => Listening): Listening {
  try {
    return listen();
  } catch (error) {
    throw addressError('listen on', address, error);
  }
}

function internet(address: Address): Extract<Address, { kind: 'tcp' | 'tls' }> {
  if (address.kind === 'tcp' || address.kind === 'tls') return address;
  throw new TypeError(`Bun's sockets have no addresses of the kind ${address.kind}`);
}

// TLS

type TlsAddress = Extract<Address, { kind: 'tls' }>;

/** As `listen` of the transport. */
function listenTls(address: TlsAddress, handler: ServerHandler, tls: TlsSecrets): Listener {
  const serving = new Serving(handler);
  const shaking = new Handshakes(handler.connectionsMax);
  const asksForCertificate = tls.ca !== undefined;
  const socket = secureHandlers((connection) => serving.opened(connection), ignore, shaking, serving);
  const server = new Renewal(
    {
      listen: (secrets, port) =>
        listening({ ...address, port }, () =>
          Bun.listen<BunConnection>({
            hostname: address.host,
            port,
            exclusive: true,
            allowHalfOpen: true,
            socket,
            tls: { ...secrets, requestCert: asksForCertificate, rejectUnauthorized: asksForCertificate },
          }),
        ),
      portOf: ({ port }) => port,
      stop: (listener) => listener.stop(),
    },
    tls,
    address.port,
  );
  const listener = serving.listener({ ...address, port: server.port }, () => {
    server.stop();
    shaking.destroyAll();
  });
  return { ...listener, renewTls: server.renew };
}

function ignore(): void {}

/** Told of connections whose handshake has begun, and is over, finished or not. */
interface Shaking {
  begun(connection: BunConnection): void;
  over(connection: BunConnection): void;
}

/** As `handlers`, but that a connection is open once its handshake is finished; `failed` is told when it was not. */
function secureHandlers(
  open: (connection: BunConnection) => ConnectionHandler | undefined,
  failed: (error: unknown) => void,
  shaking: Shaking,
  serving?: Serving,
): Bun.SocketHandler<BunConnection> {
  const plain = handlers(() => undefined, serving);
  const isServer = serving !== undefined;
  return {
    ...plain,
    open(socket) {
      socket.data = new BunConnection(socket, serving);
      socket.setNoDelay(true);
      shaking.begun(socket.data);
    },
    handshake(socket, isFinished, error) {
      const connection = socket.data;
      shaking.over(connection);
      // A server that asks for no certificate gets an error that there was none.
      const handler = isFinished && (isServer || error === null) ? open(connection) : undefined;
      if (handler !== undefined) {
        connection.handler = handler;
        return;
      }
      failed(error ?? new Error('the TLS handshake was not finished'));
      connection.destroy();
    },
    close(socket, error) {
      shaking.over(socket.data);
      if (socket.data.handler === undefined) failed(error ?? new Error('closed in the TLS handshake'));
      socket.data.closed(error);
    },
    // What the library for TLS has to say is told by `close`, too.
    error(_socket, error) {
      if ('code' in error && error.code === 'EPROTO') return;
      queueMicrotask(() => {
        throw error;
      });
    },
  };
}
