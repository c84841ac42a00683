/** Where to listen or connect and over what, when a user has said both, one of them, or nothing. */
import { parseAddress } from '../transports/address.ts';
import type { Address, Transport, TransportName } from '../transports/transport.ts';
import { createTransport, naturalTransport } from '../transports/transports.ts';
import { DEFAULT_ADDRESS, DEFAULT_WEBSOCKET_ADDRESS } from './defaults.ts';
import type { RuntimeName } from './runtime.ts';

export interface Endpoint {
  readonly address: Address;
  readonly transport: Transport;
}

/**
 * The address decides on the transport that was not given, and the transport on the kind of the address. Throws a
 * `TypeError` when the address is none. That the two go together is for the transport to say.
 */
export function resolveEndpoint(runtime: RuntimeName, address?: string, transport?: TransportName): Endpoint {
  const given = address === undefined ? undefined : parseAddress(address);
  const made = createTransport(transport ?? naturalTransport(runtime, given?.kind));
  return { address: given ?? parseAddress(defaultAddress(made)), transport: made };
}

/** What `auto` is, for a server that listens at `address`. */
export interface AutoTransport {
  readonly name: TransportName;
  /** Why it is not io_uring; undefined when it is, and for addresses that it has nothing to do with. */
  readonly reason: string | undefined;
}

/** For TCP and unix sockets io_uring where it can be had; else what the runtime has itself for such an address. */
export function autoTransport(runtime: RuntimeName, address?: string): AutoTransport {
  const kind = address === undefined ? undefined : parseAddress(address).kind;
  const natural = naturalTransport(runtime, kind);
  const uring = createTransport('uring');
  if (kind !== undefined && !uring.addressKinds.includes(kind)) return { name: natural, reason: undefined };
  const availability = uring.availability();
  if (availability.available) return { name: 'uring', reason: undefined };
  // What would help is for who insists on it: here the other sockets are taken already.
  return { name: natural, reason: `io_uring ${availability.reason}` };
}

function defaultAddress({ addressKinds }: Transport): string {
  return addressKinds.includes('ws') ? DEFAULT_WEBSOCKET_ADDRESS : DEFAULT_ADDRESS;
}
