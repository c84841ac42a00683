/**
 * What every transport has to do, told by its contract. A transport under test is the server in a process of its own and
 * the peer is `node:net` in this one, then the other way round; `memory` has both ends here.
 */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Framing } from '../../core/connection.ts';
import type { TransportName } from '../../transports/transport.ts';
import type { SocketKind } from '../support/cells.ts';
import { type Child, type Runtime, startChild } from '../support/children.ts';
import { dialSocket, type Peer, type ServerUnderTest, startServer } from '../support/transport-peers.ts';
import { closesAsAWhole, messageClientSuite, messageSuite } from './transport-messages.ts';
import { closesByHalves, streamSuite } from './transport-streams.ts';

/** One transport on one runtime, reached at one kind of address. */
export interface Cell {
  readonly transport: Exclude<TransportName, 'memory'>;
  readonly runtime: Runtime;
  readonly kind: SocketKind;
}

const MEBIBYTE = 1024 * 1024;

/** Sizes and splits are drawn from this, so that a failure comes again. */
const SEED = 7464;

/** Numbers from 0 to 1, the same ones for the same seed: the generator of Park and Miller, with Park's multiplier. */
function seededRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 48_271) % 2_147_483_647;
    return state / 2_147_483_647;
  };
}

export interface ServerTraits {
  readonly framing: Framing;
  /** Whether a peer can reset. */
  readonly resets: boolean;
  /** Whether the runtime may open descriptors that are no connection's, at a time of its own. */
  readonly opensDescriptors: boolean;
  /** With TLS, which connections do not share more than without. */
  readonly isSecure: boolean;
}

/** Behaviour of a server, whatever carries it. `start` gives a fresh one. */
export function serverSuite(
  start: () => Promise<ServerUnderTest>,
  floodBytes: () => Uint8Array,
  { framing, resets, opensDescriptors, isSecure }: ServerTraits,
): void {
  let server: ServerUnderTest;
  beforeAll(async () => {
    server = await start();
  });
  afterAll(async () => {
    await server.stop();
  });
  beforeEach(() => server.clear());
  afterEach(() => {
    expect(server.lines.filter((line) => line.startsWith('WRONG'))).toEqual([]);
  });

  it('echoes bytes of any size in any split, on many connections at a time', async () => {
    await Promise.all(
      Array.from({ length: 20 }, async (_, index) => {
        const random = seededRandom(SEED + index);
        const peer = await server.dial();
        const sent = randomBytes(index === 0 ? 5 * MEBIBYTE : Math.floor(random() * 200_000));
        peer.write(Buffer.from('e'));
        let position = 0;
        while (position < sent.length) {
          const size = Math.ceil(random() ** 4 * 70_000);
          peer.write(sent.subarray(position, position + size));
          position += size;
          // Let some pieces leave on their own.
          if (random() < 0.3) await new Promise(setImmediate);
        }
        expect((await peer.read(sent.length)).equals(sent)).toBe(true);
        peer.end();
        await peer.ended;
        await peer.closed;
      }),
    );
  });

  it('closes when it destroys the connection', async () => {
    const peer = await server.dial();
    peer.write(Buffer.from('d'));
    await Promise.race([peer.ended, peer.closed]);
    peer.destroy();
    await server.event(/^close \d+ mode d/);
  });

  it('keeps what the peer does not take, tells how much that is, and when it is gone', async () => {
    const peer = await server.dial();
    peer.pause();
    peer.write(Buffer.from('f'));
    const [, pending] = await server.event(/^pending (\d+)/);
    expect(Number(pending)).toBeGreaterThan(16 * MEBIBYTE);
    peer.resume();
    const expected = floodBytes();
    expect((await peer.read(expected.length)).equals(expected)).toBe(true);
    await server.event(/^drain/);
    peer.end();
    await peer.ended;
    await server.event(/^close \d+ mode f clean/);
  });

  // Above TLS it is the same code that does so.
  if (!isSecure) {
    it('keeps what waits for one peer apart from what others are sent meanwhile', async () => {
      const slow = await server.dial();
      slow.pause();
      slow.write(Buffer.from('s'));
      for (let i = 0; i < 20; i++) {
        const quick = await server.dial();
        const sent = randomBytes(300_000);
        quick.write(Buffer.from('e'));
        quick.write(sent);
        expect((await quick.read(sent.length)).equals(sent)).toBe(true);
        quick.end();
        await quick.ended;
      }
      slow.resume();
      const expected = floodBytes();
      expect((await slow.read(expected.length)).equals(expected)).toBe(true);
      slow.end();
      await slow.ended;
    });
  }

  it('tells of a reset as the error of close', async () => {
    const peer = await server.dial();
    peer.write(Buffer.from('ex'));
    await peer.read(1);
    peer.reset();
    await server.event(resets ? /^close \d+ mode e E(CONNRESET|PIPE)/ : /^close \d+ mode e/);
  });

  it('survives a peer that resets while much is on its way to it', async () => {
    const peer = await server.dial();
    peer.pause();
    peer.write(Buffer.from('f'));
    await server.event(/^pending/);
    peer.reset();
    await server.event(/^close \d+ mode f E(CONNRESET|PIPE)/);
  });

  it('leaks nothing after 200 connections', async () => {
    const before = await server.stats();
    const comeAndGo = async (): Promise<void> => {
      const peers = await Promise.all(Array.from({ length: 200 }, () => server.dial()));
      for (const peer of peers) peer.write(Buffer.from('ex'));
      await Promise.all(peers.map((peer) => peer.read(1)));
      expect((await server.stats()).open).toBe(200);
      for (const [index, peer] of peers.entries()) {
        if (index % 3 === 0) peer.reset();
        else if (index % 3 === 1) peer.destroy();
        else peer.end();
      }
      await server.clear();
    };
    // A connection may be over a moment before its descriptor is.
    const settled = async (): Promise<number> => {
      let least = Number.POSITIVE_INFINITY;
      for (let look = 0; look < 50; look++) least = Math.min(least, (await server.stats()).descriptors);
      return least;
    };
    await comeAndGo();
    const history = [await settled()];
    if (!opensDescriptors) {
      expect(history).toEqual([before.descriptors]);
      return;
    }
    // Three more were seen on Deno under load, which stay. What leaks grows with each time, and so never stays as it was.
    do {
      await comeAndGo();
      history.push(await settled());
      expect(history.length, `descriptors after each time: ${history.join(', ')}`).toBeLessThan(6);
    } while (history.at(-1)! > history.at(-2)!);
  });

  it('refuses an address that is in use, and says so', async () => {
    server.command('listen');
    const [, message] = await server.event(/^refused EADDRINUSE (.*)/);
    expect(message).toBe(`can't listen on ${server.address}: address already in use (EADDRINUSE)`);
  });

  if (framing === 'stream') streamSuite(() => server, floodBytes);
  else messageSuite(() => server);

  describe('closing', () => {
    if (framing === 'stream') closesByHalves(start, floodBytes);
    else closesAsAWhole(start, floodBytes);

    it('cuts off after the grace time who does not leave', async () => {
      const closing = await start();
      const stuck = await closing.dial();
      stuck.pause();
      stuck.write(Buffer.from('f'));
      await closing.event(/^pending/);
      closing.command('close 50');
      await closing.event(/^closed 0/);
      stuck.destroy();
      await closing.stop();
    });
  });
}

/** Everything about a transport that has sockets, on one runtime and one kind of address. */
export function socketSuite(cell: Cell, floodBytes: () => Uint8Array): void {
  const folder = mkdtempSync(join(tmpdir(), 'ringkv-transport-'));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  let count = 0;
  const freshPath = () => join(folder, `${++count}.sock`);
  const freshAddress = () => (cell.kind === 'unix' ? `unix:${freshPath()}` : `${cell.kind}://127.0.0.1:0`);

  const framing = cell.kind === 'ws' ? 'message' : 'stream';
  const opensDescriptors = cell.runtime.name === 'deno';
  const traits = { framing, resets: cell.kind !== 'unix', opensDescriptors, isSecure: false } as const;
  describe('server', () =>
    serverSuite(() => startServer(cell.runtime, cell.transport, freshAddress()), floodBytes, traits));
  describe('client', () =>
    cell.kind === 'ws' ? messageClientSuite(cell, floodBytes) : clientSuite(cell, freshAddress, floodBytes));
  if (cell.kind === 'unix') describe('socket file', () => socketFileSuite(cell, freshPath));
  else describe('address', () => addressSuite(cell));
}

function clientSuite(cell: Cell, freshAddress: () => string, floodBytes: () => Uint8Array): void {
  let server: Server;
  let address: string;
  let accepted: (socket: Socket) => void = () => {};

  beforeAll(async () => {
    address = freshAddress();
    server = createServer({ allowHalfOpen: true }, (socket) => {
      socket.on('error', () => {});
      accepted(socket);
    });
    server.listen(cell.kind === 'unix' ? address.slice('unix:'.length) : { host: '127.0.0.1', port: 0 });
    await once(server, 'listening');
    const bound = server.address();
    if (bound !== null && typeof bound === 'object') address = `tcp://127.0.0.1:${bound.port}`;
  });
  afterAll(() => {
    server.close();
  });

  const play = (scenario: string, at = address): Child =>
    startChild(cell.runtime, 'test/support/transport-app.mjs', [cell.transport, 'connect', at, scenario]);

  it('sends bytes in any split, half-closes, and receives what comes after', async () => {
    accepted = (socket) => {
      const chunks: Buffer[] = [];
      socket.on('data', (bytes) => chunks.push(bytes));
      // Only when all of it is there is any of it sent back.
      socket.on('end', () => socket.end(Buffer.concat(chunks)));
    };
    await play('echo').waitForLine(new RegExp(`^done received ${3 * MEBIBYTE} wrong 0 ended true clean`));
  });

  it('tells of the end of the stream', async () => {
    accepted = (socket) => {
      socket.resume();
      socket.end(floodBytes().subarray(0, 10));
    };
    await play('listen').waitForLine(/^done received 10 wrong 0 ended true clean/);
  });

  it('tells of a reset as the error of close', async () => {
    // Closing with unread bytes resets a unix socket; TCP has a reset of its own.
    accepted = (socket) =>
      socket.once('readable', () => (cell.kind === 'tcp' ? socket.resetAndDestroy() : socket.destroy()));
    await play('echo').waitForLine(/^done .* E(CONNRESET|PIPE)/);
  });

  it('names address and cause when nobody answers', async () => {
    const nowhere = cell.kind === 'tcp' ? 'tcp://127.0.0.1:1' : `unix:${join(tmpdir(), 'ringkv-nobody.sock')}`;
    const [, code, message] = await play('listen', nowhere).waitForLine(/^failed (\S+) (.*)/);
    expect(code).toBe(cell.kind === 'tcp' ? 'ECONNREFUSED' : 'ENOENT');
    expect(message).toContain(`can't connect to ${nowhere}: `);
  });

  it('gives up when aborted', async () => {
    accepted = (socket) => socket.destroy();
    await play('abort').waitForLine(/^failed - given up/);
  });
}

function addressSuite(cell: Cell): void {
  const { kind } = cell;
  const refusal = async (address: string): Promise<string> => {
    const child = startChild(cell.runtime, 'test/support/transport-app.mjs', [cell.transport, 'serve', address]);
    const [line] = await child.waitForLine(/^(refused|listening) .*/);
    await child.stop();
    return line;
  };

  it('listens on IPv6', async () => {
    expect(await refusal(`${kind}://[::1]:0`)).toMatch(new RegExp(`^listening ${kind}://\\[::1\\]:[1-9]\\d*$`));
  });

  it('names address and cause when it can not listen', async () => {
    // Deno's `node:net` (2.9) tells EINVAL of every address it can't bind to; elsewhere it is the kernel's own code.
    const pinned = cell.transport === 'node' && cell.runtime.name === 'deno';
    expect(await refusal(`${kind}://192.0.2.1:7464`)).toBe(
      pinned
        ? `refused EINVAL can't listen on ${kind}://192.0.2.1:7464: invalid address (EINVAL)`
        : `refused EADDRNOTAVAIL can't listen on ${kind}://192.0.2.1:7464: no address of this machine (EADDRNOTAVAIL)`,
    );
    expect(await refusal(`${kind}://no-such-host.invalid:7464`)).toMatch(
      new RegExp(`^refused \\S+ can't listen on ${kind}://no-such-host\\.invalid:7464: `),
    );
    expect(await refusal('memory:x')).toMatch(
      kind === 'ws'
        ? /^refused UNSUPPORTED .* its addresses are ws and wss$/
        : /^refused UNSUPPORTED .* are tcp(, tls)? and unix$/,
    );
  });
}

/** What a thread runs that listens and never accepts. */
const BUSY_SERVER = `
  const { parentPort, workerData } = require('node:worker_threads');
  require('node:net').createServer().listen({ path: workerData, backlog: 1 }, () => {
    parentPort.postMessage('listening');
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
  });
`;

function socketFileSuite(cell: Cell, freshPath: () => string): void {
  const serve = (path: string): Child =>
    startChild(cell.runtime, 'test/support/transport-app.mjs', [cell.transport, 'serve', `unix:${path}`]);

  it('replaces the file of a server that was killed, and removes its own when it closes', async () => {
    const path = freshPath();
    const killed = serve(path);
    await killed.waitForLine(/^listening/);
    await killed.stop('SIGKILL');
    expect(existsSync(path)).toBe(true);

    const server = await startServer(cell.runtime, cell.transport, `unix:${path}`);
    const peer: Peer = await dialSocket(server.address);
    peer.write(Buffer.from('ex'));
    await peer.read(1);
    peer.end();
    await peer.closed;
    server.command('close 1000');
    await server.event(/^closed/);
    expect(existsSync(path)).toBe(false);
    await server.stop();
  });

  it('leaves the file of a server that answers', async () => {
    const path = freshPath();
    const first = serve(path);
    await first.waitForLine(/^listening/);
    const second = serve(path);
    await second.waitForLine(/^refused EADDRINUSE can't listen on unix:.*: address already in use/);
    await second.stop();
    const peer = await dialSocket(`unix:${path}`);
    peer.destroy();
    await first.stop();
  });

  it('leaves the file of a server that is too busy to accept', async () => {
    const path = freshPath();
    const busy = new Worker(BUSY_SERVER, { eval: true, workerData: path });
    await once(busy, 'message');
    const waiting: Socket[] = [];
    const isFull = (): Promise<boolean> =>
      new Promise((resolve) => {
        const socket = connect(path, () => resolve(false)).on('error', () => resolve(true));
        waiting.push(socket);
      });
    while (!(await isFull()));
    const second = serve(path);
    await second.waitForLine(/^refused EADDRINUSE can't listen on unix:.*: address already in use/);
    await second.stop();
    expect(existsSync(path)).toBe(true);
    for (const socket of waiting) socket.destroy();
    await busy.terminate();
  });

  // The runtimes themselves remove what lies at the path of a socket of theirs.
  it.runIf(cell.transport === 'uring')('leaves the file of another server when it closes', async () => {
    const path = freshPath();
    const server = await startServer(cell.runtime, cell.transport, `unix:${path}`);
    rmSync(path);
    const other = createServer().listen(path);
    await once(other, 'listening');
    server.command('close 1000');
    await server.event(/^closed/);
    await server.stop();
    expect(existsSync(path)).toBe(true);
    other.close();
  });

  it('closes as ever when its file can not be removed', async () => {
    const inner = `${freshPath()}.d`;
    mkdirSync(inner);
    const server = await startServer(cell.runtime, cell.transport, `unix:${join(inner, 'socket')}`);
    const peer = await server.dial();
    peer.write(Buffer.from('ex'));
    await peer.read(1);
    renameSync(inner, `${inner}.moved`);
    symlinkSync(inner, inner);
    server.command('close 1000');
    await peer.ended;
    peer.end();
    await server.event(/^closed 0/);
    await server.stop();
  });

  it('leaves a file that is no socket', async () => {
    const path = freshPath();
    writeFileSync(path, 'mine');
    const child = serve(path);
    await child.waitForLine(/^refused EEXIST can't listen on unix:.*: a file that is no socket is in the way/);
    await child.stop();
    expect(existsSync(path)).toBe(true);
  });

  it('says when the folder is missing', async () => {
    const child = serve('/nonexistent/ringkv.sock');
    await child.waitForLine(/^refused ENOENT can't listen on unix:\/nonexistent\/ringkv.sock: no such file or folder/);
    await child.stop();
  });
}
