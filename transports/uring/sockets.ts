/** Sockets before the ring has them: made, bound and named with the C library's functions. */
import type { LookupAddress } from 'node:dns';
import { lookup } from 'node:dns/promises';
import { isIPv6 } from 'node:net';
import { type Libc, type Mapping, systemError } from '../../runtime/ffi/libc.ts';
import type { Address } from '../transport.ts';
import {
  AF_INET,
  AF_INET6,
  AF_UNIX,
  IPPROTO_TCP,
  RLIMIT_NOFILE,
  SO_REUSEADDR,
  SOCK_CLOEXEC,
  SOCK_STREAM,
  SOL_SOCKET,
  TCP_NODELAY,
} from './constants.ts';

/** Connections that wait to be accepted; the kernel cuts it to `net.core.somaxconn`. */
const BACKLOG = 4096;

/** A `sockaddr_storage`. */
const SOCKADDR_BYTES = 128;

/** An address as the kernel reads it. */
export interface Sockaddr {
  readonly family: number;
  readonly bytes: Uint8Array;
}

/** A socket that listens, and where it really does. */
export interface ListeningSocket {
  readonly descriptor: number;
  readonly address: Address;
}

/** Names of hosts are looked up, and may have several addresses. Rejects as `node:dns` does. */
export async function toSockaddrs(address: Address): Promise<readonly [Sockaddr, ...Sockaddr[]]> {
  if (address.kind === 'unix') {
    const path = new TextEncoder().encode(address.path);
    const bytes = new Uint8Array(2 + path.length + 1);
    bytes.set(path, 2);
    return [withFamily(AF_UNIX, bytes)];
  }
  if (address.kind !== 'tcp') throw new TypeError(`a ring has no addresses of the kind ${address.kind}`);
  const [first, ...others] = await lookup(address.host, { all: true });
  const toSockaddr = ({ address: ip, family }: LookupAddress): Sockaddr => {
    const bytes = new Uint8Array(family === 6 ? 28 : 16);
    new DataView(bytes.buffer).setUint16(2, address.port);
    if (family === 6) bytes.set(parseIPv6(ip), 8);
    else bytes.set(ip.split('.').map(Number), 4);
    return withFamily(family === 6 ? AF_INET6 : AF_INET, bytes);
  };
  return [toSockaddr(first!), ...others.map(toSockaddr)];
}

/** A listening socket, and where it really listens. Throws the system's error. */
export function listeningSocket(
  libc: Libc,
  asked: Address,
  sockaddr: Sockaddr,
  backlog: number = BACKLOG,
): ListeningSocket {
  const descriptor = openSocket(libc, sockaddr.family);
  const scratch = new Scratch(libc);
  try {
    const length = scratch.put(sockaddr.bytes);
    if (sockaddr.family !== AF_UNIX) {
      setFlag(libc, scratch, descriptor, SOL_SOCKET, SO_REUSEADDR);
      // Those that it accepts inherit it.
      setFlag(libc, scratch, descriptor, IPPROTO_TCP, TCP_NODELAY);
    }
    check('bind', libc.bind(descriptor, scratch.address, length));
    check('listen', libc.listen(descriptor, backlog));
    if (asked.kind !== 'tcp') return { descriptor, address: asked };
    return { descriptor, address: { ...asked, port: scratch.boundPort(libc, descriptor), host: hostOf(sockaddr) } };
  } catch (error) {
    libc.close(descriptor);
    throw error;
  } finally {
    scratch.close();
  }
}

/** A socket to connect with. Throws the system's error. */
export function connectingSocket(libc: Libc, { family }: Sockaddr): number {
  const descriptor = openSocket(libc, family);
  if (family === AF_UNIX) return descriptor;
  const scratch = new Scratch(libc);
  try {
    setFlag(libc, scratch, descriptor, IPPROTO_TCP, TCP_NODELAY);
    return descriptor;
  } catch (error) {
    libc.close(descriptor);
    throw error;
  } finally {
    scratch.close();
  }
}

/** How many descriptors the process may have, `ulimit -n`. */
export function descriptorLimit(libc: Libc): number {
  const scratch = new Scratch(libc);
  check('getrlimit', libc.getrlimit(RLIMIT_NOFILE, scratch.address));
  const limit = Number(scratch.view.getBigUint64(0, true));
  scratch.close();
  return limit;
}

/** Memory for what one call is told or tells. */
class Scratch {
  readonly #libc: Libc;
  readonly #mapping: Mapping;
  readonly view: DataView;

  constructor(libc: Libc) {
    this.#libc = libc;
    this.#mapping = libc.map(LENGTH_AT + 4);
    this.view = new DataView(this.#mapping.buffer);
  }

  /** Where a sockaddr or another argument lies. */
  get address(): number {
    return this.#mapping.address;
  }

  /** Puts bytes at `address` and returns how many. */
  put(bytes: Uint8Array): number {
    new Uint8Array(this.#mapping.buffer).set(bytes);
    return bytes.length;
  }

  boundPort(libc: Libc, descriptor: number): number {
    this.view.setUint32(LENGTH_AT, SOCKADDR_BYTES, true);
    check('getsockname', libc.getsockname(descriptor, this.address, this.address + LENGTH_AT));
    return this.view.getUint16(2);
  }

  close(): void {
    this.#libc.unmap(this.#mapping);
  }
}

const LENGTH_AT = SOCKADDR_BYTES;

function openSocket(libc: Libc, family: number): number {
  return check('socket', libc.socket(family, SOCK_STREAM | SOCK_CLOEXEC));
}

function setFlag(libc: Libc, scratch: Scratch, descriptor: number, level: number, option: number): void {
  scratch.view.setInt32(LENGTH_AT, 1, true);
  check('setsockopt', libc.setsockopt(descriptor, level, option, scratch.address + LENGTH_AT, 4));
}

function check(call: string, result: number): number {
  if (result < 0) throw systemError(call, result);
  return result;
}

function withFamily(family: number, bytes: Uint8Array): Sockaddr {
  new DataView(bytes.buffer).setUint16(0, family, true);
  return { family, bytes };
}

function hostOf({ family, bytes }: Sockaddr): string {
  if (family === AF_INET) return bytes.subarray(4, 8).join('.');
  const groups = Array.from({ length: 8 }, (_, i) => ((bytes[8 + 2 * i]! << 8) | bytes[9 + 2 * i]!).toString(16));
  // The URL parser writes the shortest form.
  return new URL(`tcp://[${groups.join(':')}]`).hostname.slice(1, -1);
}

/** The 16 bytes of an IPv6 address in any of its forms. */
function parseIPv6(text: string): Uint8Array {
  if (!isIPv6(text) || text.includes('%')) throw new TypeError(`not an IPv6 address, or one with a zone: ${text}`);
  const canonical = new URL(`http://[${text}]`).hostname.slice(1, -1);
  const [head = '', tail] = canonical.split('::');
  const groups = (part: string): number[] =>
    part === '' ? [] : part.split(':').map((group) => Number.parseInt(group, 16));
  const before = groups(head);
  const after = tail === undefined ? [] : groups(tail);
  const all = [...before, ...new Array<number>(8 - before.length - after.length).fill(0), ...after];
  return Uint8Array.from(all.flatMap((group) => [group >> 8, group & 0xff]));
}
