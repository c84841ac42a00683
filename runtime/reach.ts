/** How a client gets to the address it was given, and to the shards that the server there tells of. */
import type { ClientOptions, Connect } from '../core/client/settings.ts';
import { formatAddress, parseAddress } from '../transports/address.ts';
import type { Address } from '../transports/transport.ts';

/** A server that listens on every address of its machine tells one that leads nowhere. */
const ANY_HOST = /^(\w+:\/\/)(?:0\.0\.0\.0|\[::\])(?=:\d+$)/;

/**
 * What a client is told of how to connect, given how a transport does it. Where a shard's address is that of any host, it is
 * looked for at the host that was given.
 */
export function reach(
  given: Address,
  connect: (address: Address, ...rest: Parameters<Connect>) => ReturnType<Connect>,
): Pick<ClientOptions, 'connect' | 'connectShard'> {
  const text = formatAddress(given);
  const connectGiven: Connect = (open, signal) => connect(given, open, signal);
  return {
    connect: connectGiven,
    connectShard(url) {
      const host = 'host' in given ? text.slice(text.indexOf('//') + 2, text.lastIndexOf(':')) : undefined;
      const there = host === undefined ? url : url.replace(ANY_HOST, `$1${host}`);
      return there === text ? connectGiven : async (open, signal) => connect(parseAddress(there), open, signal);
    },
  };
}
