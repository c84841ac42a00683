/** One shard on the thread that calls: its engine and its transport, put together. */
import { type EngineLimits, type Eviction, PROTOCOL_LIMITS } from '../core/engine/engine.ts';
import type { Info } from '../core/info.ts';
import type { ConnectionLimits } from '../core/server/limits.ts';
import { Shard } from '../core/server/shard.ts';
import { ALL_SLOTS, type ShardMap } from '../core/slots.ts';
import { formatAddress, parseAddress } from '../transports/address.ts';
import type { BlockedThread, Listener, TlsSecrets, TransportName, TransportOptions } from '../transports/transport.ts';
import { createTransport } from '../transports/transports.ts';
import { currentRuntime } from './choose.ts';
import type { Engine, EngineName } from './engine.ts';
import { createServingEngine } from './engine-memory.ts';
import type { LogKeeper } from './log/keeper.ts';
import { ShardLog, type ShardLogSettings } from './log/shard-log.ts';
import { packageVersion } from './package.ts';
import { createGuard, type TokenHash } from './tokens.ts';
import { delayTurns } from './turn-delay.ts';

/** What requests may hold, and what connections may cost. */
export interface ServerLimits extends ConnectionLimits, EngineLimits {}

/** What is read from files, and may be read anew. */
export interface Secrets {
  /** Who is let in. Default: everyone. */
  readonly tokens?: readonly TokenHash[] | undefined;
  /** What a server at `tls://` or `wss://` shows and trusts. */
  readonly tls?: TlsSecrets | undefined;
}

/** Plain data, so that it can be given to a thread. */
export interface ShardSettings {
  readonly listen: string;
  readonly transport: TransportName;
  readonly engine: EngineName;
  /** Default: that of `ShardOptions`. */
  readonly maxFrameBytes?: number | undefined;
  /** Default: that of `EngineOptions`. */
  readonly memoryBytesMax?: number | undefined;
  /** Default: that of `EngineOptions`. */
  readonly eviction?: Eviction | undefined;
  /** Default: `PROTOCOL_LIMITS` and `DEFAULT_CONNECTION_LIMITS`. */
  readonly limits?: Partial<ServerLimits> | undefined;
  readonly secrets?: Secrets | undefined;
  /** Where the data is kept. Default: nowhere but in memory. */
  readonly log?: ShardLogSettings | undefined;
  /**
   * Which of the server's shards this is, counted from 0, and all of them, as far as their addresses are known before they
   * listen. Default: the only one, with all slots, where it listens.
   */
  readonly among?: { readonly shard: number; readonly map: ShardMap } | undefined;
}

export interface OpenShard {
  /** Where it listens, with the real port. */
  readonly address: string;
  /** What others need of the thread, if the transport blocks it. */
  readonly thread: BlockedThread | undefined;
  /** What HELLO and `MOVED` tell of all shards. */
  map: ShardMap;
  /** What INFO answers. */
  info(): Info<string | number>;
  /** Takes others than before. */
  setSecrets(secrets: Secrets): void;
  /** Begins a snapshot of everything up to now. Without a log it does nothing. */
  snapshot(): void;
  /**
   * As `Listener.close`; then the log, if there is one, is made durable and closed, and before that `syncing` is called. Rejects with
   * an `Error` when it could not be made durable.
   */
  close(graceMs: number, syncing?: () => void): Promise<void>;
}

/** What a shard with a log is given besides its settings. */
export interface LogServices {
  readonly keeper?: LogKeeper;
  /** Told, in one line, of what an operator has to know. */
  readonly report?: (line: string) => void;
}

/**
 * Opens a shard on this thread, which has other things to do, or with `ownsThread` nothing else; it accepts connections once
 * this resolves. Rejects with an `Error` when the address is none or can't be listened at, and when the transport can't run
 * here; the message says why and what would help.
 */
export async function openShard(
  settings: ShardSettings,
  options: TransportOptions & LogServices = {},
): Promise<OpenShard> {
  const { among, maxFrameBytes, memoryBytesMax, secrets = {} } = settings;
  const { engineLimits, connectionLimits } = divideLimits(settings.limits);
  const runtime = currentRuntime();
  const transport = createTransport(settings.transport, options);
  const asked = parseAddress(settings.listen);
  const alone = (url: string): ShardMap => [[ALL_SLOTS.first, ALL_SLOTS.last, url]];
  const open = { map: among?.map ?? alone(formatAddress(asked)) };
  const [first, last] = open.map[among?.shard ?? 0]!;
  const engine = await createServingEngine(settings.engine, {
    slots: { first, last },
    limits: engineLimits,
    redo: settings.log !== undefined,
    ...(settings.eviction === undefined ? {} : { eviction: settings.eviction }),
    ...(memoryBytesMax === undefined ? {} : { memoryBytesMax }),
  });
  const log = settings.log && (await openLog(settings.log, engine, options));
  const shard = new Shard({
    engine,
    log: log?.committer,
    identity: { version: packageVersion, runtime: `${runtime.name}/${runtime.version}`, transport: transport.name },
    now: Date.now,
    shards: () => open.map,
    guard: guardOf(secrets),
    limits: connectionLimits,
    ...(maxFrameBytes === undefined ? {} : { maxFrameBytes }),
    processFigures() {
      const { userMicros, systemMicros } = runtime.cpuTime();
      return { pid: runtime.pid, cpuUserMicros: userMicros, cpuSystemMicros: systemMicros, ...runtime.memoryUse() };
    },
  });
  delayTurns(shard, runtime);
  let listener: Listener;
  try {
    listener = await transport.listen(asked, shard, secrets.tls);
  } catch (error) {
    await log?.close();
    throw error;
  }
  shard.requestTurn = () => listener.requestTurn();
  log?.listening(listener, () => shard.flush());
  const address = formatAddress(listener.address);
  if (among === undefined) open.map = alone(address);
  return Object.assign(open, {
    address,
    info: () => shard.info(),
    setSecrets(renewed: Secrets) {
      if (renewed.tls !== undefined) listener.renewTls?.(renewed.tls);
      shard.guard = guardOf(renewed);
    },
    snapshot: () => log?.snapshot(),
    async close(graceMs: number, syncing?: () => void) {
      try {
        await listener.close(graceMs);
      } finally {
        if (log !== undefined) syncing?.();
        await log?.close();
      }
    },
    thread: listener.thread,
  });
}

function guardOf({ tokens }: Secrets) {
  return tokens === undefined ? undefined : createGuard(tokens);
}

/** Each of the limits goes to who keeps it. */
function divideLimits(limits: Partial<ServerLimits> = {}) {
  const isEngine = ([name]: readonly [string, unknown]): boolean => name in PROTOCOL_LIMITS;
  const given = Object.entries(limits).filter(([, value]) => value !== undefined);
  return {
    engineLimits: Object.fromEntries(given.filter(isEngine)) as Partial<EngineLimits>,
    connectionLimits: Object.fromEntries(given.filter((one) => !isEngine(one))) as Partial<ConnectionLimits>,
  };
}

function openLog(settings: ShardLogSettings, engine: Engine, { keeper, report }: LogServices): Promise<ShardLog> {
  if (keeper === undefined || report === undefined)
    throw new TypeError('a log needs a keeper and somebody to report to');
  return ShardLog.open(settings, { engine, keeper, report, now: Date.now, elapsed: () => performance.now() });
}
