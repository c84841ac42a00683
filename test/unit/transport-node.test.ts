import { createServer, Socket } from 'node:net';
import { expect, it, onTestFinished, vi } from 'vitest';
import { createNodeTransport } from '../../transports/node.ts';
import type { Address, Connection } from '../../transports/transport.ts';

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
  await expect.poll(received).toBe(reply.length);
  expect(writes.mock.calls.length).toBeLessThanOrEqual(20);
});
