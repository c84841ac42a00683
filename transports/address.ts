/**
 * Addresses as people write them: parsing and formatting, nothing else.
 */
import type { Address, SecureAddress } from './transport.ts';

const FORMS = 'tcp://HOST:PORT, tls://HOST:PORT, unix:/PATH, ws://HOST:PORT, wss://HOST:PORT or memory:NAME';

/**
 * Longest path of a unix socket that every system accepts in full: Linux' `sun_path` has 108 bytes, the last one zero.
 * (macOS has 104; there the kernel refuses the rest.) Unit: bytes.
 */
export const UNIX_PATH_BYTES_MAX = 107;

/**
 * Reads an address: `tcp://127.0.0.1:7464`, `tcp://[::1]:0`, `unix:/run/ringkv.sock` (`unix:///run/ringkv.sock` is the
 * same), `ws://127.0.0.1:7464` or `memory:name`; with TLS, `tls://` stands for `tcp://` and `wss://` for `ws://`. Throws a `TypeError` that says what was wrong and what was expected.
 */
export function parseAddress(text: string): Address {
  const colon = text.indexOf(':');
  const rest = text.slice(colon + 1);
  switch (text.slice(0, Math.max(colon, 0))) {
    case 'tcp':
      return { kind: 'tcp', ...parseHostAndPort(text, rest) };
    case 'tls':
      return { kind: 'tls', ...parseHostAndPort(text, rest) };
    case 'ws':
      return { kind: 'ws', ...parseHostAndPort(text, rest) };
    case 'wss':
      return { kind: 'wss', ...parseHostAndPort(text, rest) };
    case 'unix':
      return { kind: 'unix', path: parseUnixPath(text, rest) };
    case 'memory':
      if (rest === '') throw malformed(text, 'the name is missing');
      return { kind: 'memory', name: rest };
    default:
      throw malformed(text, 'it names no kind of address');
  }
}

/** The inverse of `parseAddress`. */
export function formatAddress(address: Address): string {
  switch (address.kind) {
    case 'tcp':
    case 'tls':
    case 'ws':
    case 'wss':
      return `${address.kind}://${address.host.includes(':') ? `[${address.host}]` : address.host}:${address.port}`;
    case 'unix':
      return `unix:${address.path}`;
    case 'memory':
      return `memory:${address.name}`;
  }
}

/** Whether it is one of TLS, so that a server there needs a certificate. */
export function isSecure(address: Address): address is SecureAddress {
  return address.kind === 'tls' || address.kind === 'wss';
}

/** Whether other machines may get to such an address: what is no loopback, and no unix socket. */
export function isReachedFromOutside(address: Address): boolean {
  if (!('host' in address)) return false;
  const { host } = address;
  // As addresses are written in full: what else means loopback has to be written so.
  return !(host === 'localhost' || host === '::1' || /^127(\.\d{1,3}){3}$/.test(host));
}

function parseHostAndPort(text: string, rest: string): { host: string; port: number } {
  const match = /^\/\/(?:\[([^\]]*)\]|([^:/?#[\]@]*)):(\d+)\/?$/.exec(rest);
  if (match === null) {
    throw malformed(text, `after ${text.slice(0, text.indexOf(':'))}: comes //HOST:PORT, an IPv6 address in brackets`);
  }
  const [, bracketed, plain, digits] = match;
  if (bracketed !== undefined && !isIPv6(bracketed)) throw malformed(text, `"${bracketed}" is no IPv6 address`);
  const host = bracketed ?? plain ?? '';
  if (host === '') throw malformed(text, 'the host is missing');
  const port = Number(digits);
  if (port > 65_535) throw malformed(text, `port ${digits} is above 65535`);
  return { host, port };
}

/** Whether it is an IPv6 address, which may name a zone, like `fe80::1%eth0`. */
function isIPv6(text: string): boolean {
  const [, address] = /^([0-9a-f:.]+)(?:%[^%]+)?$/i.exec(text) ?? [];
  return address !== undefined && URL.canParse(`ws://[${address}]`);
}

function parseUnixPath(text: string, rest: string): string {
  // Three slashes are the URL form of an absolute path; two would name a host, which a unix socket doesn't have.
  const path = rest.startsWith('///') ? rest.slice(2) : rest;
  if (path === '') throw malformed(text, 'the path is missing');
  if (path.startsWith('//')) throw malformed(text, 'a unix socket has no host: write unix:/PATH or unix:///PATH');
  if (path.includes('\0')) throw malformed(text, 'the path contains a zero byte');
  const length = new TextEncoder().encode(path).length;
  if (length > UNIX_PATH_BYTES_MAX) {
    throw malformed(text, `the path has ${length} bytes, a unix socket's at most ${UNIX_PATH_BYTES_MAX}`);
  }
  return path;
}

function malformed(text: string, what: string): TypeError {
  return new TypeError(`not an address: "${text}": ${what}; expected ${FORMS}`);
}
