/**
 * The transports by name. Importing this has no side effects on any runtime: what belongs to one runtime is touched only
 * when its transport is used.
 */
import { createBunTransport } from './bun.ts';
import { createDenoTransport } from './deno.ts';
import { createMemoryTransport } from './memory.ts';
import { createNodeTransport } from './node.ts';
import type { Transport, TransportName } from './transport.ts';

const factories: Readonly<Record<TransportName, () => Transport>> = {
  memory: createMemoryTransport,
  node: createNodeTransport,
  bun: createBunTransport,
  deno: createDenoTransport,
};

/** A new instance. It can always be created; `availability` says whether it can run here. */
export function createTransport(name: TransportName): Transport {
  return factories[name]();
}

/** The transport made of a runtime's own sockets. */
export function naturalTransport(runtime: 'node' | 'bun' | 'deno'): Exclude<TransportName, 'memory'> {
  return runtime;
}
