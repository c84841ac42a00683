/**
 * Load on a server: connections that send prepared frames and check the replies. Most often a closed loop: each connection
 * has a fixed number of frames in flight and sends the next one when a reply is complete.
 */
import { clearInterval, setInterval } from 'node:timers';
import type { Address, Transport } from '../../transports/transport.ts';
import { LatencyHistogram } from './latency.ts';
import { PacedRun } from './paced-run.ts';
import { Peer, REPLY_TIMEOUT_MS, type Task, WATCH_INTERVAL_MS } from './peer.ts';
import type { Pool } from './pool.ts';

export interface LoadOptions {
  readonly transport: Transport;
  /** Of the server; several servers share the connections evenly. */
  readonly address: Address | readonly Address[];
  readonly connections: number;
  /** Frames that each connection has in flight; in an open loop, the most that it may have. */
  readonly depth: number;
  /** A reply that takes longer counts as missing. Unit: milliseconds. Default: `REPLY_TIMEOUT_MS`. */
  readonly replyTimeoutMs?: number;
}

/** A set of open connections, over which one pool of frames after the other is sent. */
export class Load {
  readonly #options: LoadOptions;
  readonly #peers: Peer[] = [];
  readonly #watch: NodeJS.Timeout;

  private constructor(options: LoadOptions) {
    this.#options = options;
    const replyTimeoutMs = options.replyTimeoutMs ?? REPLY_TIMEOUT_MS;
    this.#watch = setInterval(() => {
      for (const peer of this.#peers) peer.look(replyTimeoutMs);
    }, WATCH_INTERVAL_MS);
  }

  /** Opens the connections. Rejects when one of them can't be. */
  static async open(options: LoadOptions): Promise<Load> {
    const load = new Load(options);
    await load.grow(options.connections);
    return load;
  }

  /** Opens more connections, until there are so many. What runs already goes on without them. Rejects as `open`. */
  async grow(connections: number): Promise<void> {
    const { transport, address, depth } = this.#options;
    const addresses = [address].flat();
    while (this.#peers.length < connections) {
      const next = addresses[this.#peers.length % addresses.length]!;
      await transport.connect(next, (connection) => {
        const peer = new Peer(connection, depth);
        this.#peers.push(peer);
        return peer;
      });
    }
  }

  /** Sends every frame of the pool once. Resolves when all replies are there; rejects as `Run.finished` does. */
  once(pool: Pool): Promise<void> {
    return this.#start(new Run(pool, pool.length)).finished;
  }

  /** Sends the frames of the pool round and round, until what it returns is stopped. */
  endless(pool: Pool): Run {
    return this.#start(new Run(pool, Number.POSITIVE_INFINITY));
  }

  /**
   * Sends the frames of the pool round and round, one on each connection in `everyMs`, until what it returns is stopped. An
   * open loop: when a frame is due does not depend on replies. It waits only while `depth` of its connection's are missing.
   */
  paced(pool: Pool, everyMs: number): PacedRun {
    return new PacedRun(pool, this.#peers, everyMs);
  }

  close(): void {
    clearInterval(this.#watch);
    for (const peer of this.#peers) peer.destroy();
  }

  #start(run: Run): Run {
    for (const peer of this.#peers) {
      peer.begin(run);
      const nowMs = performance.now();
      for (let i = 0; i < this.#options.depth; i++) run.sendNext(peer, nowMs);
    }
    return run;
  }
}

/** One pool being sent by all connections. */
export class Run implements Task {
  readonly pool: Pool;
  /** Resolves when all replies are there; rejects as soon as one is wrong or missing, or a connection is lost. */
  readonly finished: Promise<void>;
  /** Latencies of frames, from sending one to the end of its reply. May be reset at any time. */
  readonly latency = new LatencyHistogram();
  #framesToSend: number;
  #framesSent = 0;
  #framesDone = 0;
  #resolve!: () => void;
  #reject!: (error: Error) => void;

  constructor(pool: Pool, framesToSend: number) {
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

  /** Forgets the latencies that were recorded. */
  startRecording(): void {
    this.latency.reset();
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

  replied(peer: Peer, millis: number, nowMs: number): void {
    this.latency.record(millis);
    this.#framesDone++;
    if (this.#framesDone === this.#framesToSend) this.#resolve();
    this.sendNext(peer, nowMs);
  }

  /** Sends the next frame of the pool, if one is left. */
  sendNext(peer: Peer, nowMs: number): void {
    if (this.#framesSent < this.#framesToSend) peer.send(this.#framesSent++ % this.pool.length, nowMs);
  }
}

/** Waits for the promise, or until something goes wrong in the run. */
export function orFailure<T>(run: { readonly finished: Promise<void> }, promise: Promise<T>): Promise<T> {
  // A run that was not stopped does not finish, it can only fail.
  return Promise.race([promise, run.finished as Promise<never>]);
}
