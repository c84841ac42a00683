/** Which transport and which address are taken when a user says one of them, or nothing. */
import { expect, test } from 'vitest';
import { autoTransport, resolveEndpoint } from '../../runtime/endpoint.ts';
import type { RuntimeName } from '../../runtime/runtime.ts';
import { formatAddress } from '../../transports/address.ts';
import type { TransportName } from '../../transports/transport.ts';

const cases: [RuntimeName, string | undefined, TransportName | undefined, string, TransportName][] = [
  ['node', undefined, undefined, 'tcp://127.0.0.1:7464', 'node'],
  ['bun', undefined, undefined, 'tcp://127.0.0.1:7464', 'bun'],
  ['deno', undefined, undefined, 'tcp://127.0.0.1:7464', 'deno'],
  ['node', 'ws://host:1', undefined, 'ws://host:1', 'uws'],
  ['bun', 'ws://host:1', undefined, 'ws://host:1', 'bun-ws'],
  ['deno', 'ws://host:1', undefined, 'ws://host:1', 'deno-ws'],
  ['node', 'wss://host:1', undefined, 'wss://host:1', 'uws'],
  ['bun', 'wss://host:1', undefined, 'wss://host:1', 'bun-ws'],
  ['deno', 'wss://host:1', undefined, 'wss://host:1', 'deno-ws'],
  ['bun', 'tls://host:1', undefined, 'tls://host:1', 'node'],
  ['node', undefined, 'uws', 'ws://127.0.0.1:7464', 'uws'],
  ['bun', undefined, 'node', 'tcp://127.0.0.1:7464', 'node'],
  ['bun', 'unix:/x', undefined, 'unix:/x', 'bun'],
  ['node', 'tcp://host:1', 'uws', 'tcp://host:1', 'uws'],
];

test.each(cases)('on %s, given %s and %s: %s over %s', (runtime, given, name, expected, transport) => {
  const endpoint = resolveEndpoint(runtime, given, name);
  expect([formatAddress(endpoint.address), endpoint.transport.name]).toEqual([expected, transport]);
});

test.each<[RuntimeName, string, TransportName]>([
  ['node', 'memory:here', 'node'],
  ['bun', 'memory:here', 'bun'],
  ['node', 'ws://host:1', 'uws'],
  ['bun', 'wss://host:1', 'bun-ws'],
  ['deno', 'tls://host:1', 'node'],
  ['deno', 'ws://host:1', 'deno-ws'],
])('on %s, auto for %s is %s, and io_uring has nothing to do with it', (runtime, address, name) => {
  expect(autoTransport(runtime, address)).toEqual({ name, reason: undefined });
});
