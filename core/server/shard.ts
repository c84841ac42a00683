/**
 * A shard: one engine and its sessions, owned by one thread, sharing nothing. It collects what the sessions execute into
 * turns and lets the replies of a turn leave together: at once, or with a log when all that they show is acknowledged by it.
 */
import type { Connection, ConnectionHandler, ReceiveRoom } from '../connection.ts';
import type { Engine } from '../engine/engine.ts';
import { Reader } from '../msgpack.ts';
import { DEFAULT_MAX_FRAME_BYTES, MAX_REPLY_BYTES, PROTOCOL_VERSION } from '../protocol.ts';
import type { ShardMap } from '../slots.ts';
import type { Guard } from './guard.ts';
import { HeldReplies } from './held.ts';
import { ServerHost } from './host.ts';
import { OutputLender } from './lease.ts';
import {
  BUSY_TOLD_MAX,
  type ConnectionLimits,
  checkConnectionLimits,
  type LimitCounters,
  newLimitCounters,
} from './limits.ts';
import { RestRoom } from './rest.ts';
import { Session } from './session.ts';
import type { TurnLog } from './turn-log.ts';
import { refuseResults } from './unlogged.ts';

/**
 * Replies that have grown beyond this leave before their turn ends, so that what is kept for them stays bounded, and in the
 * processor's cache. Unit: bytes.
 */
export const TURN_OUTPUT_BYTES_MAX = 256 * 1024;

/**
 * The active sweep of a turn, in the engine's units: some, and more for each operation, so that expired keys are removed as
 * fast as new ones can be set: one that lives for some hours costs the sweep 4 units.
 */
const SWEEP_PER_TURN = 32;
const SWEEP_PER_OPERATION = 4;

/** The sweep of an idle tick, in the engine's units. */
const SWEEP_PER_TICK = 8192;

/**
 * With more than this held back until the log acknowledges it, replies and what is yet to be written together, nothing more is
 * executed. Unit: bytes.
 */
const HELD_BYTES_MAX = 64 * 1024 * 1024;

/**
 * With so much answered in a turn, no more of those who had stopped go on in it: of many who read slowly, the others must not have
 * to wait for all. Unit: bytes.
 */
const LONG_TURN_BYTES = 1024 * 1024;

/** A turn that takes so long, on the clock that the shard is given, counts as slow. Unit: milliseconds. */
const SLOW_TURN_MS = 5;

const MAX_FRAME_BYTES_MIN = 1024;

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
  /** All shards of the server, this one included, for HELLO and `MOVED`; known only once their transports listen. */
  readonly shards: () => ShardMap;
  /**
   * Largest request payload, from 1 KiB to `MAX_REPLY_BYTES`, so that what was stored can be read. Unit: bytes. Default:
   * `DEFAULT_MAX_FRAME_BYTES`. The constructor throws `RangeError` for another.
   */
  readonly maxFrameBytes?: number;
  /** Who is let in. Default: everyone, to everything. */
  readonly guard?: Guard | undefined;
  /** What connections may cost. The constructor throws `RangeError` for what is none. Default: `DEFAULT_CONNECTION_LIMITS`. */
  readonly limits?: Partial<ConnectionLimits>;
  /** Where what changes is made durable, for an engine that collects redo bytes. Default: nowhere. */
  readonly log?: TurnLog | undefined;
  /** Figures of the process (CPU time, memory, …) that INFO adds to the shard's own. Default: none. */
  readonly processFigures?: () => Readonly<Record<string, number>>;
}

/** Counters since the start. */
interface ShardCounters {
  connections: number;
  frames: number;
  turns: number;
  slowTurns: number;
  bytesIn: number;
  bytesOut: number;
}

export class Shard {
  readonly engine: Engine;
  readonly maxFrameBytes: number;
  readonly limits: ConnectionLimits;
  /** How often the limits were passed. */
  readonly passed: LimitCounters = newLimitCounters();
  /** Counts the ticks, which is how sessions tell time: a clock that is set ends no connection. */
  ticks = 0;
  /** Where a transport may have the kernel put requests: the engine executes them there. */
  readonly room: ReceiveRoom | undefined;
  /** Where sessions put together what arrives in pieces. */
  readonly restRoom: RestRoom;
  readonly #options: ShardOptions;
  readonly #startedMs: number;
  readonly #sessions = new Set<Session>();
  /** Those that are beyond the number of connections, and are told so. */
  readonly #refused = new Set<Session>();
  readonly #host: ServerHost;
  #guard: Guard | undefined;
  readonly #counters: ShardCounters = {
    connections: 0,
    frames: 0,
    turns: 0,
    slowTurns: 0,
    bytesIn: 0,
    bytesOut: 0,
  };

  /** Numbers the turns, so that sessions notice a new one. */
  turn = 0;
  // The turn under way: which part of the engine's output goes to whom, in the order of execution.
  #turnMs = 0;
  /** When it began; 0 before anything was executed. */
  #turnBeganMs = 0;
  #partCount = 0;
  #turnOperations = 0;
  #turnBytesOut = 0;
  readonly #partSession: (Session | undefined)[] = [];
  readonly #partEnd: number[] = [];
  readonly #lender: OutputLender;
  readonly #log: TurnLog | undefined;
  readonly #held: HeldReplies;
  /** Asks the transport for a turn. */
  requestTurn: () => void = () => {};
  /** The listener is being closed and waits for what is held, so nothing more is executed. */
  #isEnding = false;
  /** Who waits until nothing is held. */
  readonly #settling: (() => void)[] = [];
  /** Sessions that go on in one of the next turns, in their order. */
  readonly #waiting = new Set<Session>();

  constructor(options: ShardOptions) {
    this.#options = options;
    this.engine = options.engine;
    this.maxFrameBytes = options.maxFrameBytes ?? DEFAULT_MAX_FRAME_BYTES;
    const { maxFrameBytes } = this;
    if (!Number.isInteger(maxFrameBytes) || maxFrameBytes < MAX_FRAME_BYTES_MIN || maxFrameBytes > MAX_REPLY_BYTES) {
      throw new RangeError(
        `maxFrameBytes is ${maxFrameBytes}; it must be an integer from ${MAX_FRAME_BYTES_MIN} to ${MAX_REPLY_BYTES}`,
      );
    }
    this.#startedMs = options.now();
    this.limits = checkConnectionLimits(options.limits);
    this.#guard = options.guard;
    this.#host = new ServerHost({ hello: () => this.#hello(), info: () => this.info(), shards: options.shards });
    this.engine.host = this.#host;
    this.#lender = new OutputLender(this.engine);
    this.#held = new HeldReplies(this.engine, this.#lender);
    this.#log = options.log;
    if (this.#log !== undefined) {
      this.#log.host = {
        settled: () => this.#settled(),
        failed: () => this.#giveUp(),
        resumed: () => {
          this.engine.isWritable = true;
        },
      };
    }
    this.room = receiveRoom(this.engine);
    this.restRoom = new RestRoom(this.engine, this.limits.partialBytesMax);
  }

  /** As `ServerHandler.connectionsMax`. */
  get connectionsMax(): number {
    return this.limits.connectionsMax;
  }

  /** Who is let in, as of now; undefined: everyone. Connections whose token is gone have to bring another. */
  get guard(): Guard | undefined {
    return this.#guard;
  }

  set guard(guard: Guard | undefined) {
    this.#guard = guard;
    for (const session of this.#sessions) session.renew();
  }

  /** A peer connected; the transport gives its events to the handler returned. */
  open(connection: Connection): ConnectionHandler {
    const session = new Session(this, connection);
    if (this.#sessions.size >= this.limits.connectionsMax) {
      this.passed.refusedConnections++;
      this.#refused.add(session);
      session.refuseBusy(this.#refused.size <= BUSY_TOLD_MAX);
      return session;
    }
    this.#sessions.add(session);
    this.#counters.connections++;
    return session;
  }

  /** A session's connection is gone. */
  forget(session: Session): void {
    this.#sessions.delete(session);
    this.#refused.delete(session);
    this.#waiting.delete(session);
    this.#log?.left(session);
  }

  /** A session got bytes from its peer. */
  received(bytes: number): void {
    this.#counters.bytesIn += bytes;
  }

  /** A session gave its connection bytes of replies. */
  answered(bytes: number): void {
    this.#counters.bytesOut += bytes;
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
    if (this.#partCount === 0) {
      this.#turnMs = this.#options.now();
      if (this.#turnBeganMs === 0) this.#turnBeganMs = this.#turnMs;
    }
    const before = engine.outputBytes;
    this.#host.beginFrame(session);
    engine.access = session.access;
    const readable = engine.execute(offset, length, this.#turnMs);
    this.#counters.frames++;
    if (readable) this.#turnOperations += new Reader(engine.memory, offset).arrayHeader();
    this.#log?.append(engine.redo(), engine.redoTimeMs);
    this.#log?.executed(session);
    this.#addPart(session, before);
    if (engine.outputBytes > TURN_OUTPUT_BYTES_MAX) this.flush();
    return readable;
  }

  /**
   * Sends the replies of the turn. Called by the transport when it has delivered all there was; twice is fine. Returns
   * whether sessions wait for another turn.
   */
  turnEnd(): boolean {
    this.turn++;
    if (this.#waiting.size > 0 && !this.isFull) this.#goOn();
    this.flush();
    this.#log?.commit();
    this.#turnBytesOut = 0;
    if (this.#turnBeganMs !== 0) {
      if (this.#options.now() - this.#turnBeganMs >= SLOW_TURN_MS) this.#counters.slowTurns++;
      this.#turnBeganMs = 0;
    }
    // While nothing may be executed, no turn is of use: what the log acknowledges next asks for one.
    return this.#waiting.size > 0 && !this.isFull;
  }

  /** Lets sessions execute what they have kept. Those that stop again come after those that still wait. */
  #goOn(): void {
    let count = this.#waiting.size;
    for (const session of this.#waiting) {
      this.#waiting.delete(session);
      session.goOn();
      count--;
      // The first goes on in any case, however much others have brought.
      if (count === 0 || this.#turnBytesOut >= LONG_TURN_BYTES) return;
    }
  }

  /** A session had stopped, its replies have left, and it goes on at the end of this turn, or of one of the next. */
  waitsForTurn(session: Session): void {
    this.#waiting.add(session);
  }

  /** Nothing more may be executed now: so much is held back, or this is the end. */
  get isFull(): boolean {
    if (this.#isEnding) return true;
    return this.#log !== undefined && this.#held.bytes + this.#log.pendingBytes > HELD_BYTES_MAX;
  }

  /**
   * Sends what the turn has gathered so far, or holds it back until the log has acknowledged what it shows. Unlike `turnEnd`
   * it lets no other session execute anything, so a session may call for it between two of its frames, whose bytes lie in the
   * engine's input.
   */
  flush(): void {
    const count = this.#partCount;
    if (count === 0) return;
    const { engine } = this;
    this.#partCount = 0;
    this.#counters.turns++;
    this.#turnBytesOut += engine.outputBytes;
    const record = this.#log?.endTurn() ?? 0;
    if (this.#mustHold(record)) this.#holdOutput(record, count);
    else this.#sendOutput(count);
    if (this.#log?.hasFailed) this.#giveUp();
    engine.sweep(this.#turnMs, SWEEP_PER_TURN + this.#turnOperations * SWEEP_PER_OPERATION);
    this.#turnOperations = 0;
  }

  /** Sends a reply that the engine did not write, after all those before. */
  reply(session: Session, reply: Uint8Array): void {
    this.flush();
    session.replied(reply.length);
    const record = this.#log?.endTurn() ?? 0;
    if (this.#mustHold(record)) this.#held.hold(record, session, reply);
    else session.flush(reply);
    if (this.#log?.hasFailed) this.#giveUp();
  }

  /**
   * As `ServerHandler.settled`: resolves when all that was executed is answered; undefined when it is. From then on nothing more is
   * executed: under load there would always be another write whose reply is held.
   */
  settled(): Promise<void> | undefined {
    if (this.#held.isEmpty) return undefined;
    this.#isEnding = true;
    return new Promise((resolve) => {
      this.#settling.push(resolve);
    });
  }

  /** Whether a reply has to wait, that shows what all records up to this one did. */
  #mustHold(record: number): boolean {
    return this.#log !== undefined && (record > this.#log.settled || !this.#held.isEmpty);
  }

  #sendOutput(count: number): void {
    const { engine } = this;
    const base = engine.outputOffset;
    const { memory } = engine;
    const lease = this.#lender.lease();
    let start = 0;
    for (let i = 0; i < count; i++) {
      const end = this.#partEnd[i]!;
      this.#partSession[i]!.flush(memory.subarray(base + start, base + end), lease);
      this.#partSession[i] = undefined;
      start = end;
    }
    this.#lender.settle();
  }

  #holdOutput(record: number, count: number): void {
    const sessions = this.#partSession.slice(0, count) as Session[];
    this.#partSession.fill(undefined, 0, count);
    this.#held.holdOutput(record, { sessions, ends: this.#partEnd.slice(0, count) });
  }

  /** The log has settled some records: the replies that waited for them leave. */
  #settled(): void {
    this.#held.release(this.#log!.settled);
    this.#heldLess();
  }

  /** Nobody knows what became of the records that are not settled: what would show them is answered with LOG. */
  #giveUp(): void {
    const log = this.#log!;
    if (!log.hasFailed) return;
    // What was executed since then may show them as well.
    this.flush();
    if (!log.hasFailed) return;
    this.#held.refuse(refuseResults);
    log.giveUp();
    this.engine.isWritable = false;
    this.#heldLess();
  }

  #heldLess(): void {
    if (this.#waiting.size > 0) this.requestTurn();
    if (!this.#held.isEmpty) return;
    for (const resolve of this.#settling.splice(0)) resolve();
  }

  /** Removes expired keys while nobody asks for anything, and closes connections that cost too much time. Every `TICK_MS`. */
  tick(): void {
    this.ticks++;
    for (const session of this.#sessions) session.tick();
    for (const session of this.#refused) session.tick();
    this.engine.sweep(this.#options.now(), SWEEP_PER_TICK);
    this.#log?.tick();
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
      shards: this.#options.shards().length,
      uptimeMs: now() - this.#startedMs,
      connections: this.#sessions.size,
      connectionsTotal,
      ...counters,
      partialBytes: this.restRoom.usedBytes,
      ...this.passed,
      ...stats,
      ...this.#log?.info(),
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

  /** What HELLO tells to everyone. */
  #hello(): Readonly<Record<string, unknown>> {
    return {
      server: 'ringkv',
      ...this.#options.identity,
      protocol: PROTOCOL_VERSION,
      engine: this.engine.name,
      maxFrame: this.maxFrameBytes,
      maxKey: this.engine.limits.keyBytesMax,
      maxOperations: this.engine.limits.operationsMax,
      maxDepth: this.engine.limits.depthMax,
    };
  }
}

function receiveRoom(engine: Engine): ReceiveRoom | undefined {
  if (engine.room === undefined) return undefined;
  const { allocate, free } = engine.room;
  return {
    get memory() {
      return engine.memory;
    },
    allocate,
    free,
  };
}
