/**
 * The client: the operations of a server, sent to the shard whose keys they are about. To each shard there is a channel,
 * opened when it is first needed; a server of one shard has one.
 */
import { addUpInfo } from '../info.ts';
import { Writer } from '../msgpack.ts';
import type { ShardMap } from '../slots.ts';
import { Batch } from './batch.ts';
import { Channel, type ChannelState, type TakenBack } from './channel.ts';
import { Deadline } from './deadline.ts';
import { BatchError, ClosedError, RingkvError, UnknownOutcomeError } from './errors.ts';
import { type CallOptions, DEFAULT_SCAN_COUNT, Methods, type ScannedKey, type ScanOptions } from './methods.ts';
import { OperationWriter } from './operation-writer.ts';
import { joinOperations, type Operation, operations, type ServerHello } from './operations.ts';
import {
  ANY_SHARD,
  combine,
  EVERY_SHARD,
  encoded,
  isMoved,
  isSameMap,
  ONE_SHARD,
  otherShards,
  type Part,
  partsOf,
  type Route,
  resultOfBatch,
  routeOf,
  shardsOfSlots,
} from './routing.ts';
import { type ClientOptions, type ClientState, type Connect, DEFAULT_TIMEOUT_MS } from './settings.ts';
import { decodeKey } from './values.ts';

/**
 * A server's keys and values.
 *
 * An operation is given up after its time-out or when its signal is aborted. If it had not been sent, or was a read, it
 * rejects with `TimeoutError` or `AbortError`; a write that was sent rejects with `UnknownOutcomeError`.
 *
 * A lost connection is opened again, for as long as it takes, with growing pauses. Meanwhile operations wait, up to their
 * time-outs. Reads that were in flight are sent again; writes that were in flight reject with `UnknownOutcomeError`,
 * and are never sent twice. When the server refuses everything that is in flight (it is full, or wants a token), that
 * rejects with `ServerError`. Of a server of several shards, all this holds for each of them.
 */
export class Client extends Methods<'promise'> implements AsyncDisposable {
  readonly #options: ClientOptions;
  readonly #timeoutMs: number;
  /** To the address that the client was given. */
  readonly #home: Channel;
  /** All that are not closed, and what they said of their states. */
  readonly #channels = new Map<Channel, ChannelState>();
  #toldState: ClientState | undefined;

  /** Where operations are encoded whose way is still to be found. */
  readonly #writer = new OperationWriter();

  #map = ONE_SHARD;
  /** The channel to the only shard; undefined when there are several. */
  #only: Channel | undefined;
  /** For each slot, the number of its shard, when there are several. */
  #shardOfSlot = new Uint16Array();
  /** To the shards of the map, by their addresses, as far as they were needed. */
  readonly #shardChannels = new Map<string, Channel>();
  /** The map is asked for. */
  #learning: Promise<void> | undefined;
  /** What may still go from one shard to another. */
  readonly #routed = new Set<Promise<unknown>>();
  #closed: Promise<void> | undefined;

  /** Resolves once the server has said hello. Rejects, without trying again, as `dial` does. */
  static async open(options: ClientOptions): Promise<Client> {
    const client = new Client(options);
    await client.#home.open();
    return client;
  }

  private constructor(options: ClientOptions) {
    super();
    this.#options = options;
    this.#timeoutMs = options.timeoutMs ?? DEFAULT_TIMEOUT_MS;
    this.#home = this.#newChannel(options.connect);
    this.#only = this.#home;
  }

  /** `reconnecting` when a connection to any shard was lost and is not open again. */
  get state(): ClientState {
    return stateOf([...this.#channels.keys()].map(({ state }) => state));
  }

  /**
   * Operations that travel and run as one, of several shards: those of each shard. See `Batch`.
   */
  batch<T extends unknown[] = []>(): Batch<'promise', T> {
    return new Batch<'promise', T>((all, bytes, options) => this.#runBatch(all, bytes, options));
  }

  /**
   * All keys, in no particular order. A key that is there throughout is given at least once; what is set or deleted
   * meanwhile may be given or not. When the connection is lost the scan of its shard starts anew, since the server may be
   * another one, and gives again what it gave; so does all of it when the server has other shards than before.
   */
  async *scan<const O extends ScanOptions = Record<never, never>>(
    options?: O,
    callOptions?: CallOptions,
  ): AsyncGenerator<ScannedKey<O>, void, undefined> {
    const { prefix, count = DEFAULT_SCAN_COUNT, keys = 'text' }: ScanOptions = options ?? {};
    let map: ShardMap | undefined;
    let shard = 0;
    let cursor = 0n;
    let connection = 0;
    while (true) {
      if (map !== this.#map) {
        map = this.#map;
        shard = 0;
        cursor = 0n;
      }
      if (shard === map.length) return;
      this.#checkOpen();
      const channel = this.#channelOf(shard);
      const page = await channel.run(operations.scan, [cursor, count, prefix], callOptions).catch((error: unknown) => {
        if (map === this.#map) throw error;
      });
      if (page === undefined || map !== this.#map) continue;
      if (cursor !== 0n && connection !== channel.connections) {
        cursor = 0n;
        continue;
      }
      connection = channel.connections;
      for (const key of page.keys) yield (keys === 'bytes' ? key : decodeKey(key)) as ScannedKey<O>;
      cursor = page.cursor;
      if (cursor === 0n) shard++;
    }
  }

  /** What the server tells of itself. */
  hello(options?: CallOptions): Promise<ServerHello> {
    return this.#issue(() => this.#hello(this.#home, options));
  }

  /** The server's figures; of several shards, added up. */
  async info(options?: CallOptions): Promise<Readonly<Record<string, unknown>>> {
    return addUpInfo(await this.#issue(() => this.#askEvery(operations.info, [], options)));
  }

  /**
   * Takes no more operations, waits until those that were issued are answered or given up, and closes the connections.
   * Twice is fine.
   */
  close(): Promise<void> {
    this.#closed ??= this.#finish();
    return this.#closed;
  }

  async #finish(): Promise<void> {
    while (this.#channels.size > 0) {
      await Promise.allSettled(this.#routed);
      await Promise.all([...this.#channels.keys()].map((channel) => channel.close()));
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  // To one shard, and to several

  protected override run<A extends readonly unknown[], R>(
    operation: Operation<A, R>,
    args: A,
    options?: CallOptions,
  ): Promise<R> {
    // Should the server come back with several shards, `#adoptMap` takes back what it has not got yet.
    const only = this.#only;
    return only !== undefined && this.#closed === undefined
      ? only.run(operation, args, options)
      : this.#issue(() => this.#route(encoded(operation), this.#encode(operation, args), options));
  }

  #runBatch<T extends unknown[]>(
    all: readonly Operation<never, unknown>[],
    bytes: Uint8Array,
    options: CallOptions | undefined,
  ): Promise<T> {
    return this.#only === undefined
      ? this.#issue(() => this.#routeBatch<T>(all, bytes, options))
      : this.run(joinOperations<T>(all), [bytes], options);
  }

  /** Runs what may go from one shard to another; until that is done no connection is closed. */
  async #issue<R>(routed: () => Promise<R>): Promise<R> {
    this.#checkOpen();
    return await this.#track(routed());
  }

  #track<R>(routed: Promise<R>): Promise<R> {
    const forget = (): void => void this.#routed.delete(routed);
    this.#routed.add(routed);
    routed.then(forget, forget);
    return routed;
  }

  #encode<A extends readonly unknown[]>(operation: Operation<A, unknown>, args: A): Uint8Array {
    this.#writer.clear();
    this.#writer.operation(operation, args);
    return this.#writer.copy();
  }

  /** Runs what was issued to the only shard there was, and not sent. */
  #routeAnew({ request, bytes, options }: TakenBack): void {
    const { operation } = request;
    const routed =
      operation.parts === undefined
        ? this.#route(encoded(operation), bytes, options)
        : this.#routeBatch(operation.parts, bytes, options);
    this.#track(routed).then(
      (result) => request.resolve(result),
      (error: RingkvError) => request.reject(error),
    );
  }

  async #route<R>(
    operation: Operation<[bytes: Uint8Array], R>,
    bytes: Uint8Array,
    options: CallOptions | undefined,
  ): Promise<R> {
    const route = routeOf(bytes);
    if (route === EVERY_SHARD) return combine(operation, await this.#askEvery(operation, [bytes], options)) as R;
    const follow = this.#follower(operation.name, options);
    const channel = this.#channelOn(route);
    try {
      return await channel.run(operation, [bytes], options);
    } catch (error) {
      if (!isMoved(error)) throw error;
      const rest = await follow(channel);
      return await this.#channelOn(route).run(operation, [bytes], rest);
    }
  }

  async #routeBatch<T extends unknown[]>(
    all: readonly Operation<never, unknown>[],
    bytes: Uint8Array,
    options: CallOptions | undefined,
  ): Promise<T> {
    const parts = partsOf(all, bytes);
    const follow = this.#follower('the batch', options);
    const { results, refused, movedBy } = await this.#runParts(parts, options);
    if (movedBy === undefined) return resultOfBatch<T>(results, refused);
    const moved = [...parts.keys()].filter((place) => isMoved(results[place]));
    // When it is given up, what was done is told nevertheless.
    const again = await follow(movedBy).then(
      (rest) => this.#runParts(pick(parts, moved), rest),
      (error: RingkvError) => ({ results: moved.map(() => error), refused: [error] }),
    );
    for (const [i, place] of moved.entries()) results[place] = again.results[i];
    return resultOfBatch<T>(results, [...refused.filter((error) => !isMoved(error)), ...again.refused]);
  }

  /**
   * Runs these parts of a batch, each shard's as one batch. Resolves to their results, the errors with which shards' batches
   * failed as a whole, and a shard that owned not all it was asked for.
   */
  async #runParts(
    parts: readonly Part[],
    options: CallOptions | undefined,
  ): Promise<{ results: unknown[]; refused: RingkvError[]; movedBy: Channel | undefined }> {
    const map = this.#map;
    /** The places of those that each shard runs. */
    const shares = new Map<Channel, number[]>();
    for (const [place, { route }] of parts.entries()) {
      for (const channel of route === EVERY_SHARD ? this.#everyChannel() : [this.#channelOn(route)]) {
        const share = shares.get(channel);
        if (share === undefined) shares.set(channel, [place]);
        else share.push(place);
      }
    }
    const answers: unknown[][] = parts.map(() => []);
    const refused: RingkvError[] = [];
    let movedBy: Channel | undefined;
    const runShare = async ([channel, share]: [Channel, number[]]): Promise<void> => {
      const writer = new Writer();
      for (const { bytes } of pick(parts, share)) writer.raw(bytes);
      const joined = joinOperations(pick(parts, share).map(({ operation }) => operation));
      const given = await channel.run(joined, [writer.view()], options).catch((error: RingkvError) => {
        if (error instanceof BatchError) return error.results;
        refused.push(error);
        return share.map(() => error);
      });
      if (given.some(isMoved)) movedBy = channel;
      for (const [i, place] of share.entries()) answers[place]!.push(given[i]);
    };
    await Promise.all([...shares].map(runShare));
    const results = parts.map(({ operation }, place) => combine(operation, answers[place]!));
    if (map === this.#map) return { results, refused, movedBy };
    for (const [place, { route, operation }] of parts.entries()) {
      const result = results[place];
      if (route !== EVERY_SHARD || (result instanceof RingkvError && !isMoved(result))) continue;
      // Not all shards there are now have answered; but to clear once more could undo what stands after it in the batch.
      results[place] = operation.isRead ? otherShards() : new UnknownOutcomeError(otherShards());
      movedBy ??= this.#home;
    }
    return { results, refused, movedBy };
  }

  /**
   * Runs an operation on every shard; it may be run twice. Rejects when one of them fails, once all have answered; the
   * others have done it nevertheless.
   */
  async #askEvery<A extends readonly unknown[], R>(
    operation: Operation<A, R>,
    args: A,
    options: CallOptions | undefined,
  ): Promise<R[]> {
    const ask = async (given: CallOptions | undefined): Promise<(R | RingkvError)[]> => {
      const map = this.#map;
      const asked = this.#everyChannel().map((channel) => channel.run(operation, args, given));
      const answers = await Promise.all(asked.map((answer) => answer.catch((error: RingkvError) => error)));
      return map === this.#map ? answers : [...answers, otherShards()];
    };
    const follow = this.#follower(operation.name, options);
    const first = await ask(options);
    const failed = first.filter((answer) => answer instanceof RingkvError);
    if (failed.length === 0) return first as R[];
    if (!failed.every(isMoved)) throw combine(operation, first);
    const again = await follow(this.#home).then(ask, (error: RingkvError) => [error]);
    if (again.some((answer) => answer instanceof RingkvError)) throw combine(operation, [...again, ...first]);
    return again as R[];
  }

  #checkOpen(): void {
    if (this.#closed !== undefined) throw new ClosedError('the client was closed');
  }

  // The shards

  #everyChannel(): readonly Channel[] {
    return this.#map.map((_, shard) => this.#channelOf(shard));
  }

  /** The channel for an operation that goes to one shard. */
  #channelOn(route: Route): Channel {
    return route === ANY_SHARD ? this.#home : this.#channelOf(this.#shardOfSlot[route] ?? 0);
  }

  /** The channel to a shard of the map, which is opened when there is none. */
  #channelOf(shard: number): Channel {
    if (this.#only !== undefined) return this.#only;
    const [, , url] = this.#map[shard]!;
    const open = this.#shardChannels.get(url);
    if (open !== undefined) return open;
    const connect = this.#options.connectShard(url);
    const channel = connect === this.#options.connect ? this.#home : this.#newChannel(connect);
    if (channel !== this.#home) channel.start();
    this.#shardChannels.set(url, channel);
    return channel;
  }

  #newChannel(connect: Connect): Channel {
    const channel: Channel = new Channel(
      { ...this.#options, connect },
      {
        hello: ({ shards }) => this.#adoptMap(shards),
        state: (state, cause) => this.#heardState(channel, state, cause),
      },
    );
    this.#channels.set(channel, 'connecting');
    return channel;
  }

  /** The server has told of its shards, maybe of others than before. */
  #adoptMap(told: ShardMap): void {
    const map = told.length === 0 ? ONE_SHARD : told;
    if (isSameMap(map, this.#map)) return;
    const onlyBefore = this.#only;
    this.#map = map;
    this.#only = map.length === 1 ? this.#home : undefined;
    this.#shardOfSlot = map.length === 1 ? new Uint16Array() : shardsOfSlots(map);
    const urls = new Set(map.map(([, , url]) => url));
    for (const [url, channel] of this.#shardChannels) {
      if (this.#only === undefined && urls.has(url)) continue;
      this.#shardChannels.delete(url);
      if (channel !== this.#home) channel.leave();
    }
    // None of it was sent to this server: a connection begins with HELLO, which tells of the shards.
    if (this.#only === undefined) for (const taken of onlyBefore?.takeBack() ?? []) this.#routeAnew(taken);
  }

  /**
   * What to do when a shard says that a key is not its own: ask it for the map, unless there has been another one since the
   * operation was sent. Resolves to the options for the operation's second attempt, which is the last; rejects when it was
   * given up before.
   */
  #follower(name: string, options: CallOptions | undefined): (channel: Channel) => Promise<CallOptions> {
    const map = this.#map;
    const deadline = new Deadline(name, this.#options.timers, this.#timeoutMs, options);
    return async (channel) => {
      if (map === this.#map) {
        this.#learning ??= this.#learn(channel);
        await deadline.wait(this.#learning);
      }
      return deadline.rest;
    };
  }

  async #learn(channel: Channel): Promise<void> {
    // An operation may have for ever, but this is of the client: nothing else would end it when the server is silent.
    const timeoutMs = Math.min(this.#timeoutMs, DEFAULT_TIMEOUT_MS);
    try {
      this.#adoptMap((await this.#hello(channel, { timeoutMs })).shards);
    } catch {
      // The operation is tried again all the same, and tells what is wrong.
    } finally {
      this.#learning = undefined;
    }
  }

  #hello(channel: Channel, options?: CallOptions): Promise<ServerHello> {
    const { token, name } = this.#options;
    return channel.run(operations.hello, [{ token, name }], options);
  }

  #heardState(channel: Channel, state: ChannelState, cause: RingkvError | undefined): void {
    this.#channels.set(channel, state);
    const all = stateOf(this.#channels.values());
    if (state === 'closed') this.#channels.delete(channel);
    if (all === this.#toldState) return;
    this.#toldState = all;
    this.#options.onState?.(all, cause);
  }
}

/** What several channels are together. One that is opened for the first time has lost nothing. */
function stateOf(channels: Iterable<ChannelState>): ClientState {
  const states = [...channels];
  if (states.every((state) => state === 'closed')) return 'closed';
  return states.includes('reconnecting') ? 'reconnecting' : 'connected';
}

/** Those that stand at these places. */
function pick<T>(all: readonly T[], places: readonly number[]): T[] {
  return places.map((place) => all[place]!);
}
