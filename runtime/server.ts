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
import { Shard } from '../core/server/shard.ts';
import { formatAddress, parseAddress } from '../transports/address.ts';
import type { TransportName } from '../transports/transport.ts';
import { createTransport, naturalTransport } from '../transports/transports.ts';
import { currentRuntime } from './choose.ts';
import { DEFAULT_ADDRESS } from './defaults.ts';
import { createEngine, type EngineName } from './engine.ts';
import { packageVersion } from './package.ts';

export type { EngineName, TransportName };

/** How long `close` waits for clients to take their replies and leave. Unit: milliseconds. */
export const DEFAULT_CLOSE_GRACE_MS = 5000;

export interface ServerOptions {
  /** `tcp://host:port`, port 0 for any free one, or `unix:/path`. Default: `tcp://127.0.0.1:7464`. */
  readonly listen?: string;
  /** What carries the bytes. Default: the runtime's own sockets. */
  readonly transport?: TransportName;
  /** What holds the data. Default: `swiss`. */
  readonly engine?: EngineName;
  /** Largest request payload. Unit: bytes. Default: 16 MiB. */
  readonly maxFrameBytes?: number;
  /** Most memory for keys, values and their index; writes beyond it answer `MEMORY`. Unit: bytes. Default: 3.75 GiB. */
  readonly memoryBytesMax?: number;
}

export interface Server extends AsyncDisposable {
  /** Where it listens, with the real port. */
  readonly address: string;
  readonly transport: TransportName;
  readonly engine: EngineName;
  /** What the operation INFO answers. */
  info(): Readonly<Record<string, string | number>>;
  /**
   * Stops accepting, sends the replies in flight, and resolves when every client has left; those that have not done so
   * after `graceMs` (milliseconds, default `DEFAULT_CLOSE_GRACE_MS`) are cut off. Twice is fine.
   */
  close(graceMs?: number): Promise<void>;
}

/**
 * Starts a server in this process; it accepts connections once this resolves. Rejects with an `Error` when the address
 * is none or can't be listened at, and when the transport can't run here; the message says why and what would help.
 */
export async function startServer(options: ServerOptions = {}): Promise<Server> {
  const runtime = currentRuntime();
  const transport = createTransport(options.transport ?? naturalTransport(runtime.name));
  const asked = parseAddress(options.listen ?? DEFAULT_ADDRESS);
  const engine = await createEngine(
    options.engine ?? 'swiss',
    options.memoryBytesMax === undefined ? {} : { memoryBytesMax: options.memoryBytesMax },
  );
  const shard = new Shard({
    engine,
    identity: { version: packageVersion, runtime: `${runtime.name}/${runtime.version}`, transport: transport.name },
    now: Date.now,
    shards: () => [[0, 16_383, address]],
    ...(options.maxFrameBytes === undefined ? {} : { maxFrameBytes: options.maxFrameBytes }),
    processFigures() {
      const { userMicros, systemMicros } = runtime.cpuTime();
      return { pid: runtime.pid, cpuUserMicros: userMicros, cpuSystemMicros: systemMicros, ...runtime.memoryUse() };
    },
  });
  let address = formatAddress(asked);
  const listener = await transport.listen(asked, shard);
  address = formatAddress(listener.address);

  const close = (graceMs: number = DEFAULT_CLOSE_GRACE_MS): Promise<void> => listener.close(graceMs);
  return {
    address,
    transport: transport.name,
    engine: engine.name,
    info: () => shard.info(),
    close,
    [Symbol.asyncDispose]: () => close(),
  };
}
