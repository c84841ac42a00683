/**
 * One connection's life on the server: its bytes become frames, its frames replies. Back-pressure lives here: a peer that
 * does not read its replies is no longer read from, so what the server keeps for it stays bounded.
 *
 * On a connection that carries messages, a message is a payload. Frames are how payloads are kept and how the engine
 * writes them, all the same: what is kept of a message gets a header, and what is sent is cut at the headers.
 */
import { type Connection, type ConnectionHandler, type Lease, TICK_MS } from '../connection.ts';
import { Access } from '../engine/engine.ts';
import { Writer } from '../msgpack.ts';
import { ErrorCode, FRAME_HEADER_BYTES, FRAME_TAG, readFrameLength, writeFrameHeader } from '../protocol.ts';
import type { Grant } from './guard.ts';
import { AUTH_ATTEMPTS_MAX, REFUSED_GRACE_MS } from './limits.ts';
import { sendPayloads } from './messages.ts';
import { Arrival, Rest } from './rest.ts';
import type { Shard } from './shard.ts';

/** With more than this unsent, a session executes no further frame and stops reading. Unit: bytes. */
export const OUTPUT_HIGH_WATER_BYTES = 1024 * 1024;

/** What speaks another protocol, told by its first byte. */
const OTHER_PROTOCOLS = [
  { name: 'TLS, which is spoken at tls:// addresses', first: 0x16, last: 0x16 },
  // The method of a request line, or a command of a text protocol.
  { name: 'HTTP or text', first: 0x41, last: 0x7a },
] as const;

export class Session implements ConnectionHandler {
  readonly #shard: Shard;
  readonly #connection: Connection;
  /** What came and was not executed yet, if anything: the begin of a frame, or whole frames while `#blocked`. */
  #rest: Rest | undefined;
  /** Waiting for the peer to read its replies. */
  #blocked = false;
  /** The peer sent all it will send. */
  #peerEnded = false;
  /** No further frame is executed, because one could not be read; what still comes is dropped. */
  #refusing = false;
  #closed = false;
  /** The connection was destroyed; `close` will come. */
  #isCut = false;
  /** The connection ends once all replies were given to it. */
  #ending = false;
  /** Bytes of replies that were not given to the connection yet: in the engine's output, or held back. */
  #outputBytes = 0;
  /** Bytes of replies of this turn, whether they have left or not. */
  #turn = 0;
  #turnBytes = 0;
  /** What the peer may do. */
  access: Access;
  /** By which token; undefined when none is asked for, or none was given. */
  #grant: Grant | undefined;
  #wrongTokens = 0;
  /** Bytes of the frames that were executed before it had said who it is. */
  #strangerBytes = 0;
  // When things began, in ticks of the shard.
  /** Since when nobody knows who the peer is, if that is so. */
  #strangerTick: number;
  #heardTick: number;
  #restTick = 0;
  #refusedTick = 0;
  /** Since when more waits for the peer than it should; -1: it does not. */
  #slowTick = -1;
  /** What waited for the peer at the last tick. */
  #lastPendingBytes = 0;

  constructor(shard: Shard, connection: Connection) {
    this.#shard = shard;
    this.#connection = connection;
    this.access = shard.guard === undefined ? Access.FULL : Access.NONE;
    this.#strangerTick = shard.ticks;
    this.#heardTick = shard.ticks;
  }

  /** Whether a token is valid; then it decides from now on what the peer may do. */
  authenticate(token: Uint8Array): boolean {
    const { guard, passed, engine } = this.#shard;
    if (guard === undefined) return true;
    // What is tried beyond that within one frame is not even looked at.
    const grant = this.#wrongTokens < AUTH_ATTEMPTS_MAX ? guard.admit(token) : undefined;
    if (grant === undefined) {
      this.#wrongTokens++;
      passed.refusedTokens++;
      return false;
    }
    this.#grant = grant;
    this.access = grant.access;
    engine.access = grant.access;
    return true;
  }

  /** The tokens are others than before: the peer keeps what its token still grants. */
  renew(): void {
    const { guard, ticks } = this.#shard;
    if (guard === undefined) {
      this.access = Access.FULL;
      return;
    }
    const before = this.access;
    this.#grant = this.#grant && guard.renew(this.#grant);
    this.access = this.#grant?.access ?? Access.NONE;
    if (this.access !== Access.NONE || before === Access.NONE) return;
    // It may bring another token, as if it had just come.
    this.#strangerTick = ticks;
    this.#strangerBytes = 0;
  }

  /** There are too many connections; it is told so, or cut without a word. */
  refuseBusy(isTold: boolean): void {
    if (isTold) this.#refuse(ErrorCode.BUSY, `too many connections; the limit is ${this.#shard.limits.connectionsMax}`);
    else this.#cut();
  }

  /** `TICK_MS` have passed: looks whether the peer has taken more time than it may. */
  tick(): void {
    if (this.#closed || this.#isCut) return;
    const { limits, passed } = this.#shard;
    if (this.#refusing) {
      if (this.#hasPassed(REFUSED_GRACE_MS, this.#refusedTick)) this.#cut();
      return;
    }
    if (this.#isTooSlow()) {
      passed.cutSlowReaders++;
      this.#cut();
    } else if (this.access === Access.NONE && this.#isAwaited && this.#hasPassed(limits.authMs, this.#strangerTick)) {
      this.#refuseStranger(`not authenticated within ${limits.authMs} ms`);
    } else if (this.#rest !== undefined && !this.#blocked && this.#hasPassed(limits.frameMs, this.#restTick)) {
      passed.cutSlowFrames++;
      this.#refuse(ErrorCode.FRAME, `a frame did not come to its end within ${limits.frameMs} ms`);
    } else if (this.#isIdle()) {
      passed.cutIdle++;
      // What it would be told waits behind what it does not take.
      if (this.#blocked) this.#cut();
      else this.#refuse(ErrorCode.IDLE, `nothing has come for ${limits.idleMs} ms`);
    }
  }

  /** Whether nothing comes; of a peer that is not read from, whether it takes nothing of what waits for it. */
  #isIdle(): boolean {
    const { limits, ticks } = this.#shard;
    const { pendingBytes } = this.#connection;
    if (this.#blocked && pendingBytes !== this.#lastPendingBytes) this.#heardTick = ticks;
    this.#lastPendingBytes = pendingBytes;
    return limits.idleMs > 0 && this.#isAwaited && this.#hasPassed(limits.idleMs, this.#heardTick);
  }

  /** Whether it is the peer that is waited for, and not the disk, or the turn in which what it has sent is executed. */
  get #isAwaited(): boolean {
    return !this.#blocked || this.#connection.pendingBytes > 0;
  }

  #hasPassed(ms: number, sinceTick: number): boolean {
    return (this.#shard.ticks - sinceTick) * TICK_MS > ms;
  }

  /** Whether the peer has left more unread than it may, or much for too long. */
  #isTooSlow(): boolean {
    const { limits, ticks } = this.#shard;
    const { pendingBytes } = this.#connection;
    if (pendingBytes > limits.outputBytesMax) return true;
    if (pendingBytes <= limits.outputSoftBytes) this.#slowTick = -1;
    else if (this.#slowTick < 0) this.#slowTick = ticks;
    return this.#slowTick >= 0 && this.#hasPassed(limits.outputMs, this.#slowTick);
  }

  data(bytes: Uint8Array): void {
    this.#shard.received(bytes.length);
    if (this.#refusing) return;
    this.#heardTick = this.#shard.ticks;
    if (!this.#blocked && this.#shard.isFull) this.#block();
    if (this.#connection.framing === 'message') this.#takeMessage(bytes);
    else if (this.#blocked) this.#keep(bytes);
    else if (this.#rest === undefined) this.#executeFrames(bytes);
    else this.#completeFrames(this.#rest, new Arrival(this.#shard.engine, bytes));
  }

  /** A frame that began earlier is completed first, so that the usual chunk of whole frames is never copied twice. */
  #completeFrames(rest: Rest, arrival: Arrival): void {
    const missing = this.#missingBytes(rest);
    if (missing < 0) return;
    const taken = Math.min(missing, arrival.length);
    if (!rest.append(arrival, 0, taken)) {
      this.#refusePartial();
      return;
    }
    const remaining = this.#missingBytes(rest);
    if (remaining < 0) return;
    // What completed the header may not complete the frame.
    if (remaining > 0 && taken < arrival.length) {
      this.#completeFrames(rest, arrival.from(taken));
      return;
    }
    if (remaining > 0) return;
    this.#rest = undefined;
    this.#executeFrames(rest.bytes);
    rest.free();
    if (taken === arrival.length || this.#refusing) return;
    if (this.#blocked) this.#keep(arrival.part(taken, arrival.length));
    else this.#executeFrames(arrival.part(taken, arrival.length));
  }

  #takeMessage(payload: Uint8Array): void {
    if (this.#blocked) {
      const header = new Uint8Array(FRAME_HEADER_BYTES);
      writeFrameHeader(header, 0, payload.length);
      this.#keep(header);
      // The header of one that is too long is all that it takes to refuse it.
      if (payload.length <= this.#shard.maxFrameBytes) this.#keep(payload);
      return;
    }
    if (!this.#isWelcome(payload.length)) return;
    const offset = this.#input(payload);
    if (offset < 0 || !this.#execute(offset, payload.length)) return;
    if (this.#hasEnough) this.#block();
  }

  /** The peer has taken its replies: what waited for that goes on when it is its turn. */
  drain(): void {
    // Ticks come too seldom to see that nothing waits for a peer who asks for the next long reply at once.
    this.#slowTick = -1;
    if (this.#blocked) this.#waitForTurn();
  }

  /** Executes what was kept, and reads on. Called by the shard. */
  goOn(): void {
    if (!this.#blocked || this.#closed || this.#refusing) return;
    this.#blocked = false;
    this.#heardTick = this.#shard.ticks;
    const rest = this.#rest;
    this.#rest = undefined;
    if (rest !== undefined) {
      this.#executeFrames(rest.bytes);
      rest.free();
    }
    if (this.#blocked || this.#closed) return;
    if (this.#peerEnded) this.#finish();
    else this.#connection.resumeReading();
  }

  end(): void {
    this.#peerEnded = true;
    if (!this.#blocked) this.#finish();
  }

  close(): void {
    this.#closed = true;
    this.#forgetRest();
    this.#shard.forget(this);
  }

  /** Replies of this turn were appended to the engine's output: `bytes` more. */
  replied(bytes: number): void {
    const { turn } = this.#shard;
    if (turn !== this.#turn) {
      this.#turn = turn;
      this.#turnBytes = 0;
    }
    this.#turnBytes += bytes;
    this.#outputBytes += bytes;
  }

  /** Some replies may leave: `bytes`, in the place of `owedBytes` of those that `replied` told of. */
  flush(bytes: Uint8Array, lease?: Lease, owedBytes: number = bytes.length): void {
    this.#outputBytes -= owedBytes;
    if (this.#closed || this.#isCut) return;
    this.#shard.answered(bytes.length);
    if (this.#connection.framing === 'message') sendPayloads(this.#connection, bytes, lease);
    else this.#connection.send(bytes, lease);
    if (this.#connection.pendingBytes > this.#shard.limits.outputBytesMax) {
      this.#shard.passed.cutSlowReaders++;
      this.#cut();
    } else if (this.#ending && this.#outputBytes === 0) this.#connection.end();
    else if (this.#blocked) this.#waitForTurn();
    else if (this.#connection.pendingBytes > OUTPUT_HIGH_WATER_BYTES) this.#block();
  }

  #executeFrames(bytes: Uint8Array): void {
    const shard = this.#shard;
    const offset = this.#input(bytes);
    if (offset < 0) return;
    let memory = shard.engine.memory;
    let position = offset;
    const end = offset + bytes.length;
    while (end - position >= FRAME_HEADER_BYTES) {
      if (memory[position] !== FRAME_TAG) {
        this.#refuseByte(memory[position]!);
        return;
      }
      const length = readFrameLength(memory, position);
      if (!this.#isWelcome(length)) return;
      const next = position + FRAME_HEADER_BYTES + length;
      if (next > end) break;
      if (!this.#execute(position + FRAME_HEADER_BYTES, length)) return;
      position = next;
      if (this.#hasEnough) {
        this.#block();
        break;
      }
      memory = shard.engine.memory;
    }
    if (position === end) return;
    if (memory[position] !== FRAME_TAG && !this.#blocked) {
      this.#refuseByte(memory[position]!);
      return;
    }
    // Read from the memory again: if the bytes lay there, it may have grown and left them behind.
    this.#keep(shard.engine.memory.subarray(position, end));
  }

  /** Puts requests where the engine can execute them, and returns their offset; -1 when they were refused. */
  #input(bytes: Uint8Array): number {
    try {
      return this.#shard.input(bytes);
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      this.#refuse(ErrorCode.MEMORY, `no memory for ${bytes.length} bytes of requests`);
      return -1;
    }
  }

  /** Executes a payload in the engine's memory. Returns whether it could be read; if not, the connection ends. */
  #execute(offset: number, length: number): boolean {
    if (this.access === Access.NONE) this.#strangerBytes += FRAME_HEADER_BYTES + length;
    if (!this.#shard.execute(this, offset, length)) {
      this.#beginRefusal();
      this.#endWhenSent();
      return false;
    }
    if (this.#wrongTokens < AUTH_ATTEMPTS_MAX) return true;
    this.#refuseStranger(`${AUTH_ATTEMPTS_MAX} tokens were not valid`);
    return false;
  }

  /**
   * How many bytes the frame that `rest` begins still needs: of its header first, then of its payload, 0 when it is whole; -1
   * when its header was refused.
   */
  #missingBytes(rest: Rest): number {
    if (rest.length < FRAME_HEADER_BYTES) return FRAME_HEADER_BYTES - rest.length;
    const length = readFrameLength(rest.bytes, 0);
    if (!this.#isWelcome(length)) return -1;
    return FRAME_HEADER_BYTES + length - rest.length;
  }

  #keep(bytes: Uint8Array): void {
    if (this.#refusing) return;
    if (this.#rest === undefined) {
      this.#rest = new Rest(this.#shard.restRoom);
      this.#restTick = this.#shard.ticks;
    }
    if (!this.#rest.append(new Arrival(this.#shard.engine, bytes), 0, bytes.length)) this.#refusePartial();
  }

  #forgetRest(): void {
    this.#rest?.free();
    this.#rest = undefined;
  }

  /** Whether this turn has brought so much for the peer, or so much waits for it, that others come first. */
  get #hasEnough(): boolean {
    const unsent = Math.max(this.#turnBytes, this.#outputBytes) + this.#connection.pendingBytes;
    return unsent > OUTPUT_HIGH_WATER_BYTES || this.#shard.isFull;
  }

  #block(): void {
    this.#blocked = true;
    this.#connection.pauseReading();
    this.#waitForTurn();
  }

  /** Goes on in the next turn if the kernel has taken everything already, so that no `drain` will come. */
  #waitForTurn(): void {
    if (this.#outputBytes === 0 && this.#connection.pendingBytes === 0) this.#shard.waitsForTurn(this);
  }

  /** Whether a payload of so many bytes is taken from this peer; if not, it was refused. */
  #isWelcome(length: number): boolean {
    const { maxFrameBytes, limits, passed } = this.#shard;
    if (length > maxFrameBytes) {
      passed.refusedFrames++;
      this.#refuse(ErrorCode.SIZE, `frame of ${length} bytes; the limit is ${maxFrameBytes}`);
      return false;
    }
    if (this.access !== Access.NONE) return true;
    if (this.#strangerBytes + FRAME_HEADER_BYTES + length <= limits.authBytesMax) return true;
    this.#refuseStranger(`not authenticated within ${limits.authBytesMax} bytes of requests`);
    return false;
  }

  #refuseStranger(why: string): void {
    this.#shard.passed.refusedUnauthenticated++;
    this.#refuse(ErrorCode.AUTH, why);
  }

  #refusePartial(): void {
    this.#shard.passed.refusedPartial++;
    this.#refuse(ErrorCode.MEMORY, 'too many bytes of unfinished requests wait, of all connections');
  }

  /** Something else than a frame begins with this byte; nothing of it is told back. */
  #refuseByte(byte: number): void {
    const other = OTHER_PROTOCOLS.find(({ first, last }) => byte >= first && byte <= last);
    const hint = other === undefined ? '' : `; this looks like ${other.name}`;
    this.#refuse(ErrorCode.FRAME, `a frame starts with the byte 0xCE${hint}`);
  }

  /** Closes the connection at once, whatever it is owed. */
  #cut(): void {
    this.#beginRefusal();
    this.#isCut = true;
    this.#connection.destroy();
  }

  #beginRefusal(): void {
    this.#refusing = true;
    this.#refusedTick = this.#shard.ticks;
    this.#forgetRest();
  }

  /** Answers with the error of a whole payload; the connection is closed once it has been sent. */
  #refuse(code: ErrorCode, message: string): void {
    this.#beginRefusal();
    const writer = new Writer();
    writer.reserve(FRAME_HEADER_BYTES);
    writer.error(code, message);
    const frame = writer.view();
    writeFrameHeader(frame, 0, frame.length - FRAME_HEADER_BYTES);
    this.#shard.reply(this, frame);
    this.#endWhenSent();
  }

  /** The peer has ended and everything it sent was executed: its replies leave, then our end. */
  #finish(): void {
    if (this.#rest !== undefined) this.#refuse(ErrorCode.FRAME, 'the connection ended inside a frame');
    this.#shard.flush();
    this.#endWhenSent();
  }

  /** The connection ends as soon as it was given all replies, which may have happened already. */
  #endWhenSent(): void {
    this.#ending = true;
    if (this.#outputBytes === 0 && !this.#closed && !this.#isCut) this.#connection.end();
  }
}
