/**
 * The server: an engine, a shard and a transport, put together on the machine that runs it.
 *
 * ```ts
 * import { startServer } from 'ringkv/server';
 *
 * await using server = await startServer({ listen: 'tcp://127.0.0.1:0' });
 * console.log(server.address); // tcp://127.0.0.1:40123
 * ```
 */
import { resolve } from 'node:path';
import type { Eviction } from '../core/engine/engine.ts';
import { FSYNC_POLICIES, type FsyncPolicy } from '../core/log/committer.ts';
import { DEFAULT_SEGMENT_BYTES } from '../core/log/segments.ts';
import { ALL_SLOTS, divideSlots } from '../core/slots.ts';
import { formatAddress, isReachedFromOutside, isSecure, parseAddress } from '../transports/address.ts';
import type { Address, TransportName } from '../transports/transport.ts';
import { currentRuntime } from './choose.ts';
import { DEFAULT_MAX_LOG_BYTES, MAX_LOG_BYTES_MIN, MAX_SHARDS } from './defaults.ts';
import { openDataDirectory, shardDirectory } from './disk/data-directory.ts';
import { resolveEndpoint } from './endpoint.ts';
import type { EngineName } from './engine.ts';
import { createKeeper } from './log/keeper.ts';
import type { DataSettings } from './log/shard-log.ts';
import { toStderr, withoutThrowing } from './report.ts';
import { type OpenShard, openShard, type Secrets, type ServerLimits, type ShardSettings } from './shard.ts';
import type { SupervisorOptions } from './supervisor.ts';
import { loadTls, type TlsFiles, whyNotNow } from './tls.ts';
import { loadTokens, type TokenSources } from './tokens.ts';
import { assertDelayable } from './turn-delay.ts';

export type { EngineName, Eviction, FsyncPolicy, ServerLimits, TransportName };
export { DEFAULT_MAX_LOG_BYTES, MAX_SHARDS };

/** How long `close` waits for clients to take their replies and leave. Unit: milliseconds. */
export const DEFAULT_CLOSE_GRACE_MS = 5000;

/** A log that is as long as it may be has about so many segments. */
const SEGMENTS_OF_LOG = 4;

/** Transports that block their thread while they wait, so that it can't be one that has something else to do. */
const BLOCKING_TRANSPORTS: ReadonlySet<TransportName> = new Set(['uring']);

export interface ServerOptions extends TokenSources, TlsFiles {
  /**
   * `tcp://host:port` or `ws://host:port`, with TLS `tls://` or `wss://`, port 0 for any free one, or `unix:/path`. Default: `tcp://127.0.0.1:7464`, and
   * `ws://127.0.0.1:7464` with a transport that speaks WebSocket.
   */
  readonly listen?: string | undefined;
  /** What carries the bytes. Default: the runtime's own sockets, or its WebSocket for `ws://` and `wss://`, and `node` for `tls://`. */
  readonly transport?: TransportName | undefined;
  /** What holds the data. Default: `swiss`. */
  readonly engine?: EngineName;
  /** Largest request payload. Unit: bytes. Default: 16 MiB. */
  readonly maxFrameBytes?: number;
  /**
   * Most memory of each shard for keys, values and their index. Unit: bytes. Default: 3.75 GiB.
   */
  readonly memoryBytesMax?: number;
  /**
   * What happens to a write beyond it: with `none` it answers `MEMORY`, with `clock` keys make room that were not asked for
   * lately. Default: `none`.
   */
  readonly eviction?: Eviction;
  /** What requests may hold and connections may cost. Default: `PROTOCOL_LIMITS` and `DEFAULT_CONNECTION_LIMITS`. */
  readonly limits?: Partial<ServerLimits>;
  /** Whether to listen where other machines come, though no token is asked for. Default: false. */
  readonly insecure?: boolean;
  /**
   * The directory that keeps the data: it is made if it is not there, and what it holds is served again. One server at a time.
   * Default: none, what the server holds is in memory alone.
   */
  readonly data?: string | undefined;
  /**
   * When a write is durable: `always`, before it is answered; `everysec`, within a second, which is what a power loss may
   * cost; `no`, when the system likes. Whatever it is, no answered write is lost when only the process dies. Default: `everysec`.
   */
  readonly fsync?: FsyncPolicy;
  /**
   * With more than this in a shard's log, a snapshot takes its place. It takes a second engine's memory while it is made. Unit:
   * bytes. Default: `DEFAULT_MAX_LOG_BYTES`.
   */
  readonly maxLogBytes?: number;
  /** So often a snapshot is made, if there were writes; 0 for never but for the size of the log. Unit: milliseconds. Default: 0. */
  readonly snapshotEveryMs?: number;
  /**
   * How many shards the keys are divided over, from 1 to `MAX_SHARDS`. More than one run in a thread each, and listen side
   * by side: the next ones at the ports above that of `listen`, each at any free one when it is 0, or at `/path.1`,
   * `/path.2`, … Default: 1.
   */
  readonly shards?: number;
  /**
   * Told, in one line, of what an operator has to know: of a shard that has died and is started again, of a log that ended in
   * a torn write, that has failed, or that goes on. Default: the line goes to stderr. What it throws goes there as well.
   */
  readonly report?: (line: string) => void;
}

export interface Server extends AsyncDisposable {
  /** Where it listens, with the real port; of several shards the first. Clients need no other. */
  readonly address: string;
  /** Where each shard listens. */
  readonly addresses: readonly string[];
  readonly transport: TransportName;
  readonly engine: EngineName;
  /** Where the data is kept, absolute; undefined when it is in memory alone. */
  readonly data: string | undefined;
  /** Begins a snapshot of everything up to now, after which the log is short; INFO tells when it is made. */
  snapshot(): void;
  /**
   * What the operation INFO answers; of several shards, their figures added up, without those that have died or do not answer
   * within two seconds.
   */
  info(): Promise<Readonly<Record<string, string | number>>>;
  /**
   * Reads tokens and certificates anew. New connections get the new certificate. Connections whose token is gone have to bring another. Rejects with an `Error`, and all is as it
   * was, when what is read is none.
   */
  reload(): Promise<void>;
  /**
   * Stops accepting, sends the replies in flight, and resolves when every client has left; those that have not done so
   * after `graceMs` (milliseconds, default `DEFAULT_CLOSE_GRACE_MS`) are cut off. Rejects, when all is over, with an `Error` if
   * the log could not be made durable, or a shard has died meanwhile. Twice is fine.
   */
  close(graceMs?: number): Promise<void>;
}

/**
 * Starts a server in this process; it accepts connections once this resolves. Rejects with an `Error` when the address
 * is none or can't be listened at, when the transport can't run here, and when an option is out of range; the message says
 * why and what would help.
 */
export async function startServer(options: ServerOptions = {}): Promise<Server> {
  const { engine = 'swiss', maxFrameBytes, memoryBytesMax, eviction, limits, shards = 1 } = options;
  if (!Number.isInteger(shards) || shards < 1 || shards > MAX_SHARDS) {
    throw new RangeError(`shards is ${shards}; it must be an integer from 1 to ${MAX_SHARDS}`);
  }
  assertDelayable(shards, currentRuntime());
  const report = withoutThrowing(options.report ?? toStderr);
  const endpoint = resolveEndpoint(currentRuntime().name, options.listen, options.transport);
  const transport = endpoint.transport.name;
  const listen = absolute(endpoint.address);
  const secrets = loadSecrets(options, report);
  if (isSecure(endpoint.address)) {
    if (secrets.tls?.cert === undefined) {
      throw new Error(`${listen} needs a certificate and its key: --tls-cert and --tls-key`);
    }
  } else if (secrets.tls !== undefined) {
    throw new Error(
      `${listen} has no TLS, so nobody would be shown --tls-cert or asked for what --tls-ca has signed: listen at tls:// or wss://`,
    );
  }
  if (secrets.tokens === undefined && options.insecure !== true && isReachedFromOutside(endpoint.address)) {
    throw new Error(
      `other machines can reach ${listen}, and no token is asked for: give --token-file or RINGKV_TOKEN, ` +
        'or --insecure if everyone may read and delete everything',
    );
  }
  const settings = { listen, transport, engine, maxFrameBytes, memoryBytesMax, eviction, limits, secrets };
  const log = dataSettings(options);
  const directory = log && (await openDataDirectory(log.data, divideSlots(shards), log.segmentBytes));
  let served: Served;
  try {
    served =
      shards === 1 && !BLOCKING_TRANSPORTS.has(transport)
        ? await serveHere(settings, log, report)
        : await serveInThreads({ ...settings, log, shards, report });
  } catch (error) {
    await directory?.lock.release();
    throw error;
  }
  const closeOnce = async (graceMs: number): Promise<void> => {
    try {
      await served.close(graceMs);
    } finally {
      await directory?.lock.release();
    }
  };
  // One after the other: of two at once, one that is refused would give the shards back what they had before both.
  let reloading: Promise<void> = Promise.resolve();
  const reload = (): Promise<void> => {
    const reloaded = reloading.then(() => served.setSecrets(loadSecrets(options, report)));
    reloading = reloaded.catch(() => {});
    return reloaded;
  };
  let closed: Promise<void> | undefined;
  const close = (graceMs: number = DEFAULT_CLOSE_GRACE_MS): Promise<void> => {
    closed ??= closeOnce(graceMs);
    return closed;
  };
  return {
    address: served.addresses[0]!,
    addresses: served.addresses,
    transport,
    engine,
    data: log?.data,
    snapshot: () => served.snapshot(),
    info: () => served.info(),
    reload,
    close,
    [Symbol.asyncDispose]: () => close(),
  };
}

/**
 * An address as others can use it: clients are told of shards' sockets, and may be in another folder. Throws a `TypeError` when the
 * whole path is too long.
 */
function absolute(address: Address): string {
  const text = formatAddress(address.kind === 'unix' ? { ...address, path: resolve(address.path) } : address);
  parseAddress(text);
  return text;
}

/** Where and how the data is to be kept. Throws `RangeError` when that can't be. */
function dataSettings(options: ServerOptions): DataSettings | undefined {
  const { data, fsync = 'everysec', maxLogBytes = DEFAULT_MAX_LOG_BYTES, snapshotEveryMs = 0 } = options;
  if (data === undefined) return undefined;
  if (!FSYNC_POLICIES.includes(fsync)) {
    throw new RangeError(`fsync is ${fsync}; it must be ${FSYNC_POLICIES.join(' or ')}`);
  }
  if (!(maxLogBytes >= MAX_LOG_BYTES_MIN)) {
    throw new RangeError(`maxLogBytes is ${maxLogBytes}; it must be at least ${MAX_LOG_BYTES_MIN}`);
  }
  if (!(snapshotEveryMs >= 0)) throw new RangeError(`snapshotEveryMs is ${snapshotEveryMs}; it must be at least 0`);
  const segmentBytes = Math.min(DEFAULT_SEGMENT_BYTES, Math.floor(maxLogBytes / SEGMENTS_OF_LOG));
  return { data: resolve(data), fsync, segmentBytes, maxLogBytes, snapshotEveryMs };
}

/** The only shard, in this thread: for sockets of the runtime nothing is won by another. */
async function serveHere(
  settings: ShardSettings,
  log: DataSettings | undefined,
  report: (line: string) => void,
): Promise<Served> {
  const keeper = log && createKeeper(log, settings.engine, ALL_SLOTS);
  const own = log && { ...log, directory: shardDirectory(log.data, ALL_SLOTS) };
  let shard: OpenShard;
  try {
    shard = await openShard({ ...settings, log: own }, { ...(keeper && { keeper }), report });
  } catch (error) {
    // A segment may be in preparation: until that is over, the directory is not another server's.
    await keeper?.stop();
    throw error;
  }
  return {
    addresses: [shard.address],
    info: async () => shard.info(),
    setSecrets: async (secrets) => shard.setSecrets(secrets),
    snapshot: () => shard.snapshot(),
    async close(graceMs) {
      try {
        await shard.close(graceMs);
      } finally {
        await keeper?.stop();
      }
    },
  };
}

/** Each shard in a thread of its own. */
async function serveInThreads(options: SupervisorOptions): Promise<Served> {
  const { Supervisor } = await import('./supervisor.ts');
  return Supervisor.start(options);
}

interface Served {
  readonly addresses: readonly string[];
  info(): Promise<Readonly<Record<string, string | number>>>;
  setSecrets(secrets: Secrets): Promise<void>;
  snapshot(): void;
  close(graceMs: number): Promise<void>;
}

function loadSecrets(options: ServerOptions, report: (line: string) => void): Secrets {
  const secrets = { tokens: loadTokens(options), tls: loadTls(options) };
  const cert = secrets.tls?.cert;
  const why = cert === undefined ? undefined : whyNotNow(cert, Date.now());
  if (why !== undefined) report(`the certificate in ${options.tlsCert} ${why}: clients refuse it`);
  return secrets;
}
