import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished, vi } from 'vitest';
import { createNodeTransport } from '../../transports/node.ts';
import { connectSecurely } from '../../transports/node-tls.ts';
import type { Address, Connection, Listener, ServerHandler } from '../../transports/transport.ts';
import { runtimes, startChild } from '../support/children.ts';

/** A peer on loopback: one that reads all it is sent and tells how much that was, or one that reads nothing. */
async function peer({ reads }: { reads: boolean }): Promise<{ address: Address; received: () => number }> {
  let received = 0;
  const server = createServer({ pauseOnConnect: !reads }, (socket) => {
    socket.on('error', () => {});
    if (reads) socket.on('data', (bytes) => (received += bytes.length));
    onTestFinished(() => void socket.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void server.close());
  const bound = server.address();
  if (bound === null || typeof bound === 'string') throw new Error('no address');
  return { address: { kind: 'tcp', host: '127.0.0.1', port: bound.port }, received: () => received };
}

it('writes long replies in long pieces, whatever waits for a peer that does not read', async () => {
  const transport = createNodeTransport();
  const connected = async (address: Address): Promise<Connection> => {
    const connection = await transport.connect(address, () => ({ data() {}, drain() {}, end() {}, close() {} }));
    onTestFinished(() => connection.destroy());
    return connection;
  };
  const silent = await connected((await peer({ reads: false })).address);
  const { address, received } = await peer({ reads: true });
  const reading = await connected(address);

  // What the kernel does not take leaves 36 bytes of the memory that all connections write from.
  const filler = new Uint8Array(64 * 1024 - 36);
  while (silent.pendingBytes === 0) silent.send(filler);

  const writes = vi.spyOn(Socket.prototype, 'write');
  onTestFinished(() => writes.mockRestore());
  const reply = new Uint8Array(1024 * 1024);
  reading.send(reply);
  await expect.poll(received, { timeout: 10_000 }).toBe(reply.length);
  expect(writes.mock.calls.length).toBeLessThanOrEqual(20);
});

const idle: ServerHandler = {
  open: () => ({ data() {}, drain() {}, end() {}, close() {} }),
  turnEnd: () => false,
  tick() {},
};

/** The path of a socket whose server was killed. */
async function stalePath(): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'ringkv-stale-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const path = join(folder, 'socket');
  const child = startChild(runtimes()[0]!, 'test/support/transport-app.mjs', ['node', 'serve', `unix:${path}`]);
  await child.waitForLine(/^listening/);
  await child.stop('SIGKILL');
  return path;
}

it('of those that start at the same time on the file of a killed server, one listens', async () => {
  const path = await stalePath();
  const starting = Array.from({ length: 8 }, () => createNodeTransport().listen({ kind: 'unix', path }, idle));
  const outcomes = await Promise.allSettled(starting);
  const listeners = outcomes.flatMap((one): Listener[] => (one.status === 'fulfilled' ? [one.value] : []));
  onTestFinished(() => Promise.all(listeners.map((one) => one.close(0))).then(() => {}));
  expect(listeners).toHaveLength(1);
  const codes = outcomes.flatMap((one): string[] => (one.status === 'rejected' ? [one.reason.code] : []));
  expect(new Set(codes)).toEqual(new Set(['EADDRINUSE']));
  const connection = await createNodeTransport().connect({ kind: 'unix', path }, idle.open);
  connection.destroy();
  expect(existsSync(`${path}.replacing`)).toBe(false);
});

it('who has died while he replaced the file of a killed server is told of', async () => {
  const path = await stalePath();
  writeFileSync(`${path}.replacing`, '');
  await expect(createNodeTransport().listen({ kind: 'unix', path }, idle)).rejects.toMatchObject({
    code: 'EBUSY',
    message: expect.stringContaining(`remove ${path}.replacing`),
  });
  expect(existsSync(path)).toBe(true);
});

it('a client of TLS sends small writes at once too', async () => {
  const { address } = await peer({ reads: true });
  if (address.kind !== 'tcp') throw new Error('no port');
  const setNoDelay = vi.spyOn(Socket.prototype, 'setNoDelay');
  onTestFinished(() => setNoDelay.mockRestore());
  const socket = connectSecurely({ ...address, kind: 'tls' }, {});
  onTestFinished(() => void socket.destroy());
  expect(setNoDelay.mock.contexts).toContain(socket);
  expect(setNoDelay).toHaveBeenCalledWith(true);
});
