/** What can go wrong between a ring and its connections, provoked for real: each is dealt with, and no byte is lost. */
import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { createServer, connect as dialNode, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import { Libc } from '../../runtime/ffi/libc.ts';
import { formatAddress, parseAddress } from '../../transports/address.ts';
import type { Connection, Listener, ServerHandler } from '../../transports/transport.ts';
import { AF_UNIX, SOCK_CLOEXEC, SOCK_STREAM } from '../../transports/uring/constants.ts';
import { listeningSocket, toSockaddrs } from '../../transports/uring/sockets.ts';
import { createUringTransport } from '../../transports/uring.ts';
import { type Runtime, startChild } from '../support/children.ts';

const availability = createUringTransport().availability();
const why = availability.available ? '' : ` (${availability.reason})`;

const listeners: Listener[] = [];
const sockets: Socket[] = [];
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  await Promise.all(listeners.splice(0).map((listener) => listener.close(0)));
});

function withResolvers<T>(): { promise: Promise<T>; resolve: (value: T) => void } {
  let resolve!: (value: T) => void;
  const promise = new Promise<T>((resolvePromise) => {
    resolve = resolvePromise;
  });
  return { promise, resolve };
}

/** Bytes that tell where in the stream they belong. */
function pattern(length: number, seed = 0): Buffer {
  const bytes = Buffer.alloc(length);
  for (let i = 0; i < length; i++) bytes[i] = (i * 31 + (i >>> 9) + seed) & 0xff;
  return bytes;
}

interface Receiver extends Partial<ServerHandler> {
  /** Called after each delivery, with what the connection has received so far. */
  received?: (connection: Connection, all: Buffer) => void;
}

/** A server that collects what each connection sends. */
async function listen({ received, ...handler }: Receiver): Promise<{ port: number; collected: Buffer[] }> {
  const collected: Buffer[] = [];
  const listener = await createUringTransport().listen(parseAddress('tcp://127.0.0.1:0'), {
    open(connection) {
      const at = collected.push(Buffer.alloc(0)) - 1;
      return {
        data(bytes) {
          collected[at] = Buffer.concat([collected[at]!, bytes]);
          received?.(connection, collected[at]!);
        },
        drain() {},
        end: () => connection.end(),
        close() {},
      };
    },
    turnEnd: () => false,
    tick() {},
    ...handler,
  });
  listeners.push(listener);
  return { port: (listener.address as { port: number }).port, collected };
}

async function dial(port: number): Promise<Socket> {
  const socket = dialNode({ port, host: '127.0.0.1' });
  sockets.push(socket);
  await once(socket, 'connect');
  return socket;
}

/** Ends the socket's side and waits for the server's. */
async function finish(socket: Socket): Promise<void> {
  socket.resume();
  socket.end();
  await once(socket, 'close');
}

describe.skipIf(!availability.available)(`uring${why}`, () => {
  test('more connections speak at once than there are buffers: the rest is received when these are free again', async () => {
    // What is sent in the same turn must not keep the loop from giving buffers back: it once did, for ever.
    const { port, collected } = await listen({ received: (connection) => connection.send(Uint8Array.of(1)) });
    const clients = await Promise.all(Array.from({ length: 400 }, () => dial(port)));
    for (const client of clients) client.resume();
    // All in one turn of this thread's event loop, so that the ring finds everything at the same time.
    for (const [i, client] of clients.entries()) client.write(pattern(40_000, i));
    await Promise.all(clients.map(finish));
    expect(collected.map(({ length }) => length)).toEqual(new Array(400).fill(40_000));
    const sent = clients.map((_, i) => pattern(40_000, i).toString('latin1'));
    expect(new Set(collected.map((bytes) => bytes.toString('latin1')))).toEqual(new Set(sent));
  });

  test('who ends and destroys a connection does nothing to the next one that gets its place', async () => {
    // The kernel shuts down in a thread of its own, and once found another connection where it looked for this one.
    const transport = createUringTransport();
    const connections: Connection[] = [];
    const listener = await transport.listen(parseAddress('tcp://127.0.0.1:0'), {
      open(connection) {
        connections.push(connection);
        return { data: (bytes) => connection.send(bytes), drain() {}, end: () => connection.end(), close() {} };
      },
      turnEnd: () => false,
      tick() {},
    });
    listeners.push(listener);
    const { port } = listener.address as { port: number };
    for (let i = 0; i < 100; i++) {
      const victim = await dial(port);
      victim.on('error', () => {});
      while (connections.length < 2 * i + 1) await new Promise(setImmediate);
      const next = dial(port);
      connections.at(-1)!.end();
      connections.at(-1)!.destroy();
      const client = await next;
      client.write('still there?');
      const [first] = await Promise.race([once(client, 'data'), once(client, 'end')]);
      expect(String(first)).toBe('still there?');
      client.destroy();
      while (connections.length < 2 * i + 2) await new Promise(setImmediate);
    }
  });

  test('a socket that is bound and does not listen yet has its file', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'ringkv-bound-'));
    const address = parseAddress(`unix:${join(folder, 'socket')}`);
    const [{ bytes }] = await toSockaddrs(address);
    const libc = new Libc();
    const descriptor = libc.socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC);
    const mapping = libc.map(bytes.length);
    onTestFinished(() => {
      libc.close(descriptor);
      libc.unmap(mapping);
      rmSync(folder, { recursive: true });
    });
    new Uint8Array(mapping.buffer).set(bytes);
    expect(libc.bind(descriptor, mapping.address, bytes.length)).toBe(0);
    const handler: ServerHandler = {
      open: () => ({ data() {}, drain() {}, end() {}, close() {} }),
      turnEnd: () => false,
      tick() {},
    };
    await expect(createUringTransport().listen(address, handler)).rejects.toMatchObject({ code: 'EADDRINUSE' });
    expect(readdirSync(folder)).toEqual(['socket']);
  });

  test('the end that came while nobody read is told once, however often reading stops and goes on', async () => {
    let ends = 0;
    const transport = createUringTransport();
    const opened = withResolvers<Connection>();
    const listener = await transport.listen(parseAddress('tcp://127.0.0.1:0'), {
      open(connection) {
        connection.pauseReading();
        opened.resolve(connection);
        return { data() {}, drain() {}, end: () => ends++, close() {} };
      },
      turnEnd: () => false,
      tick() {},
    });
    listeners.push(listener);
    const client = await dial((listener.address as { port: number }).port);
    client.end('before the end');
    const connection = await opened.promise;
    for (let i = 0; i < 5; i++) {
      connection.resumeReading();
      while (ends === 0) await new Promise(setImmediate);
      connection.pauseReading();
      connection.resumeReading();
      for (let round = 0; round < 10; round++) await new Promise(setImmediate);
    }
    expect(ends).toBe(1);
    client.destroy();
  });

  test('who is not read from may send: what the kernel had delivered already comes when reading goes on, in order', async () => {
    const sent = pattern(8_000_000);
    let paused = 0;
    const { port, collected } = await listen({
      received(connection) {
        connection.pauseReading();
        paused++;
        setImmediate(() => setImmediate(() => connection.resumeReading()));
      },
    });
    const client = await dial(port);
    client.write(sent);
    await finish(client);
    expect(Buffer.compare(collected[0]!, sent)).toBe(0);
    expect(paused).toBeGreaterThan(10);
  });

  test('an attempt to connect that nobody answers can be given up, and leaves no descriptor', async () => {
    const libc = new Libc();
    const address = parseAddress('tcp://127.0.0.1:0');
    // It listens and never accepts: once its backlog is full, the kernel answers no more.
    const { descriptor, address: bound } = listeningSocket(libc, address, (await toSockaddrs(address))[0], 0);
    const port = (bound as { port: number }).port;
    const waiting = Array.from({ length: 4 }, () => dialNode({ port, host: '127.0.0.1' }));
    sockets.push(...waiting);
    await once(waiting[0]!, 'connect');
    const controller = new AbortController();
    const attempt = createUringTransport().connect(
      bound,
      () => ({ data() {}, drain() {}, end() {}, close() {} }),
      controller.signal,
    );
    const outcome = attempt.then(
      () => 'connected',
      (error: Error) => error.message,
    );
    setTimeout(() => controller.abort(new Error('given up')), 50);
    expect(await outcome).toBe('given up');
    for (const socket of sockets.splice(0)) socket.destroy();
    libc.close(descriptor);
  });

  test('a turn that is asked for when the ring has closed is none, and gives no memory back twice', async () => {
    const idle: ServerHandler = {
      open: () => ({ data() {}, drain() {}, end() {}, close() {} }),
      turnEnd: () => false,
      tick() {},
    };
    const unmap = vi.spyOn(Libc.prototype, 'unmap');
    onTestFinished(() => unmap.mockRestore());
    const listener = await createUringTransport().listen(parseAddress('tcp://127.0.0.1:0'), idle);
    await listener.close(0);
    listener.requestTurn();
    for (let round = 0; round < 3; round++) await new Promise((resolve) => setImmediate(resolve));
    const unmapped = unmap.mock.calls.map(([mapping]) => mapping);
    expect(unmapped).toHaveLength(new Set(unmapped).size);
  });

  test('a refused connection is told by its address and cause', async () => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const address = parseAddress(`tcp://127.0.0.1:${(server.address() as { port: number }).port}`);
    await new Promise((resolve) => server.close(resolve));
    const attempt = createUringTransport().connect(address, () => ({ data() {}, drain() {}, end() {}, close() {} }));
    await expect(attempt).rejects.toMatchObject({
      code: 'ECONNREFUSED',
      message: `can't connect to ${formatAddress(address)}: connection refused, no server answers there (ECONNREFUSED)`,
    });
  });

  test.each(['tcp://[::1]:0', 'tcp://localhost:0', 'tcp://0.0.0.0:0', 'tcp://[::]:0'])(
    'listens at %s',
    async (text) => {
      const transport = createUringTransport();
      const listener = await transport.listen(parseAddress(text), {
        open: (connection) => ({
          data: (bytes) => connection.send(bytes),
          drain() {},
          end: () => connection.end(),
          close() {},
        }),
        turnEnd: () => false,
        tick() {},
      });
      listeners.push(listener);
      const { host, port } = listener.address as { host: string; port: number };
      expect(port).toBeGreaterThan(0);
      if (text === 'tcp://localhost:0') expect(['127.0.0.1', '::1']).toContain(host);
      else expect(text.startsWith('tcp://[') ? `[${host}]` : host).toBe(text.slice(6, -2));
      const client = await dialNode({ port, host: host === '0.0.0.0' ? '127.0.0.1' : host });
      client.write('there');
      const [answer] = (await once(client, 'data')) as [Buffer];
      expect(answer.toString()).toBe('there');
      client.destroy();
    },
  );

  describe('without descriptors', () => {
    const sh = (limit: number): Runtime => ({
      name: 'node',
      command: ['/bin/sh', '-c', `ulimit -n ${limit}; exec "$0" "$@"`, process.execPath],
    });

    test('those that are connected are served, and others again once some have left', async () => {
      const child = startChild(sh(64), 'test/support/transport-app.mjs', ['uring', 'serve', 'tcp://127.0.0.1:0']);
      const [, text = ''] = await child.waitForLine(/^listening (.*)/);
      const { port } = parseAddress(text) as { port: number };
      const echo = async (socket: Socket): Promise<boolean> => {
        if (socket.destroyed || socket.readableEnded) return false;
        socket.write('e');
        socket.write('echo');
        return Promise.race([once(socket, 'data'), once(socket, 'end'), once(socket, 'error')]).then(
          ([first]) => Buffer.isBuffer(first),
          () => false,
        );
      };
      const clients = await Promise.all(Array.from({ length: 100 }, () => dial(port)));
      for (const client of clients) client.on('error', () => {});
      const served = await Promise.all(clients.map(echo));
      const servedCount = served.filter(Boolean).length;
      // The table has as many places as there may be descriptors, less those of listeners.
      expect(servedCount).toBe(60);
      const alive = clients.filter((_, i) => served[i]);
      await Promise.all(alive.slice(0, 32).map(finish));
      // It accepts again a moment after the last refusal.
      let answered = false;
      while (!answered) {
        const client = await dial(port);
        client.on('error', () => {});
        answered = await echo(client);
      }
      for (const client of alive.slice(32)) {
        client.write('still');
        const [bytes] = (await once(client, 'data')) as [Buffer];
        expect(bytes.toString()).toBe('still');
      }
      await child.stop();
    });
  });
});
