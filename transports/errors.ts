/**
 * Why a transport could not do what it was asked for, told the same way whichever runtime reports it.
 */
import { formatAddress, isSecure } from './address.ts';
import type { Address, Transport } from './transport.ts';

/** A transport could not listen or connect. */
export class TransportError extends Error {
  override readonly name = 'TransportError';
  /** The system's code (`EADDRINUSE`, `ECONNREFUSED`, …), `UNAVAILABLE`, `UNSUPPORTED`, or `UNKNOWN`. Stable. */
  readonly code: string;
  readonly address: Address;

  constructor(code: string, address: Address, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
    this.address = address;
  }
}

/** What was being done to the address. */
export type Attempt = 'listen on' | 'connect to';

/** What the codes mean to somebody who gave the address. */
const meanings: Readonly<Record<string, string>> = {
  EACCES: 'permission denied',
  EADDRINUSE: 'address already in use',
  EADDRNOTAVAIL: 'no address of this machine',
  ECONNREFUSED: 'connection refused, no server answers there',
  ECONNRESET: 'connection reset',
  EEXIST: 'a file that is no socket is in the way',
  EHOSTUNREACH: 'host unreachable',
  EINVAL: 'invalid address',
  EMFILE: 'too many open files',
  ENAMETOOLONG: 'path too long',
  ENETUNREACH: 'network unreachable',
  ENOENT: 'no such file or folder',
  ENOTDIR: 'part of the path is no folder',
  ENOTFOUND: 'unknown host name',
  EPERM: 'not permitted',
  EROFS: 'read-only file system',
  ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED: 'the server asks for a certificate of the client',
  ERR_SSL_WRONG_VERSION_NUMBER: 'no TLS is spoken there',
  ETIMEDOUT: 'timed out',
};

/** An error that names the address and the cause, from whatever the runtime threw. */
export function addressError(attempt: Attempt, address: Address, cause: unknown): TransportError {
  const code = codeOf(cause);
  // OpenSSL's messages end with a line break.
  const why = meanings[code] ?? (cause instanceof Error ? cause.message : String(cause)).trim();
  return new TransportError(code, address, `can't ${attempt} ${formatAddress(address)}: ${why} (${code})`, { cause });
}

/** The system's code in an error of any runtime; `UNKNOWN` when it has none. */
export function codeOf(error: unknown): string {
  const code: unknown = error instanceof Error && 'code' in error ? error.code : undefined;
  return typeof code === 'string' ? code : 'UNKNOWN';
}

/**
 * Throws a `TransportError` when the transport can't run here, or can't serve or reach such an address. `availability` is that
 * of what is attempted, if it is another than the transport's as a whole.
 */
export function assertUsable(
  transport: Transport,
  attempt: Attempt,
  address: Address,
  availability = transport.availability(),
): void {
  if (!availability.available) {
    throw new TransportError(
      'UNAVAILABLE',
      address,
      `transport ${transport.name} can't run here: ${availability.reason}; ${availability.remedy}`,
    );
  }
  const { name, addressKinds } = transport;
  if (addressKinds.includes(address.kind)) return;
  // Whoever has mixed up the two most often means the same host and port.
  const likely = isSecure(address) ? (['wss', 'tls'] as const) : (['ws', 'tcp'] as const);
  const meant = likely.find((kind) => addressKinds.includes(kind));
  if (isSecure(address) && meant === undefined) {
    const message = `transport ${name} has no TLS: take --transport ${speakers[address.kind]}, or leave the transport to ringkv`;
    throw new TransportError('UNSUPPORTED', address, message);
  }
  const hint = meant !== undefined && 'port' in address ? `; write ${formatAddress({ ...address, kind: meant })}` : '';
  throw new TransportError(
    'UNSUPPORTED',
    address,
    `transport ${name} can't ${attempt} ${formatAddress(address)}: its addresses are ${listed(addressKinds)}${hint}`,
  );
}

/** Who speaks TLS, for those that have asked somebody who does not. */
const speakers: Readonly<Record<'tls' | 'wss', string>> = {
  tls: 'node, which every runtime has, bun or deno',
  wss: 'uws, bun-ws or deno-ws',
};

/** `tcp`; `tcp and unix`; `tcp, tls and unix`. */
function listed(names: readonly string[]): string {
  const [last, ...before] = names.toReversed();
  return before.length === 0 ? `${last}` : `${before.toReversed().join(', ')} and ${last}`;
}
