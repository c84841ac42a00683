/**
 * The control of a cell: a server on the same transport and runtime that does no work. It cuts requests and sends back as
 * many bytes as the real server would, so what a cell costs beyond its control is what engine and protocol add.
 *
 * It works in turns as the real one does: what the requests of a turn ask for leaves at its end, in one `send` for each
 * connection, and it offers a transport the same memory to receive into and to send from. What it leaves out: reading
 * requests, and writing replies, for these are always the same bytes.
 *
 * Non-goal: back-pressure. The generator has few frames in flight and reads what it is sent.
 */
import { FRAME_HEADER_BYTES } from '../../core/protocol.ts';
import { currentRuntime } from '../../runtime/choose.ts';
import { formatAddress, parseAddress } from '../../transports/address.ts';
import type { Connection, ConnectionHandler, Lease, ServerHandler } from '../../transports/transport.ts';
import { createTransport } from '../../transports/transports.ts';
import { type EchoPlan, encodeFigures, FIGURES_WANTED, WANTED_BYTES } from './echo-protocol.ts';
import { EchoRoom } from './echo-room.ts';
import { runScript, say } from './script.ts';

const runtime = currentRuntime();

/** The turn under way, and what replies are made of. */
class Echo implements ServerHandler {
  readonly room: EchoRoom;
  readonly #output: number;
  readonly #outputBytes: number;
  /** What is sent never changes, so whoever reads it may do so for as long as they like. */
  readonly #lease: Lease;
  #turn: EchoSession[] = [];

  constructor(outputBytes: number) {
    this.room = new EchoRoom(outputBytes);
    this.#outputBytes = outputBytes;
    this.#output = this.room.allocate(outputBytes);
    this.#lease = { memory: this.room.memory, retain() {}, release() {} };
    // Written once, or the kernel would read the same page of zeros over and over.
    this.room.memory.fill(0xec, this.#output, this.#output + outputBytes);
  }

  open(connection: Connection): ConnectionHandler {
    return new EchoSession(this, connection);
  }

  answers(session: EchoSession): void {
    this.#turn.push(session);
  }

  turnEnd(): boolean {
    const sessions = this.#turn;
    this.#turn = [];
    for (const session of sessions) session.flush();
    return false;
  }

  tick(): void {
    // Nothing expires here.
  }

  send(connection: Connection, bytes: number): void {
    for (let left = bytes; left > 0; left -= this.#outputBytes) {
      const end = this.#output + Math.min(left, this.#outputBytes);
      connection.send(this.room.memory.subarray(this.#output, end), this.#lease);
    }
  }
}

class EchoSession implements ConnectionHandler {
  readonly #echo: Echo;
  readonly #connection: Connection;
  /** Where in a request the wanted length is: behind the frame header, which messages have not. */
  readonly #wantedAt: number;
  /** The begin of a request that came in pieces. */
  readonly #head: Uint8Array;
  /** Bytes of the request under way that came, and how many there will be. */
  #position = 0;
  #requestBytes = 0;
  #wanted = 0;
  /** Lengths of the turn's replies. On a stream they are one, since nothing parts them. */
  #replies: number[] = [];

  constructor(echo: Echo, connection: Connection) {
    this.#echo = echo;
    this.#connection = connection;
    this.#wantedAt = connection.framing === 'message' ? 0 : FRAME_HEADER_BYTES;
    this.#head = new Uint8Array(this.#wantedAt + WANTED_BYTES);
  }

  data(bytes: Uint8Array): void {
    const headBytes = this.#head.length;
    let at = 0;
    while (at < bytes.length) {
      if (this.#position === 0 && bytes.length - at >= headBytes) {
        this.#readHead(bytes, at);
        this.#position = headBytes;
        at += headBytes;
      } else if (this.#position < headBytes) {
        this.#head[this.#position++] = bytes[at++]!;
        if (this.#position < headBytes) continue;
        this.#readHead(this.#head, 0);
      }
      const taken = Math.min(this.#requestBytes - this.#position, bytes.length - at);
      this.#position += taken;
      at += taken;
      if (this.#position === this.#requestBytes) this.#answer();
    }
  }

  drain(): void {}

  end(): void {
    this.flush();
    this.#connection.end();
  }

  close(): void {
    this.#replies = [];
  }

  /** The turn ends. */
  flush(): void {
    const replies = this.#replies;
    this.#replies = [];
    const connection = this.#connection;
    const sendAll = (): void => {
      for (const bytes of replies) this.#echo.send(connection, bytes);
    };
    if (replies.length < 2 || connection.cork === undefined) sendAll();
    else connection.cork(sendAll);
  }

  #readHead(bytes: Uint8Array, at: number): void {
    this.#wanted = readUint32(bytes, at + this.#wantedAt);
    this.#requestBytes = this.#wantedAt === 0 ? bytes.length : FRAME_HEADER_BYTES + readUint32(bytes, at + 1);
  }

  #answer(): void {
    this.#position = 0;
    const wanted = this.#wanted;
    if (wanted === FIGURES_WANTED) {
      this.#connection.send(encodeFigures(runtime));
      return;
    }
    const replies = this.#replies;
    if (replies.length === 0) this.#echo.answers(this);
    if (this.#wantedAt === 0) replies.push(wanted);
    else replies[0] = (replies[0] ?? 0) + FRAME_HEADER_BYTES + wanted;
  }
}

function readUint32(bytes: Uint8Array, at: number): number {
  return ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0;
}

async function serve({ transport, address, outputBytes }: EchoPlan): Promise<never> {
  const listener = await createTransport(transport, { ownsThread: true }).listen(
    parseAddress(address),
    new Echo(outputBytes),
  );
  say(formatAddress(listener.address));
  // Until a signal, or the end of stdin.
  return new Promise(() => {});
}

await runScript(runtime, (argument) => serve(argument as EchoPlan));
