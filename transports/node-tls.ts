/**
 * TLS by `node:tls`, which all three runtimes have: what `node` serves and reaches at `tls://`, and what stands before Deno's
 * own servers, which can neither ask for a client's certificate nor cut a silent client.
 */
import { isIP, type Socket } from 'node:net';
import { versions } from 'node:process';
import { connect, createServer, type Server, type TLSSocket } from 'node:tls';
import { addressError } from './errors.ts';
import { HANDSHAKE_MS } from './tls.ts';
import type { SecureAddress, TlsSecrets } from './transport.ts';

const TLS_VERSION_MIN = 'TLSv1.2';

/** Who has ended its side, and takes nothing of what waits for it, is cut after this. Unit: milliseconds. */
const STUCK_MS = 10_000;

export interface SecureServer {
  /** The port it really listens at. The host is the one that was asked for, whose name a certificate may be for. */
  readonly port: number;
  /** As `Listener.renewTls`. */
  readonly renew: (secrets: TlsSecrets) => void;
  /** Stops listening, and cuts those whose handshake is not over. */
  readonly stop: () => void;
}

/**
 * Listens; `secured` gets each connection whose handshake is over. Who comes while `shakingMax` are in theirs is cut. Rejects as
 * `Transport.listen` does.
 */
export async function listenSecurely(
  address: SecureAddress,
  tls: TlsSecrets,
  shakingMax: number | undefined,
  secured: (socket: TLSSocket) => void,
): Promise<SecureServer> {
  const server = secureServer(address, tls);
  const shaking = new Map<string, Socket>();
  server.on('secureConnection', (socket) => {
    const raw = shaking.get(peerOf(socket));
    shaking.delete(peerOf(socket));
    if (raw !== undefined && versions.deno !== undefined) stopWhilePaused(socket, raw);
    if (versions.deno === undefined && versions.bun === undefined) cutWhenStuck(socket);
    secured(socket);
  });
  // The time-out of a handshake alone closes nobody, on none of the runtimes.
  server.on('connection', (socket: Socket) => {
    if (shaking.size >= (shakingMax ?? Infinity)) {
      socket.destroy();
      return;
    }
    const peer = peerOf(socket);
    shaking.set(peer, socket);
    const timer = setTimeout(() => shaking.get(peer) === socket && socket.destroy(), HANDSHAKE_MS);
    socket.once('close', () => {
      clearTimeout(timer);
      if (shaking.get(peer) === socket) shaking.delete(peer);
    });
  });
  server.on('tlsClientError', (_error, socket) => socket.destroy());
  await listening(server, address);
  // A connection that could not be accepted (no descriptor left, say) is the peer's loss, not the server's.
  server.on('error', () => {});
  const bound = server.address();
  if (bound === null || typeof bound === 'string') throw new TypeError('a server of TLS has no port');
  return {
    port: bound.port,
    renew: (secrets) => server.setSecureContext(contextOf(secrets)),
    stop() {
      server.close();
      for (const socket of shaking.values()) socket.destroy();
    },
  };
}

/** Begins to connect; `secureConnect` tells that the handshake is over. */
export function connectSecurely({ host, port }: SecureAddress, tls: TlsSecrets): TLSSocket {
  // A name is what a certificate is for; an address can't be asked for in the handshake.
  const socket = connect({
    ...contextOf(tls),
    host,
    port,
    allowHalfOpen: true,
    ...(isIP(host) === 0 && { servername: host }),
  });
  // As an option, Node passes it over.
  return socket.setNoDelay(true);
}

/** What a context of `node:tls` is made from. */
export function contextOf({ cert, key, ca }: TlsSecrets) {
  return { minVersion: TLS_VERSION_MIN, ...(cert && { cert }), ...(key && { key }), ...(ca && { ca }) } as const;
}

function secureServer(address: SecureAddress, tls: TlsSecrets): Server {
  const asksForCertificate = tls.ca !== undefined;
  try {
    return createServer({
      ...contextOf(tls),
      requestCert: asksForCertificate,
      rejectUnauthorized: asksForCertificate,
      handshakeTimeout: HANDSHAKE_MS,
      allowHalfOpen: true,
      noDelay: true,
    });
  } catch (error) {
    throw addressError('listen on', address, error);
  }
}

function listening(server: Server, address: SecureAddress): Promise<void> {
  return new Promise((resolve, reject) => {
    const failed = (error: Error) => reject(addressError('listen on', address, error));
    server.once('error', failed);
    server.listen({ host: address.host, port: address.port }, () => {
      server.off('error', failed);
      resolve();
    });
  });
}

/** A socket's handle, undocumented, and the same on all three runtimes. */
interface HandleOwner {
  readonly _handle: { readStart(): void; readStop(): void } | null;
}

/**
 * On Deno (2.9), a stream of TLS that is paused goes on reading, into memory without limit, and so would the stream below it. Its
 * handle does stop.
 */
function stopWhilePaused(secure: TLSSocket, raw: Socket): void {
  const { _handle: handle } = raw as unknown as HandleOwner;
  const stop = () => void (secure.isPaused() && !secure.destroyed && handle?.readStop());
  secure.on('pause', () => {
    stop();
    // The stream may be about to read ahead, which has the handle read again.
    setImmediate(stop);
  });
  // It is told later, when the stream may be paused again.
  secure.on('resume', () => void (secure.isPaused() || secure.destroyed || handle?.readStart()));
}

/**
 * A reset that comes after the peer's end may go unnoticed: Node (20) loses the write that meets it, and so never tells that the
 * connection is gone.
 */
function cutWhenStuck(secure: TLSSocket): void {
  secure.once('end', () => secure.setTimeout(STUCK_MS));
  secure.on('timeout', () => {
    if (secure.writableLength > 0) secure.destroy();
    else secure.setTimeout(STUCK_MS);
  });
}

/** By what a raw socket is the same as the secure one above it. */
function peerOf({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress} ${remotePort}`;
}
