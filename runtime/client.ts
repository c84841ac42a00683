/**
 * The client, on the machine that runs it.
 *
 * ```ts
 * import { connect } from 'ringkv/client';
 *
 * await using client = await connect('tcp://127.0.0.1:7464');
 * await client.set('user:1', { name: 'Ada' }, { ttlMs: 60_000 });
 * const user = await client.get<{ name: string }>('user:1');
 * const [visits, left] = await client.batch().add('visits', 1).ttl('user:1').send();
 * for await (const key of client.scan({ prefix: 'user:' })) console.log(key);
 * ```
 */
import { performance } from 'node:perf_hooks';
import { clearTimeout, setTimeout } from 'node:timers';
import { Client } from '../core/client/client.ts';
import type { ClientSettings, Timers } from '../core/client/settings.ts';
import { parseAddress } from '../transports/address.ts';
import type { TransportName } from '../transports/transport.ts';
import { createTransport, naturalTransport } from '../transports/transports.ts';
import { currentRuntime } from './choose.ts';
import { DEFAULT_ADDRESS } from './defaults.ts';

export type { Batch } from '../core/client/batch.ts';
export { RECONNECT_FIRST_MS, RECONNECT_MAX_MS } from '../core/client/dial.ts';
export * from '../core/client/errors.ts';
export { type CallOptions, DEFAULT_SCAN_COUNT, type ScanOptions } from '../core/client/methods.ts';
export type { ServerHello, SetOptions } from '../core/client/operations.ts';
export {
  type ClientSettings,
  type ClientState,
  DEFAULT_CONNECT_TIMEOUT_MS,
  DEFAULT_PENDING_BYTES_MAX,
  DEFAULT_TIMEOUT_MS,
} from '../core/client/settings.ts';
export type { Key } from '../core/client/values.ts';
export { ErrorCode } from '../core/protocol.ts';
export type { Client, TransportName };

export interface ConnectOptions extends ClientSettings {
  /** Where the server is: `tcp://host:port` or `unix:/path`. Default: `tcp://127.0.0.1:7464`. */
  readonly address?: string | undefined;
  /** What carries the bytes. Default: the runtime's own sockets. */
  readonly transport?: TransportName | undefined;
}

const timers: Timers = {
  now: () => performance.now(),
  start(delayMs, callback) {
    const timer = setTimeout(callback, delayMs);
    return () => clearTimeout(timer);
  },
};

/**
 * Connects to a server, given its address or options. Rejects with a `RingkvError` when it can't be reached, refuses, or
 * does not answer in time, and with a `TypeError` when the address is none. Only later losses of the connection are mended.
 */
export async function connect(options: string | ConnectOptions = {}): Promise<Client> {
  const {
    address: text = DEFAULT_ADDRESS,
    transport: name,
    ...settings
  } = typeof options === 'string' ? { address: options } : options;
  const address = parseAddress(text);
  const transport = createTransport(name ?? naturalTransport(currentRuntime().name));
  return await Client.open({
    ...settings,
    timers,
    connect: (open, signal) => transport.connect(address, open, signal),
  });
}
