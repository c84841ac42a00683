/**
 * A channel to one address: promises over one connection that is kept open. Operations issued in the same tick travel in one
 * frame, any number of frames is in flight, and what a lost connection leaves open is told apart: reads are sent again,
 * writes are reported as unknown. It knows no runtime: connections and alarms are given to it.
 */
import { ErrorCode, MAX_VALUE_DEPTH } from '../protocol.ts';
import { backOffMs, type Dialled, type DialOptions, dial, RECONNECT_MAX_MS } from './dial.ts';
import {
  AbortError,
  ArgumentError,
  ClosedError,
  ConnectionError,
  ProtocolError,
  QueueFullError,
  type RingkvError,
  ServerError,
  TimeoutError,
  UnknownOutcomeError,
} from './errors.ts';
import type { Link, LinkOwner, SentFrame } from './link.ts';
import type { CallOptions } from './methods.ts';
import { type Operation, type ServerHello, UNTOLD_LIMITS } from './operations.ts';
import { payloadBytes, Queue } from './queue.ts';
import { Request } from './request.ts';
import { otherShards } from './routing.ts';
import {
  ALARM_DELAY_MAX_MS,
  type ClientSettings,
  type Connect,
  checkPositive,
  DEFAULT_CONNECT_TIMEOUT_MS,
  DEFAULT_PENDING_BYTES_MAX,
  DEFAULT_TIMEOUT_MS,
  type Timers,
} from './settings.ts';

/** A connection that owes replies and has been silent for so long is given up as lost. Unit: milliseconds. */
export const SILENCE_MAX_MS = 30_000;

/** How long a closed channel waits for the server to close its side. Unit: milliseconds. */
const CLOSE_GRACE_MS = 1000;

/** Alarms are this far apart, which makes one of many time-outs; so late a time-out may be noticed. Unit: milliseconds. */
const ALARM_INTERVAL_MS = 5;

/**
 * An alarm that is later than this rings in a process that was blocked, or stopped. Timers come before what has arrived in
 * the meantime, so nothing is given up before the next alarm, for the replies to be read. Unit: milliseconds.
 */
const ALARM_LATE_MS = 20;

/** `connecting` is said until there has been a connection, `reconnecting` once one was lost. */
export type ChannelState = 'connecting' | 'connected' | 'reconnecting' | 'closed';

/** What was issued and not sent, and is another's to be settled. */
export interface TakenBack {
  readonly request: Request;
  /** Its MessagePack. */
  readonly bytes: Uint8Array;
  /** What it has left of its time, and its signal. */
  readonly options: CallOptions;
}

/** What a channel tells whose it is. */
export interface ChannelOwner {
  /** The server has said hello, on every connection anew. */
  hello(hello: ServerHello): void;
  /** The state has changed, and why. Called from a microtask: what it does is not in the midst of what the channel does. */
  state(state: ChannelState, cause?: RingkvError): void;
}

export interface ChannelOptions extends Omit<ClientSettings, 'onState'> {
  readonly connect: Connect;
  readonly timers: Timers;
}

/**
 * An operation is given up after its time-out or when its signal is aborted. If it had not been sent, or was a read, it
 * rejects with `TimeoutError` or `AbortError`; a write that was sent rejects with `UnknownOutcomeError`.
 *
 * A lost connection is opened again, for as long as it takes, with growing pauses. Meanwhile operations wait, up to their
 * time-outs. Reads that were in flight are sent again; writes that were in flight reject with `UnknownOutcomeError`,
 * and are never sent twice. When the server refuses everything that is in flight (it is full, or wants a token), that
 * rejects with `ServerError`.
 */
export class Channel {
  readonly #timers: Timers;
  readonly #timeoutMs: number;
  readonly #pendingBytesMax: number;
  readonly #owner: ChannelOwner;
  readonly #dialOptions: DialOptions;
  /** Aborted when the channel has nothing left to do. */
  readonly #lifetime = new AbortController();

  readonly #queue = new Queue();
  /** How much was issued and is not settled. */
  #openCount = 0;
  /** Bytes issued and not answered, as `pendingBytesMax` counts them. */
  #pendingBytes = 0;
  #link: Link | undefined;
  /** What the server takes. Before it has told, a frame may be of any size. */
  #limits: Pick<ServerHello, 'maxFrame' | 'maxOperations' | 'maxDepth'> = { maxFrame: Infinity, ...UNTOLD_LIMITS };
  #connections = 0;
  #connectedMs = 0;
  /** Attempts to connect since a connection lasted. */
  #attempts = 0;
  /** Why there is no connection. */
  #lostCause: RingkvError | undefined;
  #stopPause: (() => void) | undefined;
  /** There is no such shard any more. */
  #hasLeft = false;

  #isFlushScheduled = false;
  /** When the operations that the scheduled flush will send were issued. */
  #tickMs = 0;
  #alarmMs = Infinity;
  #cancelAlarm: (() => void) | undefined;
  /** When the alarm that is set has to ring. */
  #alarmDueMs = 0;
  /** When the last one rang. */
  #alarmRangMs = 0;

  #closed: Promise<void> | undefined;
  #resolveClosed: (() => void) | undefined;

  /** `open` or `start` has to follow. Throws `ArgumentError` when a setting can't be. */
  constructor(options: ChannelOptions, owner: ChannelOwner) {
    this.#timers = options.timers;
    this.#timeoutMs = checkPositive('timeoutMs', options.timeoutMs ?? DEFAULT_TIMEOUT_MS);
    this.#pendingBytesMax = checkPositive('pendingBytesMax', options.pendingBytesMax ?? DEFAULT_PENDING_BYTES_MAX);
    this.#owner = owner;
    const connectTimeoutMs = options.connectTimeoutMs ?? DEFAULT_CONNECT_TIMEOUT_MS;
    this.#dialOptions = {
      connect: options.connect,
      timers: options.timers,
      connectTimeoutMs: checkPositive('connectTimeoutMs', connectTimeoutMs),
      token: options.token,
      name: options.name,
    };
  }

  /** Connects. Rejects, without trying again, as `dial` does. */
  async open(): Promise<void> {
    this.#adopt(await dial(this.#dialOptions, this.#linkOwner, this.#lifetime.signal));
  }

  /** Connects, for as long as it takes. What is issued meanwhile waits, up to its time-out. */
  start(): void {
    void this.#connect();
  }

  get state(): ChannelState {
    if (this.#lifetime.signal.aborted) return 'closed';
    if (this.#link !== undefined) return 'connected';
    return this.#connections === 0 ? 'connecting' : 'reconnecting';
  }

  /** How many connections there were: a scan's cursor means something only to the one that it came from. */
  get connections(): number {
    return this.#connections;
  }

  /**
   * Waits until the operations that were issued are answered or given up, those included that still come meanwhile, and
   * closes the connection. Then no more are taken. Twice is fine.
   */
  close(): Promise<void> {
    this.#closed ??= new Promise((resolve) => {
      this.#resolveClosed = resolve;
    });
    this.#finishIfDone();
    return this.#closed;
  }

  /** Closes, for there is no such shard any more: what was not sent is answered with `MOVED`, as the server would. */
  leave(): void {
    this.#hasLeft = true;
    this.#rejectWaiting(() => otherShards());
    void this.close();
  }

  /** Takes back what was not sent, to be sent elsewhere. */
  takeBack(): TakenBack[] {
    const nowMs = this.#timers.now();
    return this.#queue.takeAll().map(({ request, bytes }) => {
      this.#pendingBytes -= request.costBytes;
      const options = { timeoutMs: Math.max(1, request.deadlineMs - nowMs), signal: request.unwatch() };
      return { request, bytes: bytes.subarray(request.start, request.end), options };
    });
  }

  // From the caller to the link

  /** Issues an operation. Rejects with a `RingkvError`. */
  run<A extends readonly unknown[], R>(operation: Operation<A, R>, args: A, options?: CallOptions): Promise<R> {
    return new Promise((resolve, reject) => {
      this.#issue(operation, args, options, resolve as (result: unknown) => void, reject);
    });
  }

  #issue<A extends readonly unknown[]>(
    operation: Operation<A, unknown>,
    args: A,
    { timeoutMs = this.#timeoutMs, signal }: CallOptions = {},
    resolve: (result: unknown) => void,
    reject: (error: RingkvError) => void,
  ): void {
    if (this.#lifetime.signal.aborted) throw new ClosedError('the client was closed');
    checkPositive('timeoutMs', timeoutMs);
    if (signal?.aborted) throw new AbortError(`${operation.name} was aborted`, { cause: signal.reason });
    const nowMs = this.#scheduleFlush();
    const queue = this.#queue;
    const span = queue.write(operation, args);
    const request = new Request(operation, span, nowMs + timeoutMs, resolve, reject, this.#settled);
    const refusal = this.#refusal(request);
    if (refusal !== undefined) {
      queue.unwrite(request.start);
      throw refusal;
    }
    queue.push(request);
    this.#openCount++;
    this.#pendingBytes += request.costBytes;
    this.#alarmAt(request.deadlineMs, nowMs);
    if (signal !== undefined) {
      request.watch(signal, () => {
        this.#giveUp(request, new AbortError(`${operation.name} was aborted`, { cause: signal.reason }));
      });
    }
  }

  #refusal(request: Request): RingkvError | undefined {
    const pendingBytes = this.#pendingBytes + request.costBytes;
    if (pendingBytes > this.#pendingBytesMax) {
      return new QueueFullError(
        `with this ${request.operation.name} ${pendingBytes} bytes would be unanswered; pendingBytesMax is ${this.#pendingBytesMax}`,
      );
    }
    return this.#refusalOfServer(request);
  }

  /** For what the server would refuse the whole frame. */
  #refusalOfServer(request: Request): ArgumentError | undefined {
    const { name, count } = request.operation;
    const { maxFrame, maxOperations, maxDepth } = this.#limits;
    if (count > maxOperations) {
      return new ArgumentError(`${name} has ${count} operations; the server takes ${maxOperations} in one frame`);
    }
    const bytes = payloadBytes(request);
    if (bytes > maxFrame) {
      return new ArgumentError(`${name} takes ${bytes} bytes; the server takes ${maxFrame} in one frame`);
    }
    // Beyond the protocol's own depth nothing is encoded.
    if (maxDepth < MAX_VALUE_DEPTH && this.#queue.nestsDeeper(request, maxDepth)) {
      return new ArgumentError(`a value of ${name} nests more than ${maxDepth} deep, which the server does not take`);
    }
    return undefined;
  }

  /** Returns the time of this tick. */
  #scheduleFlush(): number {
    if (!this.#isFlushScheduled) {
      this.#isFlushScheduled = true;
      this.#tickMs = this.#timers.now();
      queueMicrotask(this.#flush);
    }
    return this.#tickMs;
  }

  readonly #flush = (): void => {
    this.#isFlushScheduled = false;
    const link = this.#link;
    if (link === undefined) return;
    const { maxFrame, maxOperations } = this.#limits;
    while (true) {
      const frame = this.#queue.take(Math.min(maxFrame, link.roomBytes), maxOperations);
      if (frame === undefined) break;
      link.send(frame);
    }
    this.#alarmAt(link.silentSinceMs + SILENCE_MAX_MS, this.#tickMs);
  };

  // From the link to the caller

  /** What the channel hears from its link, and from those that did not become it. */
  readonly #linkOwner: LinkOwner = {
    now: () => this.#timers.now(),
    answered: (link, { requests }) => {
      if (link !== this.#link) return;
      for (const request of requests) this.#pendingBytes -= request.costBytes;
      // What is left waiting had no room before.
      if (!this.#queue.isEmpty && !this.#isFlushScheduled) this.#flush();
    },
    drained: (link) => {
      if (link === this.#link) this.#flush();
    },
    ended: (link, cause) => {
      if (link === this.#link) this.#lost(link, cause);
      else for (const { requests } of link.unanswered()) for (const request of requests) request.reject(cause);
    },
  };

  #lost(link: Link, cause: RingkvError): void {
    this.#link = undefined;
    this.#lostCause = cause;
    // A server that takes connections only to drop them is not asked more often for it.
    if (this.#timers.now() - this.#connectedMs > RECONNECT_MAX_MS) this.#attempts = 0;
    if (!this.#hasLeft) {
      this.#tell('reconnecting', cause);
      void this.#reconnect();
    }
    const again: { request: Request; bytes: Uint8Array }[] = [];
    for (const frame of link.unanswered()) {
      for (const request of frame.requests) {
        if (canSendAgain(request, cause)) again.push({ request, bytes: bytesOf(frame) });
        else {
          request.reject(outcomeAfter(cause, request));
          this.#pendingBytes -= request.costBytes;
        }
      }
    }
    this.#queue.putBack(again);
    if (this.#hasLeft) this.#rejectWaiting(() => otherShards());
  }

  /** Settles a request that nobody waits for any longer. */
  #giveUp(request: Request, cause: TimeoutError | AbortError): void {
    if (request.wasSent) request.reject(request.operation.isRead ? cause : new UnknownOutcomeError(cause));
    else this.#rejectUnsent(request, cause);
  }

  #rejectUnsent(request: Request, error: RingkvError): void {
    request.reject(error);
    this.#pendingBytes -= request.costBytes;
    this.#queue.giveUp(request);
  }

  /** A request was settled, whoever did it: the last one lets a channel go that is being closed. */
  readonly #settled = (): void => {
    this.#openCount--;
    this.#finishIfDone();
  };

  /** Everything that was sent or waits, and is neither answered nor given up. */
  *#open(): Generator<Request> {
    for (const { requests } of this.#link?.unanswered() ?? []) {
      for (const request of requests) if (!request.isSettled) yield request;
    }
    for (const request of this.#queue.waiting()) if (!request.isSettled) yield request;
  }

  // Time

  #alarmAt(atMs: number, nowMs: number): void {
    // Closing may have come in the midst of what asks for an alarm.
    if (atMs >= this.#alarmMs || this.#lifetime.signal.aborted) return;
    this.#cancelAlarm?.();
    this.#alarmMs = atMs;
    const delayMs = Math.min(Math.max(atMs - nowMs, ALARM_INTERVAL_MS), ALARM_DELAY_MAX_MS);
    this.#alarmDueMs = nowMs + delayMs;
    this.#cancelAlarm = this.#timers.start(delayMs, this.#alarm);
  }

  readonly #alarm = (): void => {
    this.#alarmMs = Infinity;
    this.#cancelAlarm = undefined;
    const nowMs = this.#timers.now();
    const isLate = nowMs - this.#alarmDueMs > ALARM_LATE_MS;
    // Since the last alarm, all that had come by then has been read.
    const judgedMs = isLate ? this.#alarmRangMs : nowMs;
    this.#alarmRangMs = nowMs;
    let nextMs = Infinity;
    for (const request of [...this.#open()]) {
      if (request.deadlineMs <= judgedMs) this.#giveUp(request, this.#timeoutOf(request));
      else nextMs = Math.min(nextMs, request.deadlineMs);
    }
    const silentSinceMs = this.#link?.silentSinceMs ?? Infinity;
    if (judgedMs - silentSinceMs >= SILENCE_MAX_MS) {
      this.#link?.destroy(new ConnectionError(`the server owes replies and was silent for ${SILENCE_MAX_MS} ms`));
    } else nextMs = Math.min(nextMs, silentSinceMs + SILENCE_MAX_MS);
    this.#alarmAt(nextMs, nowMs);
  };

  #timeoutOf({ operation, wasSent }: Request): TimeoutError {
    if (wasSent) return new TimeoutError(`no reply to ${operation.name} in time`);
    const cause = this.#link === undefined ? this.#lostCause : undefined;
    const why = cause === undefined ? 'the server takes no more' : `not connected: ${cause.message}`;
    return new TimeoutError(`${operation.name} could not be sent in time: ${why}`, { cause });
  }

  // The connection

  #adopt({ link, hello }: Dialled): void {
    const { signal } = this.#lifetime;
    // The server has said hello in the turn in which the channel became needless.
    if (signal.aborted) link.destroy(signal.reason as RingkvError);
    if (link.endCause !== undefined) throw link.endCause;
    this.#link = link;
    this.#connections++;
    this.#connectedMs = this.#timers.now();
    this.#lostCause = undefined;
    this.#limits = hello;
    this.#tell('connected');
    // This server may take less than the one before.
    this.#rejectWaiting((request) => this.#refusalOfServer(request));
    this.#owner.hello(hello);
    this.#scheduleFlush();
  }

  async #reconnect(): Promise<void> {
    await this.#pause(backOffMs(this.#attempts++));
    await this.#connect();
  }

  async #connect(): Promise<void> {
    const { signal } = this.#lifetime;
    while (!signal.aborted) {
      try {
        this.#adopt(await dial(this.#dialOptions, this.#linkOwner, signal));
        return;
      } catch (error) {
        if (signal.aborted) return;
        const cause = error as RingkvError;
        this.#lostCause = cause;
        // Being full passes; a wrong token or version has to be told.
        const isRefused = cause instanceof ServerError && cause.code !== ErrorCode.BUSY;
        if (isRefused) this.#rejectWaiting(() => cause);
      }
      await this.#pause(backOffMs(this.#attempts++));
    }
  }

  #pause(delayMs: number): Promise<void> {
    return new Promise((resolve) => {
      const cancel = this.#timers.start(delayMs, resolve);
      this.#stopPause = () => {
        cancel();
        resolve();
      };
    });
  }

  #rejectWaiting(reason: (request: Request) => RingkvError | undefined): void {
    for (const request of [...this.#queue.waiting()]) {
      const error = request.isSettled ? undefined : reason(request);
      if (error !== undefined) this.#rejectUnsent(request, error);
    }
  }

  /** Once the channel is being closed and everything is settled, the connection can go. */
  #finishIfDone(): void {
    if (this.#closed === undefined || this.#lifetime.signal.aborted || this.#openCount > 0) return;
    const reason = new ClosedError('the client was closed');
    this.#lifetime.abort(reason);
    this.#stopPause?.();
    this.#cancelAlarm?.();
    const link = this.#link;
    this.#link = undefined;
    const done = (): void => {
      this.#tell('closed');
      this.#resolveClosed?.();
    };
    if (link === undefined) done();
    else {
      const cancel = this.#timers.start(CLOSE_GRACE_MS, () => link.abandon());
      link.finish(reason, () => {
        cancel();
        done();
      });
    }
  }

  #tell(state: ChannelState, cause?: RingkvError): void {
    queueMicrotask(() => this.#owner.state(state, cause));
  }
}

/** Whether a request that was in flight when the link ended may be sent on the next one. */
function canSendAgain({ isSettled, operation }: Request, cause: RingkvError): boolean {
  return !isSettled && operation.isRead && cause instanceof ConnectionError;
}

/** What became of a request that was in flight when the link ended and can't be sent again. */
function outcomeAfter(cause: RingkvError, { operation }: Request): RingkvError {
  // What the server refused as a whole it has not done.
  if (cause instanceof ServerError) return cause;
  if (operation.isRead && cause instanceof ProtocolError) return cause;
  return new UnknownOutcomeError(cause);
}

function bytesOf(frame: SentFrame): Uint8Array {
  if (frame.bytes === undefined) throw new Error('a frame with reads in it was sent without a copy');
  return frame.bytes;
}
