/**
 * Connections inside one process, with the behaviour of a socket and none of its cost: the fast oracle of the tests, and
 * the way to talk to a server in one's own process. Bytes are delivered by microtasks, never from within `send`.
 */
import { Backlog } from './backlog.ts';
import { addressError, assertUsable } from './errors.ts';
import { type ServedConnection, Serving } from './serving.ts';
import type { Address, Connection, ConnectionHandler, Listener, ServerHandler, Transport } from './transport.ts';

/** An instance is a network of its own: a name that listens on one can't be reached through another. */
export function createMemoryTransport(): Transport {
  return new MemoryTransport();
}

class MemoryTransport implements Transport {
  readonly name = 'memory';
  readonly addressKinds = ['memory'] as const;
  readonly #listening = new Map<string, Serving>();

  availability() {
    return { available: true } as const;
  }

  async listen(address: Address, handler: ServerHandler): Promise<Listener> {
    const name = this.#nameOf(address, 'listen on');
    if (this.#listening.has(name)) {
      throw addressError('listen on', address, systemError('EADDRINUSE', 'the name is taken'));
    }
    const serving = new Serving(handler);
    this.#listening.set(name, serving);
    return serving.listener(address, () => this.#listening.delete(name));
  }

  async connect(
    address: Address,
    open: (connection: Connection) => ConnectionHandler,
    signal?: AbortSignal,
  ): Promise<Connection> {
    const name = this.#nameOf(address, 'connect to');
    signal?.throwIfAborted();
    const serving = this.#listening.get(name);
    if (serving === undefined) {
      throw addressError('connect to', address, systemError('ECONNREFUSED', 'nobody listens on the name'));
    }
    const client = new MemoryConnection();
    const server = new MemoryConnection(serving);
    client.join(server);
    server.join(client);
    server.handler = serving.opened(server);
    client.handler = open(client);
    return client;
  }

  #nameOf(address: Address, attempt: 'listen on' | 'connect to'): string {
    assertUsable(this, attempt, address);
    return (address as Extract<Address, { kind: 'memory' }>).name;
  }
}

class MemoryConnection implements ServedConnection {
  readonly framing = 'stream';
  handler!: ConnectionHandler;
  readonly #serving: Serving | undefined;
  #peer!: MemoryConnection;
  /** What the peer sent and our handler has not been given yet. */
  readonly #inbox = new Backlog();
  #paused = false;
  #discarding = false;
  #scheduled = false;
  /** Our direction is ended. */
  #ended = false;
  /** The handler was told that the peer's direction is ended. */
  #endDelivered = false;
  /** The peer took all we had sent, and the handler is to be told. */
  #drained = false;
  #closed = false;
  #closeDelivered = false;
  #error: Error | undefined;

  constructor(serving?: Serving) {
    this.#serving = serving;
  }

  join(peer: MemoryConnection): void {
    this.#peer = peer;
  }

  send(bytes: Uint8Array): void {
    if (this.#ended || this.#closed) return;
    this.#peer.#inbox.append(bytes);
    this.#peer.#schedule();
  }

  get pendingBytes(): number {
    return this.#closed ? 0 : this.#peer.#inbox.bytes;
  }

  pauseReading(): void {
    this.#paused = true;
  }

  resumeReading(): void {
    this.#paused = false;
    this.#schedule();
  }

  end(): void {
    if (this.#ended || this.#closed) return;
    this.#ended = true;
    this.#peer.#schedule();
    this.#schedule();
  }

  finish(): void {
    this.#discarding = true;
    this.end();
    this.resumeReading();
  }

  destroy(): void {
    if (this.#closed) return;
    this.#close();
    if (!this.#peer.#closed) this.#peer.#close(systemError('ECONNRESET', 'the peer destroyed the connection'));
  }

  #close(error?: Error): void {
    this.#closed = true;
    this.#error = error;
    this.#inbox.clear();
    this.#schedule();
  }

  #schedule(): void {
    if (this.#scheduled || this.#closeDelivered) return;
    this.#scheduled = true;
    queueMicrotask(this.#deliver);
  }

  readonly #deliver = (): void => {
    this.#scheduled = false;
    this.#deliverBytes();
    if (this.#drained && !this.#closed) {
      this.#drained = false;
      if (!this.#ended && this.pendingBytes === 0) {
        this.handler.drain();
        this.#serving?.delivered();
      }
    }
    if (this.#peer.#ended && this.#inbox.bytes === 0 && !this.#paused && !this.#endDelivered && !this.#closed) {
      this.#endDelivered = true;
      this.handler.end();
      this.#serving?.delivered();
    }
    if (this.#ended && this.#endDelivered) this.#closed = true;
    if (this.#closed && !this.#closeDelivered) {
      this.#closeDelivered = true;
      this.handler.close(this.#error);
      this.#serving?.gone(this);
    }
  };

  #deliverBytes(): void {
    if (this.#paused || this.#inbox.bytes === 0) return;
    while (this.#inbox.bytes > 0 && !this.#paused) {
      const bytes = this.#inbox.first();
      this.#inbox.consume(bytes.length);
      if (this.#discarding) continue;
      this.handler.data(bytes);
      this.#serving?.delivered();
    }
    if (this.#inbox.bytes > 0 || this.#closed) return;
    this.#peer.#drained = true;
    this.#peer.#schedule();
  }
}

/** An error as a kernel would give it. */
function systemError(code: string, message: string): Error {
  return Object.assign(new Error(message), { code });
}
