/**
 * Load on a server: connections that send prepared frames and check the replies. A closed loop: each connection has a
 * fixed number of frames in flight and sends the next one when a reply is complete.
 */
import { clearInterval, setInterval } from 'node:timers';
import type { Address, Connection, ConnectionHandler, Transport } from '../transports/transport.ts';
import type { FramePool } from './frames.ts';
import { LatencyHistogram } from './latency.ts';
import { ReplyChecker, ReplyError, SAMPLE_EVERY } from './replies.ts';

/** A reply that takes longer counts as missing, unless told otherwise. Unit: milliseconds. */
export const REPLY_TIMEOUT_MS = 10_000;

/** How often it is looked whether replies are missing. Unit: milliseconds. */
const WATCH_INTERVAL_MS = 1000;

export interface LoadOptions {
  readonly transport: Transport;
  readonly address: Address;
  readonly connections: number;
  /** Frames that each connection has in flight. */
  readonly depth: number;
  /** A reply that takes longer counts as missing. Unit: milliseconds. Default: `REPLY_TIMEOUT_MS`. */
  readonly replyTimeoutMs?: number;
}

/** A set of open connections, over which one pool of frames after the other is sent. */
export class Load {
  readonly #peers: Peer[];
  readonly #watch: NodeJS.Timeout;

  private constructor(peers: Peer[], replyTimeoutMs: number) {
    this.#peers = peers;
    this.#watch = setInterval(() => {
      for (const peer of peers) peer.look(replyTimeoutMs);
    }, WATCH_INTERVAL_MS);
  }

  /** Opens the connections. Rejects when one of them can't be. */
  static async open({ transport, address, connections, depth, replyTimeoutMs }: LoadOptions): Promise<Load> {
    const peers: Peer[] = [];
    for (let i = 0; i < connections; i++) {
      await transport.connect(address, (connection) => {
        const peer = new Peer(connection, depth);
        peers.push(peer);
        return peer;
      });
    }
    return new Load(peers, replyTimeoutMs ?? REPLY_TIMEOUT_MS);
  }

  /** Sends every frame of the pool once. Resolves when all replies are there; rejects as `Run.finished` does. */
  once(pool: FramePool): Promise<void> {
    return this.#start(new Run(pool, pool.length)).finished;
  }

  /** Sends the frames of the pool round and round, until what it returns is stopped. */
  endless(pool: FramePool): Run {
    return this.#start(new Run(pool, Number.POSITIVE_INFINITY));
  }

  close(): void {
    clearInterval(this.#watch);
    for (const peer of this.#peers) peer.destroy();
  }

  #start(run: Run): Run {
    for (const peer of this.#peers) peer.begin(run);
    return run;
  }
}

/** One pool being sent by all connections. */
export class Run {
  readonly pool: FramePool;
  /** Resolves when all replies are there; rejects as soon as one is wrong or missing, or a connection is lost. */
  readonly finished: Promise<void>;
  /** Latencies of frames, from sending one to the end of its reply. May be reset at any time. */
  readonly latency = new LatencyHistogram();
  #framesToSend: number;
  #framesSent = 0;
  #framesDone = 0;
  #resolve!: () => void;
  #reject!: (error: Error) => void;

  constructor(pool: FramePool, framesToSend: number) {
    this.pool = pool;
    this.#framesToSend = framesToSend;
    this.finished = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    // Whoever awaits `finished` still sees the rejection; it may come before anybody does.
    this.finished.catch(() => {});
  }

  /** Frames whose replies are there. */
  get framesDone(): number {
    return this.#framesDone;
  }

  /** No further frame is sent; `finished` resolves once the replies in flight are there. */
  stop(): void {
    this.#framesToSend = this.#framesSent;
    if (this.#framesDone === this.#framesSent) this.#resolve();
  }

  fail(error: Error): void {
    this.#framesToSend = 0;
    this.#reject(error);
  }

  /** Which frame of the pool to send next; -1 when none is left. */
  next(): number {
    if (this.#framesSent >= this.#framesToSend) return -1;
    return this.#framesSent++ % this.pool.length;
  }

  /** The reply to a frame is complete, `millis` after the frame was sent. */
  done(millis: number): void {
    this.latency.record(millis);
    this.#framesDone++;
    if (this.#framesDone === this.#framesToSend) this.#resolve();
  }
}

/** One connection. */
class Peer implements ConnectionHandler {
  readonly #connection: Connection;
  readonly #depth: number;
  #run: Run | undefined;
  #checker: ReplyChecker | undefined;
  // The frames in flight, oldest first: a ring of `#depth` places.
  readonly #frames: Uint32Array;
  readonly #sentMs: Float64Array;
  #oldest = 0;
  #inFlight = 0;
  /** Replies of this connection so far, which decides on the sample. */
  #replies = 0;
  /** What ended this connection. Later runs must not overlook what went wrong between them and the one before. */
  #failure: Error | undefined;
  #closing = false;

  constructor(connection: Connection, depth: number) {
    this.#connection = connection;
    this.#depth = depth;
    this.#frames = new Uint32Array(depth);
    this.#sentMs = new Float64Array(depth);
  }

  begin(run: Run): void {
    this.#run = run;
    if (this.#failure !== undefined) {
      run.fail(this.#failure);
      return;
    }
    this.#checker = new ReplyChecker(run.pool);
    const nowMs = performance.now();
    for (let i = 0; i < this.#depth; i++) this.#sendNext(run, this.#checker, nowMs);
  }

  destroy(): void {
    this.#closing = true;
    this.#connection.destroy();
  }

  /** Looks whether a reply is missing. */
  look(replyTimeoutMs: number): void {
    if (this.#inFlight === 0 || performance.now() - this.#sentMs[this.#oldest]! < replyTimeoutMs) return;
    this.#fail(new ReplyError(`no reply to a frame for ${replyTimeoutMs / 1000} s`));
  }

  data(bytes: Uint8Array): void {
    const run = this.#run;
    const checker = this.#checker;
    if (this.#closing || run === undefined || checker === undefined) return;
    try {
      this.#take(run, checker, bytes);
    } catch (error) {
      this.#fail(error as Error);
    }
  }

  drain(): void {
    // Nothing waits for this: a frame is sent only after a reply, so what is pending stays bounded.
  }

  end(): void {
    this.#fail(new ReplyError('the server ended a connection'));
  }

  close(error?: Error): void {
    this.#fail(new ReplyError('a connection to the server is lost', { cause: error }));
  }

  #fail(error: Error): void {
    if (this.#closing) return;
    this.#failure = error;
    this.destroy();
    this.#run?.fail(error);
  }

  #take(run: Run, checker: ReplyChecker, bytes: Uint8Array): void {
    let at = 0;
    while (at < bytes.length) {
      if (this.#inFlight === 0) throw new ReplyError('a reply came that nobody asked for');
      at = checker.take(bytes, at);
      if (!checker.complete) return;
      const nowMs = performance.now();
      const sentMs = this.#sentMs[this.#oldest]!;
      this.#oldest = (this.#oldest + 1) % this.#depth;
      this.#inFlight--;
      this.#replies++;
      if (this.#inFlight > 0) this.#expect(checker);
      run.done(nowMs - sentMs);
      this.#sendNext(run, checker, nowMs);
    }
  }

  #sendNext(run: Run, checker: ReplyChecker, nowMs: number): void {
    const frame = run.next();
    if (frame < 0) return;
    const place = (this.#oldest + this.#inFlight) % this.#depth;
    this.#frames[place] = frame;
    this.#sentMs[place] = nowMs;
    this.#inFlight++;
    if (this.#inFlight === 1) this.#expect(checker);
    this.#connection.send(run.pool.frame(frame));
  }

  #expect(checker: ReplyChecker): void {
    checker.expect(this.#frames[this.#oldest]!, this.#replies % SAMPLE_EVERY === 0);
  }
}
