/**
 * TLS before a server that has none, or not all of it: `node:tls` takes the connections, and hands on what comes to a unix socket
 * in a folder that only this user can enter. That costs each message a way through the kernel more.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { formatAddress, UNIX_PATH_BYTES_MAX } from './address.ts';
import { codeOf, TransportError } from './errors.ts';
import { listenSecurely, type SecureServer } from './node-tls.ts';
import { TIMER_MS_MAX } from './serving.ts';
import { HANDSHAKE_MS } from './tls.ts';
import type { Listener, TlsSecrets } from './transport.ts';
import type { SecureWebSocketAddress } from './websocket.ts';

/**
 * When one side has ended, the other has so long to end as well: as long as the server gives on a stream to who was refused and
 * does not leave. Unit: milliseconds.
 */
const END_MS = 5000;

/** How often it is looked whether those are cut that do not read. Unit: milliseconds. */
const LOOK_MS = 1000;

/**
 * `listen` has the server listen at the path of a unix socket; `shakingMax` is as of `listenSecurely`. Rejects as `Transport.listen`
 * does.
 */
export async function listenBehindTls(
  address: SecureWebSocketAddress,
  tls: TlsSecrets,
  shakingMax: number | undefined,
  listen: (path: string) => Listener | Promise<Listener>,
): Promise<Listener> {
  const folder = ownFolder(address);
  const removeFolder = (): void => rmSync(folder, { recursive: true, force: true });
  // A second signal ends the process at once.
  process.once('exit', removeFolder);
  const path = join(folder, 'plain.sock');
  /** The server's side of each connection, by the client's. */
  const joined = new Map<Socket, Socket>();
  let listener: Listener | undefined;
  let front: SecureServer;
  let closed: Promise<void> | undefined;
  const looks = setInterval(() => {
    if (closed === undefined) joined.forEach(noticeCut);
  }, LOOK_MS);
  const finish = async (graceMs: number): Promise<void> => {
    const cut = setTimeout(
      () => {
        for (const socket of joined.keys()) socket.destroy();
      },
      Math.min(graceMs, TIMER_MS_MAX),
    );
    await listener?.close(graceMs);
    // What the server has given away may still be here.
    await Promise.all([...joined.keys()].map((socket) => new Promise((resolve) => socket.once('close', resolve))));
    clearTimeout(cut);
    clearInterval(looks);
    process.off('exit', removeFolder);
    removeFolder();
  };
  try {
    assertFits(path, address);
    listener = await listen(path);
    front = await listenSecurely(address, tls, shakingMax, (socket) => {
      const plain = connect({ path, allowHalfOpen: true });
      joined.set(socket, plain);
      socket.once('close', () => joined.delete(socket));
      joinStreams(socket, plain);
      cutUnlessUpgraded(socket, plain);
      cutAfterEnd(socket, plain, () => closed !== undefined);
    });
  } catch (error) {
    await finish(0);
    throw error;
  }
  return {
    ...listener,
    address: { ...address, port: front.port },
    renewTls: front.renew,
    close(graceMs) {
      if (closed === undefined) front.stop();
      closed ??= finish(graceMs);
      return closed;
    },
  };
}

function ownFolder(address: SecureWebSocketAddress): string {
  const parent = tmpdir();
  try {
    return mkdtempSync(join(parent, 'ringkv-tls-'));
  } catch (error) {
    const code = codeOf(error);
    const why = `a unix socket needs a folder below ${parent}, which can't be made (${code}); set TMPDIR to where it can`;
    throw new TransportError(code, address, `can't listen on ${formatAddress(address)}: ${why}`, { cause: error });
  }
}

/** uWebSockets.js does not look at the length, and writes where it must not. */
function assertFits(path: string, address: SecureWebSocketAddress): void {
  const length = Buffer.byteLength(path);
  if (length <= UNIX_PATH_BYTES_MAX) return;
  const why = `${path} has ${length} bytes, the path of a unix socket at most ${UNIX_PATH_BYTES_MAX}; set TMPDIR to a shorter one`;
  throw new TransportError('ENAMETOOLONG', address, `can't listen on ${formatAddress(address)}: ${why}`);
}

/** What comes from one goes to the other, and so do their ends. */
function joinStreams(one: Socket, other: Socket): void {
  for (const [from, to] of [
    [one, other],
    [other, one],
  ] as const) {
    from.pipe(to);
    // What went wrong is told by `close`; without a listener it would end the process.
    from.on('error', () => {});
    from.once('close', (hadError) => (hadError ? to.destroy() : to.destroySoon()));
  }
}

/** Who has not been made a WebSocket within the time that the handshake of TLS has is cut as well. Not every server does that. */
function cutUnlessUpgraded(socket: Socket, plain: Socket): void {
  const timer = setTimeout(() => socket.destroy(), HANDSHAKE_MS);
  const look = (answer: Buffer): void => {
    if (!answer.includes('HTTP/1.1 101 ')) return;
    clearTimeout(timer);
    plain.off('data', look);
  };
  plain.on('data', look);
  socket.once('close', () => clearTimeout(timer));
}

/**
 * A WebSocket has one end for both directions: after the first, what is on its way may still arrive, and then it is over, whoever
 * does not leave. A listener that `isClosing` has a time of grace for all.
 */
function cutAfterEnd(socket: Socket, plain: Socket, isClosing: () => boolean): void {
  let timer: NodeJS.Timeout | undefined;
  const ended = (): void => {
    if (!socket.destroyed && !isClosing()) timer ??= setTimeout(() => socket.destroy(), END_MS);
  };
  socket.once('end', ended);
  plain.once('end', ended);
  socket.once('close', () => clearTimeout(timer));
}

/**
 * While a client does not read, nothing is read from the server either, and so no end is seen. But a write of nothing fails once the
 * server has closed its socket, and that closes both. uWebSockets.js does so to cut, and some seconds after its own end. On Deno such
 * a write tells nothing, but there the server can't cut.
 */
function noticeCut(plain: Socket): void {
  if (plain.isPaused() && plain.writable && plain.writableLength === 0) plain.write('');
}
