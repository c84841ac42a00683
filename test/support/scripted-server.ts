/**
 * A server that does what a test tells it to, byte by byte, to show a client how servers and networks misbehave. It reads
 * and writes MessagePack with a library other than the client's.
 */
import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { decode, ExtData, encode } from '@msgpack/msgpack';
import { Op } from '../../core/protocol.ts';

export type WireOperation = readonly [code: number, ...args: unknown[]];

/** What a server answers to HELLO, unless a test wants it otherwise. */
export const HELLO = {
  server: 'ringkv',
  version: '0.1.0',
  runtime: 'test/0',
  transport: 'node',
  protocol: 1,
  engine: 'map',
  maxFrame: 16 * 1024 * 1024,
  maxKey: 65_535,
  shards: [],
};

/** The protocol's error, to stand in a reply. */
export function wireError(code: string, message = 'so it is'): ExtData {
  return new ExtData(1, encode([code, message]));
}

export function frame(payload: unknown): Uint8Array {
  const bytes = encode(payload, { useBigInt64: true });
  const framed = Buffer.alloc(5 + bytes.length);
  framed[0] = 0xce;
  framed.writeUInt32BE(bytes.length, 1);
  framed.set(bytes, 5);
  return framed;
}

export class ScriptedServer {
  readonly #server: Server;
  readonly #waiting: ((connection: ScriptedConnection) => void)[] = [];
  readonly #accepted: ScriptedConnection[] = [];
  readonly #all: ScriptedConnection[] = [];

  static async start(): Promise<ScriptedServer> {
    const scripted = new ScriptedServer();
    scripted.#server.listen(0, '127.0.0.1');
    await once(scripted.#server, 'listening');
    return scripted;
  }

  private constructor() {
    this.#server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
      const connection = new ScriptedConnection(socket);
      this.#all.push(connection);
      const waiting = this.#waiting.shift();
      if (waiting === undefined) this.#accepted.push(connection);
      else waiting(connection);
    });
  }

  get address(): string {
    return `tcp://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** How many connections there were. */
  get connectionCount(): number {
    return this.#all.length;
  }

  /** The next connection that a client opens, or has opened; it is not answered anything. */
  connection(): Promise<ScriptedConnection> {
    const connection = this.#accepted.shift();
    return connection === undefined
      ? new Promise((resolve) => this.#waiting.push(resolve))
      : Promise.resolve(connection);
  }

  /** The next connection, its HELLO answered. */
  async greeted(hello: Readonly<Record<string, unknown>> = HELLO): Promise<ScriptedConnection> {
    const connection = await this.connection();
    const operations = await connection.frame();
    if (operations[0]?.[0] !== Op.HELLO) throw new Error(`no HELLO, but ${JSON.stringify(operations)}`);
    connection.reply([hello]);
    return connection;
  }

  async stop(): Promise<void> {
    for (const connection of this.#all) connection.socket.destroy();
    this.#server.close();
    await once(this.#server, 'close');
  }
}

export class ScriptedConnection {
  readonly socket: Socket;
  #bytes = Buffer.alloc(0);
  #ended = false;
  #wake: (() => void) | undefined;

  constructor(socket: Socket) {
    this.socket = socket;
    socket.on('data', (bytes) => {
      this.#bytes = Buffer.concat([this.#bytes, bytes as Buffer]);
      this.#wake?.();
    });
    const end = (): void => {
      this.#ended = true;
      this.#wake?.();
    };
    socket.on('end', end).on('close', end).on('error', end);
  }

  /** The bytes of the next frame, its header included. */
  async frameBytes(): Promise<Buffer> {
    while (this.#bytes.length < 5 || this.#bytes.length < 5 + this.#bytes.readUInt32BE(1)) {
      if (this.#ended) throw new Error('the client has ended the connection');
      await this.#more();
    }
    const length = 5 + this.#bytes.readUInt32BE(1);
    const bytes = this.#bytes.subarray(0, length);
    this.#bytes = this.#bytes.subarray(length);
    return bytes;
  }

  /** The operations of the next frame. */
  async frame(): Promise<WireOperation[]> {
    // As a plain array of bytes, so that what is binary in it is one too.
    return decode(new Uint8Array(await this.frameBytes()).subarray(5)) as WireOperation[];
  }

  /** Resolves when the client has half-closed, or all of the connection is gone. Fails when it sends more before. */
  async ended(): Promise<void> {
    while (!this.#ended) await this.#more();
    if (this.#bytes.length > 0) throw new Error(`the client has sent ${this.#bytes.toString('hex')} more`);
  }

  reply(results: readonly unknown[]): void {
    this.socket.write(frame(results));
  }

  /** Bytes as they are. */
  write(bytes: Uint8Array): void {
    this.socket.write(bytes);
  }

  #more(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }
}
