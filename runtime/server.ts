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
import process from 'node:process';
import type { Eviction } from '../core/engine/engine.ts';
import { formatAddress, isReachedFromOutside } from '../transports/address.ts';
import type { TransportName } from '../transports/transport.ts';
import { currentRuntime } from './choose.ts';
import { MAX_SHARDS } from './defaults.ts';
import { resolveEndpoint } from './endpoint.ts';
import type { EngineName } from './engine.ts';
import { openShard, type Secrets, type ServerLimits, type ShardSettings } from './shard.ts';
import type { SupervisorOptions } from './supervisor.ts';
import { loadTokens, type TokenSources } from './tokens.ts';

export type { EngineName, Eviction, ServerLimits, TransportName };
export { MAX_SHARDS };

/** How long `close` waits for clients to take their replies and leave. Unit: milliseconds. */
export const DEFAULT_CLOSE_GRACE_MS = 5000;

/** Transports that block their thread while they wait, so that it can't be one that has something else to do. */
const BLOCKING_TRANSPORTS: ReadonlySet<TransportName> = new Set(['uring']);

export interface ServerOptions extends TokenSources {
  /**
   * `tcp://host:port` or `ws://host:port`, port 0 for any free one, or `unix:/path`. Default: `tcp://127.0.0.1:7464`, and
   * `ws://127.0.0.1:7464` with a transport that speaks WebSocket.
   */
  readonly listen?: string | undefined;
  /** What carries the bytes. Default: the runtime's own sockets, or its WebSocket for `ws://`. */
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
   * How many shards the keys are divided over, from 1 to `MAX_SHARDS`. More than one run in a thread each, and listen side
   * by side: the next ones at the ports above that of `listen`, each at any free one when it is 0, or at `/path.1`,
   * `/path.2`, … Default: 1.
   */
  readonly shards?: number;
  /**
   * Told, in one line, of a shard that has died and is started again, without what it held. Default: the line goes to
   * stderr. What it throws goes there as well.
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
  /**
   * What the operation INFO answers; of several shards, their figures added up, without those that have died or do not answer
   * within two seconds.
   */
  info(): Promise<Readonly<Record<string, string | number>>>;
  /**
   * Reads the tokens anew. Connections whose token is gone have to bring another. Rejects with an `Error`, and all is as it
   * was, when what is read is none.
   */
  reload(): Promise<void>;
  /**
   * Stops accepting, sends the replies in flight, and resolves when every client has left; those that have not done so
   * after `graceMs` (milliseconds, default `DEFAULT_CLOSE_GRACE_MS`) are cut off. Twice is fine.
   */
  close(graceMs?: number): Promise<void>;
}

/**
 * Starts a server in this process; it accepts connections once this resolves. Rejects with an `Error` when the address
 * is none or can't be listened at, when the transport can't run here, and when an option is out of range; the message says
 * why and what would help.
 */
export async function startServer(options: ServerOptions = {}): Promise<Server> {
  const { engine = 'swiss', maxFrameBytes, memoryBytesMax, eviction, limits, shards = 1, report = toStderr } = options;
  if (!Number.isInteger(shards) || shards < 1 || shards > MAX_SHARDS) {
    throw new RangeError(`shards is ${shards}; it must be an integer from 1 to ${MAX_SHARDS}`);
  }
  const endpoint = resolveEndpoint(currentRuntime().name, options.listen, options.transport);
  const transport = endpoint.transport.name;
  const listen = formatAddress(endpoint.address);
  const secrets = loadSecrets(options);
  if (secrets.tokens === undefined && options.insecure !== true && isReachedFromOutside(endpoint.address)) {
    throw new Error(
      `other machines can reach ${listen}, and no token is asked for: give --token-file or RINGKV_TOKEN, ` +
        'or --insecure if everyone may read and delete everything',
    );
  }
  const settings = { listen, transport, engine, maxFrameBytes, memoryBytesMax, eviction, limits, secrets };
  const served =
    shards === 1 && !BLOCKING_TRANSPORTS.has(transport)
      ? await serveHere(settings)
      : await serveInThreads({ ...settings, shards, report });
  const close = (graceMs: number = DEFAULT_CLOSE_GRACE_MS): Promise<void> => served.close(graceMs);
  return {
    address: served.addresses[0]!,
    addresses: served.addresses,
    transport,
    engine,
    info: () => served.info(),
    reload: async () => served.setSecrets(loadSecrets(options)),
    close,
    [Symbol.asyncDispose]: () => close(),
  };
}

/** The only shard, in this thread: for sockets of the runtime nothing is won by another. */
async function serveHere(settings: ShardSettings): Promise<Served> {
  const shard = await openShard(settings);
  return {
    addresses: [shard.address],
    info: async () => shard.info(),
    setSecrets: (secrets) => shard.setSecrets(secrets),
    close: (graceMs) => shard.close(graceMs),
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
  setSecrets(secrets: Secrets): void;
  close(graceMs: number): Promise<void>;
}

function loadSecrets(options: ServerOptions): Secrets {
  return { tokens: loadTokens(options) };
}

function toStderr(line: string): void {
  process.stderr.write(`ringkv: ${line}\n`);
}
