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
import { Client } from '../core/client/client.ts';
import { ArgumentError } from '../core/client/errors.ts';
import type { ClientSettings } from '../core/client/settings.ts';
import { formatAddress, isSecure } from '../transports/address.ts';
import type { TlsSecrets, TransportName } from '../transports/transport.ts';
import { currentRuntime } from './choose.ts';
import { resolveEndpoint } from './endpoint.ts';
import { reach } from './reach.ts';
import { timers } from './timers.ts';

export * from './client-exports.ts';
export type { TlsSecrets, TransportName };

export interface ConnectOptions extends ClientSettings {
  /**
   * Where the server is: `tcp://host:port`, `unix:/path` or `ws://host:port`, with TLS `tls://` or `wss://`. Default: `tcp://127.0.0.1:7464`, and
   * `ws://127.0.0.1:7464` over a transport that speaks WebSocket.
   */
  readonly address?: string | undefined;
  /** What carries the bytes. Default: the runtime's own sockets, or its WebSocket for `ws://` and `wss://`, and `node` for `tls://`. */
  readonly transport?: TransportName | undefined;
  /**
   * For `tls://` and `wss://`, and refused with `ArgumentError` elsewhere: whom to trust, and what to show a server that asks for a
   * certificate. Default: as of `TlsSecrets`.
   */
  readonly tls?: TlsSecrets | undefined;
}

/**
 * Connects to a server, given its address or options. Rejects with a `RingkvError` when it can't be reached, refuses, or
 * does not answer in time, with a `TypeError` when the address is none, and with a `RangeError` when there is no such transport. Only
 * later losses of the connection are mended.
 */
export async function connect(options: string | ConnectOptions = {}): Promise<Client> {
  const {
    address: text,
    transport: name,
    tls,
    ...settings
  }: ConnectOptions = typeof options === 'string' ? { address: options } : options;
  const { address, transport } = resolveEndpoint(currentRuntime().name, text, name);
  if (tls !== undefined && !isSecure(address)) {
    const there = formatAddress(address);
    throw new ArgumentError(`${there} has no TLS, so no certificate would be looked at: connect to tls:// or wss://`);
  }
  return await Client.open({
    ...settings,
    timers,
    ...reach(address, (there, open, signal) => transport.connect(there, open, signal, tls)),
  });
}
