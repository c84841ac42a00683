/**
 * A shard: one engine and its sessions, owned by one thread, sharing nothing. It collects what the sessions execute into
 * turns and lets the replies of a turn leave together, which is where a log will put its one commit per turn.
 */
import { pack, unpack } from 'msgpackr/pack';
import type { Connection, ConnectionHandler } from '../connection.ts';
import type { Engine, EngineHost } from '../engine/engine.ts';
import { Writer } from '../msgpack.ts';
import { DEFAULT_MAX_FRAME_BYTES, ErrorCode, MAX_KEY_BYTES, Op, PROTOCOL_VERSION } from '../protocol.ts';
import { Session } from './session.ts';

/** A turn whose replies have grown beyond this ends early, so that the output of a turn stays bounded. Unit: bytes. */
const TURN_OUTPUT_BYTES_MAX = 4 * 1024 * 1024;

/** Expired keys that a turn removes beside those it touches: the bound of the active sweep. */
const SWEEP_PER_TURN = 32;

/** Expired keys that an idle tick removes. */
const SWEEP_PER_TICK = 4096;

/** What HELLO and INFO tell of the server that the shard itself can't know. */
export interface ServerIdentity {
  /** Version of ringkv. */
  readonly version: string;
  /** Name and version of the runtime, like `bun/1.4.5`. */
  readonly runtime: string;
  /** Name of the transport. */
  readonly transport: string;
}

export interface ShardOptions {
  readonly engine: Engine;
  readonly identity: ServerIdentity;
  /** The wall clock. Unit: milliseconds since 1970. */
  readonly now: () => number;
  /** The address clients reach the shard at, for HELLO; known only once the transport listens. */
  readonly url: () => string;
  /** Largest request payload. Unit: bytes. Default: `DEFAULT_MAX_FRAME_BYTES`. */
  readonly maxFrameBytes?: number;
  /** Figures of the process (CPU time, memory, …) that INFO adds to the shard's own. Default: none. */
  readonly processFigures?: () => Readonly<Record<string, number>>;
}

/** Counters since the start. */
interface ShardCounters {
  connections: number;
  frames: number;
  turns: number;
  bytesIn: number;
  bytesOut: number;
}

export class Shard {
  readonly engine: Engine;
  readonly maxFrameBytes: number;
  readonly #options: ShardOptions;
  readonly #startedMs: number;
  readonly #sessions = new Set<Session>();
  readonly #counters: ShardCounters = { connections: 0, frames: 0, turns: 0, bytesIn: 0, bytesOut: 0 };

  // The turn under way: which part of the engine's output goes to whom, in the order of execution.
  #turnMs = 0;
  #partCount = 0;
  readonly #partSession: (Session | undefined)[] = [];
  readonly #partEnd: number[] = [];
  /** Sessions that go on in the next turn. */
  #waiting: Session[] = [];

  constructor(options: ShardOptions) {
    this.#options = options;
    this.engine = options.engine;
    this.maxFrameBytes = options.maxFrameBytes ?? DEFAULT_MAX_FRAME_BYTES;
    this.#startedMs = options.now();
    const host: EngineHost = { serverOperation: (code, operation) => this.#serverOperation(code, operation) };
    this.engine.host = host;
  }

  /** A peer connected; the transport gives its events to the handler returned. */
  open(connection: Connection): ConnectionHandler {
    const session = new Session(this, connection);
    this.#sessions.add(session);
    this.#counters.connections++;
    return session;
  }

  /** A session's connection is gone. */
  forget(session: Session): void {
    this.#sessions.delete(session);
  }

  /** A session got bytes from its peer. */
  received(bytes: number): void {
    this.#counters.bytesIn += bytes;
  }

  /** Puts bytes that arrived into the engine's memory, unless they lie there already, and returns their offset. */
  input(bytes: Uint8Array): number {
    const { engine } = this;
    if (bytes.buffer === engine.memory.buffer) return bytes.byteOffset;
    const offset = engine.reserveInput(bytes.length);
    engine.memory.set(bytes, offset);
    return offset;
  }

  /** Executes one payload of a session. Returns false when it could not be read and the session has to end. */
  execute(session: Session, offset: number, length: number): boolean {
    const { engine } = this;
    if (this.#partCount === 0) this.#turnMs = this.#options.now();
    const before = engine.outputBytes;
    const readable = engine.execute(offset, length, this.#turnMs);
    this.#counters.frames++;
    this.#addPart(session, before);
    if (engine.outputBytes > TURN_OUTPUT_BYTES_MAX) this.flush();
    return readable;
  }

  /**
   * Sends the replies of the turn. Called by the transport when it has delivered all there was; twice is fine. Returns
   * whether sessions wait for another turn.
   */
  turnEnd(): boolean {
    if (this.#waiting.length > 0) {
      const sessions = this.#waiting;
      this.#waiting = [];
      for (const session of sessions) session.drain();
    }
    this.flush();
    return this.#waiting.length > 0;
  }

  /** A session had stopped, its replies have left, and it goes on in the next turn. */
  waitsForTurn(session: Session): void {
    this.#waiting.push(session);
  }

  /**
   * Sends what the turn has gathered so far. Unlike `turnEnd` it lets no other session execute anything, so a session may
   * call for it between two of its frames, whose bytes lie in the engine's input.
   */
  flush(): void {
    const count = this.#partCount;
    if (count === 0) return;
    const { engine } = this;
    this.#partCount = 0;
    this.#counters.turns++;
    this.#counters.bytesOut += engine.outputBytes;
    const base = engine.outputOffset;
    const { memory } = engine;
    let start = 0;
    for (let i = 0; i < count; i++) {
      const end = this.#partEnd[i]!;
      this.#partSession[i]!.flush(memory.subarray(base + start, base + end));
      this.#partSession[i] = undefined;
      start = end;
    }
    engine.clearOutput();
    engine.sweep(this.#turnMs, SWEEP_PER_TURN);
  }

  /** Removes expired keys while nobody asks for anything. To be called some times a second. */
  tick(): void {
    this.engine.sweep(this.#options.now(), SWEEP_PER_TICK);
  }

  /** What INFO answers. */
  info(): Record<string, string | number> {
    const { identity, now, processFigures } = this.#options;
    const stats = this.engine.stats();
    const { connections: connectionsTotal, ...counters } = this.#counters;
    return {
      server: 'ringkv',
      ...identity,
      engine: this.engine.name,
      uptimeMs: now() - this.#startedMs,
      connections: this.#sessions.size,
      connectionsTotal,
      ...counters,
      ...stats,
      ...processFigures?.(),
    };
  }

  #addPart(session: Session, before: number): void {
    const end = this.engine.outputBytes;
    session.replied(end - before);
    const last = this.#partCount - 1;
    if (last >= 0 && this.#partSession[last] === session) this.#partEnd[last] = end;
    else {
      this.#partSession[this.#partCount] = session;
      this.#partEnd[this.#partCount++] = end;
    }
  }

  #serverOperation(code: number, operation: Uint8Array): Uint8Array {
    const args = (unpack(operation) as unknown[]).slice(1);
    switch (code) {
      case Op.HELLO:
        return this.#hello(args);
      case Op.AUTH:
        if (args.length !== 1) return wireError(ErrorCode.OP, 'wrong number of arguments');
        if (typeof args[0] !== 'string') return wireError(ErrorCode.TYPE, 'token is not a string');
        // No token is asked for here, so any is welcome: a client that brings one needs no special case.
        return pack(true);
      default:
        if (args.length !== 0) return wireError(ErrorCode.OP, 'wrong number of arguments');
        return pack(this.info());
    }
  }

  #hello(args: readonly unknown[]): Uint8Array {
    if (args.length !== 1) return wireError(ErrorCode.OP, 'wrong number of arguments');
    const asked = args[0];
    if (typeof asked !== 'object' || asked === null || Array.isArray(asked)) {
      return wireError(ErrorCode.TYPE, 'argument is not a map');
    }
    const { version } = asked as { version?: unknown };
    if (version !== PROTOCOL_VERSION) {
      return wireError(ErrorCode.RANGE, `version must be ${PROTOCOL_VERSION}, the one spoken here`);
    }
    return pack({
      server: 'ringkv',
      ...this.#options.identity,
      protocol: PROTOCOL_VERSION,
      engine: this.engine.name,
      maxFrame: this.maxFrameBytes,
      maxKey: MAX_KEY_BYTES,
      shards: [[0, 16383, this.#options.url()]],
    });
  }
}

function wireError(code: ErrorCode, message: string): Uint8Array {
  const writer = new Writer();
  writer.error(code, message);
  return writer.copy();
}
