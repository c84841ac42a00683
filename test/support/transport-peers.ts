/**
 * Both ends of what the conformance suite tests: a server under test, in a child process or here, and a peer that talks
 * to it, over `node:net`, the package `ws`, or through the transport `memory`.
 */
import { connect, type Socket } from 'node:net';
import { type ConnectionOptions, connect as connectTls, type TLSSocket } from 'node:tls';
import { formatAddress, isSecure, parseAddress } from '../../transports/address.ts';
import type { Transport } from '../../transports/transport.ts';
import { type Runtime, startChild } from './children.ts';
import { startApp } from './transport-app.mjs';
import { dialWebSocket } from './websocket-peer.ts';

/** How often the server is asked whether all connections have gone before that counts as a failure. */
const CLEAR_ROUNDS_MAX = 2000;

/** The other end of a connection to the server under test. */
export interface Peer {
  write(bytes: Uint8Array): void;
  /** Bytes written that nobody has taken yet. */
  readonly unsentBytes: number;
  /** The next `count` bytes; rejects when the connection ends before. */
  read(count: number): Promise<Buffer>;
  pause(): void;
  resume(): void;
  end(): void;
  /** Leaves as a process does that ends. */
  destroy(): void;
  /** Leaves with a reset. On a unix socket, which knows none, that is `destroy`. */
  reset(): void;
  /** The server has half-closed. */
  readonly ended: Promise<void>;
  /** The connection is gone, with or without an error. */
  readonly closed: Promise<void>;
}

export interface Stats {
  /** Open connections. */
  readonly open: number;
  /** Bytes received in all, the first of each connection not counted. */
  readonly received: number;
  /** Open descriptors of the process. */
  readonly descriptors: number;
}

export interface ServerUnderTest {
  readonly address: string;
  /** All it has told so far. */
  readonly lines: readonly string[];
  dial(): Promise<Peer>;
  command(line: string): void;
  /** The next line that matches and that no earlier call has taken. */
  event(pattern: RegExp): Promise<RegExpExecArray>;
  /** Destroys the peers that are left, waits until the server has no connection, and drops the lines nobody has taken. */
  clear(): Promise<void>;
  stats(): Promise<Stats>;
  stop(): Promise<void>;
}

/** Lines as they come, each taken once. */
class Events {
  readonly lines: string[] = [];
  readonly #untaken: string[] = [];
  readonly #waiters: { pattern: RegExp; resolve: (match: RegExpExecArray) => void; reject: (error: Error) => void }[] =
    [];
  #failure: Error | undefined;

  push(line: string): void {
    this.lines.push(line);
    for (const [index, waiter] of this.#waiters.entries()) {
      const match = waiter.pattern.exec(line);
      if (match === null) continue;
      this.#waiters.splice(index, 1);
      waiter.resolve(match);
      return;
    }
    this.#untaken.push(line);
  }

  next(pattern: RegExp): Promise<RegExpExecArray> {
    for (const [index, line] of this.#untaken.entries()) {
      const match = pattern.exec(line);
      if (match === null) continue;
      this.#untaken.splice(index, 1);
      return Promise.resolve(match);
    }
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    return new Promise((resolve, reject) => this.#waiters.push({ pattern, resolve, reject }));
  }

  forget(): void {
    this.#untaken.length = 0;
  }

  fail(error: Error): void {
    this.#failure = error;
    for (const { reject } of this.#waiters.splice(0)) reject(error);
  }
}

/** A server in a child process, of TLS with the files in `secrets`. */
export async function startServer(
  runtime: Runtime,
  transport: string,
  address: string,
  secrets?: { readonly cert: string; readonly key: string },
): Promise<ServerUnderTest> {
  const events = new Events();
  const files = secrets === undefined ? [] : [secrets.cert, secrets.key];
  const child = startChild(runtime, 'test/support/transport-app.mjs', [transport, 'serve', address, ...files], {
    onLine: (line) => events.push(line),
  });
  const [, bound] = await child.waitForLine(/^listening (.*)/);
  child.exit.then(
    (code) => events.fail(new Error(`the server ended with ${code}\n${child.stderr}`)),
    (error: Error) => events.fail(error),
  );
  return serverUnderTest(
    bound!,
    events,
    (line) => child.stdin.write(`${line}\n`),
    () => (speaksWebSocket(bound!) ? dialWebSocket(bound!) : dialSocket(bound!)),
    async () => {
      await child.stop();
    },
  );
}

/** A server in this process, on the transport `memory`. */
export async function startMemoryServer(transport: Transport, address: string): Promise<ServerUnderTest> {
  const events = new Events();
  const app = await startApp(transport, parseAddress(address), formatAddress, (line) => events.push(line));
  return serverUnderTest(
    address,
    events,
    (line) => void app.command(line).catch((error: Error) => events.fail(error)),
    () => dialMemory(transport, address),
    async () => {
      await app.command('close 0');
    },
  );
}

function serverUnderTest(
  address: string,
  events: Events,
  command: (line: string) => void,
  dial: () => Promise<Peer>,
  stop: () => Promise<void>,
): ServerUnderTest {
  const peers = new Set<Peer>();
  const stats = async () => {
    command('stats');
    const [, json] = await events.next(/^stats (.*)/);
    return JSON.parse(json!) as Stats;
  };
  return {
    address,
    lines: events.lines,
    async dial() {
      const peer = await dial();
      peers.add(peer);
      return peer;
    },
    command,
    event: (pattern) => events.next(pattern),
    async clear() {
      for (const peer of peers) peer.destroy();
      peers.clear();
      for (let round = 0; (await stats()).open > 0; round++) {
        if (round === CLEAR_ROUNDS_MAX) throw new Error('the server keeps connections whose peers have left');
      }
      events.forget();
    },
    stats,
    stop,
  };
}

/** What a peer has received, and who waits for more of it. */
export class Inbox {
  #chunks: Buffer[] = [];
  #bytes = 0;
  #wanted = 0;
  #over = false;
  #resolve: (bytes: Buffer) => void = () => {};
  #reject: (error: Error) => void = () => {};

  push(bytes: Uint8Array): void {
    this.#chunks.push(Buffer.from(bytes));
    this.#bytes += bytes.length;
    this.#settle();
  }

  end(): void {
    this.#over = true;
    this.#settle();
  }

  read(count: number): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      this.#wanted = count;
      this.#resolve = resolve;
      this.#reject = reject;
      this.#settle();
    });
  }

  #settle(): void {
    if (this.#bytes >= this.#wanted) {
      const [only] = this.#chunks;
      const all = this.#chunks.length === 1 ? only! : Buffer.concat(this.#chunks);
      this.#resolve(all.subarray(0, this.#wanted));
      this.#chunks = [all.subarray(this.#wanted)];
      this.#bytes -= this.#wanted;
      this.#wanted = 0;
      this.#resolve = () => {};
    } else if (this.#over) {
      this.#reject(new Error(`the connection ended after ${this.#bytes} of ${this.#wanted} bytes`));
    }
  }
}

/** Whether a peer at this address speaks WebSocket. */
export function speaksWebSocket(address: string): boolean {
  return /^wss?:/.test(address);
}

/** TLS over a socket, with whoever is there: that the right ones are trusted is tested elsewhere. */
export function secureOver(socket: Socket): TLSSocket {
  const secure = connectTls({ socket, rejectUnauthorized: false, allowHalfOpen: true } as ConnectionOptions);
  socket.on('error', (error) => secure.destroy(error));
  // Whoever waits for it to open has a listener of its own.
  secure.on('error', () => {});
  socket.once('close', () => secure.destroy());
  return secure;
}

/** A peer over `node:net`, or `node:tls` above it. */
export async function dialSocket(text: string): Promise<Peer> {
  const address = parseAddress(text);
  if (address.kind === 'memory' || speaksWebSocket(text)) {
    throw new TypeError(`node:net has no addresses of the kind ${address.kind}`);
  }
  const raw = connect({ ...address, allowHalfOpen: true, noDelay: true });
  const socket = isSecure(address) ? secureOver(raw) : raw;
  const inbox = new Inbox();
  const ended = new Promise<void>((resolve) => socket.once('end', resolve));
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  await new Promise<void>((resolve, reject) => {
    socket.once(isSecure(address) ? 'secureConnect' : 'connect', resolve);
    socket.once('error', reject);
  });
  // A reset is what some tests ask for; `closed` tells of it.
  socket.on('error', () => {});
  socket.on('data', (bytes: Buffer) => inbox.push(bytes));
  socket.once('end', () => inbox.end());
  socket.once('close', () => inbox.end());
  return {
    write: (bytes) => void socket.write(bytes),
    get unsentBytes() {
      return socket.writableLength;
    },
    read: (count) => inbox.read(count),
    pause: () => void socket.pause(),
    resume: () => void socket.resume(),
    end: () => void socket.end(),
    destroy: () => void socket.destroy(),
    reset: () => void (address.kind === 'unix' ? socket.destroy() : raw.resetAndDestroy()),
    ended,
    closed,
  };
}

/** A peer on the transport `memory`. */
async function dialMemory(transport: Transport, text: string): Promise<Peer> {
  const inbox = new Inbox();
  let onEnd = () => {};
  let onClose = () => {};
  const ended = new Promise<void>((resolve) => {
    onEnd = resolve;
  });
  const closed = new Promise<void>((resolve) => {
    onClose = resolve;
  });
  const connection = await transport.connect(parseAddress(text), () => ({
    data: (bytes) => inbox.push(bytes),
    drain() {},
    end() {
      inbox.end();
      onEnd();
    },
    close() {
      inbox.end();
      onClose();
    },
  }));
  return {
    write: (bytes) => connection.send(bytes),
    get unsentBytes() {
      return connection.pendingBytes;
    },
    read: (count) => inbox.read(count),
    pause: () => connection.pauseReading(),
    resume: () => connection.resumeReading(),
    end: () => connection.end(),
    destroy: () => connection.destroy(),
    reset: () => connection.destroy(),
    ended,
    closed,
  };
}
