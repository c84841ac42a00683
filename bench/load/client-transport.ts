/** What carries the bytes of a load generator. */
import { currentRuntime } from '../../runtime/choose.ts';
import type { Address, Transport, TransportName } from '../../transports/transport.ts';
import { createTransport, naturalTransport } from '../../transports/transports.ts';

/** The transport that was asked for; without one, and for servers that speak WebSocket, the runtime's own. */
export function clientTransport({ kind }: Address, asked: TransportName | undefined): Transport {
  const natural = naturalTransport(currentRuntime().name, kind);
  return createTransport(kind === 'ws' ? natural : (asked ?? natural));
}
