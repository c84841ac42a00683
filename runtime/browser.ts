/**
 * The client in a web page, over the page's own `WebSocket`. Nothing that it imports belongs to Node, Bun or Deno.
 *
 * ```ts
 * import { connect } from 'ringkv/browser';
 *
 * const client = await connect('ws://127.0.0.1:7464');
 * await client.set('user:1', { name: 'Ada' });
 * ```
 */
import { Client } from '../core/client/client.ts';
import type { ClientSettings } from '../core/client/settings.ts';
import { parseAddress } from '../transports/address.ts';
import { connectWebSocket, type StandardWebSocket } from '../transports/websocket.ts';
import { DEFAULT_WEBSOCKET_ADDRESS } from './defaults.ts';
import { reach } from './reach.ts';
import { timers } from './timers.ts';

export * from './client-exports.ts';

export interface ConnectOptions extends ClientSettings {
  /** Where the server is: `ws://host:port`, or `wss://host:port` if the browser trusts its certificate. Default: `ws://127.0.0.1:7464`. */
  readonly address?: string | undefined;
}

/**
 * Connects to a server, given its address or options. Rejects with a `RingkvError` when it can't be reached, refuses, or
 * does not answer in time, and with a `TypeError` when the address is none of WebSocket's. Only later losses of the
 * connection are mended.
 */
export async function connect(options: string | ConnectOptions = {}): Promise<Client> {
  const { address: text = DEFAULT_WEBSOCKET_ADDRESS, ...settings }: ConnectOptions =
    typeof options === 'string' ? { address: options } : options;
  const address = parseAddress(text);
  if (address.kind !== 'ws' && address.kind !== 'wss') {
    throw new TypeError(`a page can't connect to ${text}; expected ws://HOST:PORT or wss://HOST:PORT`);
  }
  return await Client.open({
    ...settings,
    timers,
    ...reach(address, (there, open, signal) =>
      connectWebSocket((url) => new WebSocket(url) as StandardWebSocket, there, open, signal),
    ),
  });
}
