/**
 * The transports by name. Importing this has no side effects on any runtime: what belongs to one runtime is touched only
 * when its transport is used.
 */
import { createBunTransport } from './bun.ts';
import { createBunWsTransport } from './bun-ws.ts';
import { createDenoTransport } from './deno.ts';
import { createDenoWsTransport } from './deno-ws.ts';
import { createMemoryTransport } from './memory.ts';
import { createNodeTransport } from './node.ts';
import type { Address, Transport, TransportName, TransportOptions } from './transport.ts';
import { createUringTransport } from './uring.ts';
import { createUwsTransport } from './uws.ts';

const factories: Readonly<Record<TransportName, (options?: TransportOptions) => Transport>> = {
  memory: createMemoryTransport,
  node: createNodeTransport,
  bun: createBunTransport,
  deno: createDenoTransport,
  uring: createUringTransport,
  uws: createUwsTransport,
  'bun-ws': createBunWsTransport,
  'deno-ws': createDenoWsTransport,
};

/**
 * A new instance. It can always be created; `availability` says whether it can run here. Throws `RangeError` when there is no
 * such transport.
 */
export function createTransport(name: TransportName, options?: TransportOptions): Transport {
  if (!Object.hasOwn(factories, name)) {
    throw new RangeError(`transport is ${name}; it must be one of ${Object.keys(factories).join(', ')}`);
  }
  return factories[name](options);
}

const webSocketTransports = { node: 'uws', bun: 'bun-ws', deno: 'deno-ws' } as const;

/** The transport made of a runtime's own sockets, or of its WebSocket when such an address is to be served or reached. */
export function naturalTransport(
  runtime: 'node' | 'bun' | 'deno',
  kind?: Address['kind'],
): Exclude<TransportName, 'memory'> {
  // Every runtime has `node`, and it alone does all of TLS on each of them.
  if (kind === 'tls') return 'node';
  return kind === 'ws' || kind === 'wss' ? webSocketTransports[runtime] : runtime;
}
