/**
 * TLS before a server that has none, or not all of it: `node:tls` takes the connections, and hands on what comes to a unix socket
 * in a folder that only this user can enter. That costs each message a way through the kernel more.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { listenSecurely, type SecureServer } from './node-tls.ts';
import { TIMER_MS_MAX } from './serving.ts';
import { HANDSHAKE_MS } from './tls.ts';
import type { Listener, TlsSecrets } from './transport.ts';
import type { SecureWebSocketAddress } from './websocket.ts';

/** `listen` has the server listen at the path of a unix socket. Rejects as `Transport.listen` does. */
export async function listenBehindTls(
  address: SecureWebSocketAddress,
  tls: TlsSecrets,
  listen: (path: string) => Listener | Promise<Listener>,
): Promise<Listener> {
  const folder = mkdtempSync(join(tmpdir(), 'ringkv-tls-'));
  const removeFolder = (): void => rmSync(folder, { recursive: true, force: true });
  // A second signal ends the process at once.
  process.once('exit', removeFolder);
  const path = join(folder, 'plain.sock');
  const joined = new Set<Socket>();
  let listener: Listener | undefined;
  let front: SecureServer;
  const finish = async (graceMs: number): Promise<void> => {
    const cut = setTimeout(
      () => {
        for (const socket of joined) socket.destroy();
      },
      Math.min(graceMs, TIMER_MS_MAX),
    );
    await listener?.close(graceMs);
    // What the server has given away may still be here.
    await Promise.all([...joined].map((socket) => new Promise((resolve) => socket.once('close', resolve))));
    clearTimeout(cut);
    process.off('exit', removeFolder);
    removeFolder();
  };
  try {
    listener = await listen(path);
    front = await listenSecurely(address, tls, (socket) => {
      joined.add(socket);
      socket.once('close', () => joined.delete(socket));
      const plain = connect({ path, allowHalfOpen: true });
      joinStreams(socket, plain);
      cutUnlessUpgraded(socket, plain);
    });
  } catch (error) {
    await finish(0);
    throw error;
  }
  let closed: Promise<void> | undefined;
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
