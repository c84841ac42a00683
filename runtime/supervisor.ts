/**
 * The shards of a server, each in a thread of its own: started together, started again when one dies, closed together. The
 * thread that supervises serves nobody, so it is free for signals whatever the shards are at, and never waits long for one
 * that is stuck: figures are then given without it, and at the close its thread is ended. It is not started again: nothing
 * tells it from one that has much to do.
 */
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { addUpInfo, type Info } from '../core/info.ts';
import { divideSlots, type ShardMap } from '../core/slots.ts';
import { formatAddress, parseAddress } from '../transports/address.ts';
import type { Address } from '../transports/transport.ts';
import { shardDirectory } from './disk/data-directory.ts';
import { createKeeper, type DirectoryKeeper } from './log/keeper.ts';
import type { DataSettings } from './log/shard-log.ts';
import { packageFolder } from './package.ts';
import type { Secrets, ShardSettings } from './shard.ts';
import { ShardThread } from './shard-thread.ts';

/** Pause before a shard that died is started again; it doubles each time it dies again soon. Unit: milliseconds. */
const RESTART_FIRST_MS = 50;

/** Longest pause. Unit: milliseconds. */
const RESTART_MAX_MS = 10_000;

/** A shard that has lived for so long is not one that keeps dying. Unit: milliseconds. */
const LASTING_MS = 60_000;

/** What a shard's thread runs. Threads run compiled scripts, also when the rest runs from its sources. */
const SHARD_SCRIPT = join(packageFolder, 'dist', 'runtime', 'shard-worker.js');

export interface SupervisorOptions extends Omit<ShardSettings, 'among' | 'log'> {
  /** Where each shard keeps its data: in a directory of its own within `data`. Default: nowhere but in memory. */
  readonly log?: DataSettings | undefined;
  /** How many, 1 or more. The first listens at `listen`, the others beside it: see `shardAddress`. */
  readonly shards: number;
  /** Told, in one line, of each shard that died. MUST NOT throw. */
  readonly report: (line: string) => void;
  /** The script of the threads, absolute and compiled. Default: that of a shard. */
  readonly script?: string;
}

export class Supervisor {
  readonly #options: SupervisorOptions;
  #secrets: Secrets | undefined;
  /** Of all shards, with their real addresses once they listen. */
  #map: ShardMap;
  /** For the log of each shard, if they have one. */
  readonly #keepers: readonly (DirectoryKeeper | undefined)[];
  #threads: ShardThread[] = [];
  #closed: Promise<void> | undefined;
  /** Ends the pauses before shards are started again. */
  readonly #closing = new AbortController();

  /**
   * Starts the shards; they accept connections once this resolves. Rejects, none being left, with the `Error` of one that
   * could not be started.
   */
  static async start(options: SupervisorOptions): Promise<Supervisor> {
    const supervisor = new Supervisor(options);
    await supervisor.#start();
    return supervisor;
  }

  private constructor(options: SupervisorOptions) {
    this.#options = options;
    this.#secrets = options.secrets;
    const base = parseAddress(options.listen);
    const slots = divideSlots(options.shards);
    this.#map = slots.map(({ first, last }, shard) => [first, last, shardAddress(base, shard)]);
    const { log, engine } = options;
    this.#keepers = slots.map((range) => log && createKeeper(log, engine, range));
  }

  /** Where the shards listen, in their order. */
  get addresses(): readonly string[] {
    return this.#map.map(([, , url]) => url);
  }

  /**
   * The figures of all shards, added up. One that has died and was not started again yet is missing, and so is one that does
   * not answer within `ANSWER_TIMEOUT_MS`.
   */
  async info(): Promise<Info<string | number>> {
    const infos = await Promise.all(this.#threads.map((thread) => thread.info()));
    return addUpInfo(infos.filter((info) => info !== undefined));
  }

  /**
   * Gives all shards others than before, and those that are started again. Rejects when one can't use them; then all have those
   * that they had.
   */
  async setSecrets(secrets: Secrets): Promise<void> {
    const before = this.#secrets;
    const threads = [...this.#threads];
    try {
      await Promise.all(threads.map((thread) => thread.setSecrets(secrets)));
    } catch (error) {
      await Promise.all(threads.map((thread) => before && thread.setSecrets(before)));
      throw error;
    }
    this.#secrets = secrets;
    // Those that were started again meanwhile got what was right before.
    const newer = this.#threads.filter((thread) => !threads.includes(thread));
    await Promise.all(newer.map((thread) => thread.setSecrets(secrets)));
  }

  /** Begins a snapshot of each shard. */
  snapshot(): void {
    for (const thread of this.#threads) thread.snapshot();
  }

  /**
   * Closes all shards as `Listener.close` does, and ends their threads. Rejects, after that, with an `Error` of those that did not end
   * in order. Twice is fine.
   */
  close(graceMs: number): Promise<void> {
    this.#closed ??= this.#close(graceMs);
    return this.#closed;
  }

  async #start(): Promise<void> {
    this.#threads = this.#map.map((_, shard) => this.#startThread(shard));
    let addresses: string[];
    try {
      addresses = await Promise.all(this.#threads.map(({ listening }) => listening));
    } catch (error) {
      // What could not be started is what to tell.
      await this.close(0).catch(() => {});
      throw error;
    }
    this.#map = this.#map.map(([first, last], shard) => [first, last, addresses[shard]!]);
    for (const shard of this.#threads.keys()) void this.#watch(shard);
    await Promise.all(this.#threads.map((thread) => thread.setMap(this.#map)));
  }

  #startThread(shard: number): ShardThread {
    const { shards: _, report, script = SHARD_SCRIPT, log, ...settings } = this.#options;
    const [first, last, listen] = this.#map[shard]!;
    const own: ShardSettings = {
      ...settings,
      secrets: this.#secrets,
      listen,
      among: { shard, map: this.#map },
      log: log && { ...log, directory: shardDirectory(log.data, { first, last }) },
    };
    return new ShardThread(script, `shard ${shard}`, own, { keeper: this.#keepers[shard], report });
  }

  /** Starts a shard again, at its address and with its slots, each time it dies. */
  async #watch(shard: number): Promise<void> {
    const { signal } = this.#closing;
    let pauseMs = RESTART_FIRST_MS;
    while (!signal.aborted) {
      const startedMs = performance.now();
      const cause = await this.#threads[shard]!.ended;
      if (signal.aborted) return;
      if (performance.now() - startedMs > LASTING_MS) pauseMs = RESTART_FIRST_MS;
      const where = `shard ${shard} at ${this.#map[shard]![2]}`;
      const holding = this.#keepers[shard] === undefined ? 'empty' : 'from its log';
      this.#options.report(
        `${where} has died and is started again, ${holding}, in ${pauseMs} ms: ${oneLine(cause.message)}`,
      );
      await sleep(pauseMs, undefined, { signal }).catch(() => {});
      if (signal.aborted) return;
      pauseMs = Math.min(pauseMs * 2, RESTART_MAX_MS);
      await this.#keepers[shard]?.stop();
      if (signal.aborted) return;
      this.#threads[shard] = this.#startThread(shard);
    }
  }

  async #close(graceMs: number): Promise<void> {
    this.#closing.abort();
    const closed = await Promise.allSettled(this.#threads.map((thread) => thread.close(graceMs)));
    await Promise.all(this.#keepers.map((keeper) => keeper?.stop()));
    const failures = closed.filter(({ status }) => status === 'rejected') as readonly PromiseRejectedResult[];
    if (failures.length > 0) throw new Error(failures.map(({ reason }) => oneLine(reason.message)).join('; '));
  }
}

/**
 * Where a shard listens, counted from 0: `tcp://host:port` at the port that is its number higher, at any free one when the
 * port is 0; `unix:/path` at `/path`, `/path.1`, `/path.2`, … Throws a `TypeError` when that can't be.
 */
function shardAddress(base: Address, shard: number): string {
  const text = formatAddress(addressBeside(base, shard));
  // The port may have become too high, the path too long.
  parseAddress(text);
  return text;
}

function addressBeside(base: Address, shard: number): Address {
  switch (base.kind) {
    case 'tcp':
    case 'tls':
    case 'ws':
    case 'wss':
      return { ...base, port: base.port === 0 ? 0 : base.port + shard };
    case 'unix':
      return { ...base, path: shard === 0 ? base.path : `${base.path}.${shard}` };
    case 'memory':
      throw new TypeError(`${formatAddress(base)} can't be shared by threads`);
  }
}

function oneLine(text: string): string {
  return text.replaceAll(/\s*\n\s*/g, ' ');
}
