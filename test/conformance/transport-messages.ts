/** The part of the transports' conformance suite that is about messages alone: WebSocket. */
import { once } from 'node:events';
import type { AddressInfo, Socket } from 'node:net';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type WebSocket, WebSocketServer } from 'ws';
import { type Child, startChild } from '../support/children.ts';
import type { ServerUnderTest } from '../support/transport-peers.ts';
import type { Cell } from './transport-suite.ts';

const MEBIBYTE = 1024 * 1024;

/** What only messages have: whole ones, and one end for both directions. */
export function messageSuite(server: () => ServerUnderTest): void {
  it('sends what was sent before it ends, and closes', async () => {
    const peer = await server().dial();
    peer.write(Buffer.from('h'));
    expect(String(await peer.read(3))).toBe('bye');
    await peer.ended;
    await server().event(/^close \d+ mode h clean/);
  });

  it('tells of the end when the peer closes, after all that came before', async () => {
    const peer = await server().dial();
    const before = await server().stats();
    peer.write(Buffer.from('e'));
    for (let i = 0; i < 100; i++) peer.write(new Uint8Array(1000));
    peer.end();
    await server().event(/^end \d+ mode e/);
    await server().event(/^close \d+ mode e clean/);
    expect((await server().stats()).received - before.received).toBe(100_000);
  });

  it('delivers nothing while paused, and goes on where it stopped', async () => {
    const peer = await server().dial();
    const before = await server().stats();
    peer.write(Buffer.from('p'));
    for (let i = 0; i < 32; i++) peer.write(new Uint8Array(MEBIBYTE));
    while (peer.unsentBytes > 0) {
      expect((await server().stats()).received - before.received).toBeLessThanOrEqual(MEBIBYTE);
    }
    server().command('resume');
    while ((await server().stats()).received - before.received < 32 * MEBIBYTE);
    peer.end();
    await server().event(/^close \d+ mode p clean/);
  });

  it('cuts off who sends more than 64 MiB while paused', async () => {
    const peer = await server().dial();
    peer.write(Buffer.from('p'));
    for (let i = 0; i < 65; i++) peer.write(new Uint8Array(MEBIBYTE));
    await server().event(/^close \d+ mode p WEBSOCKET_1008/);
    await peer.closed;
  });
}

/** How a listener closes whose connections have one end. */
export function closesAsAWhole(start: () => Promise<ServerUnderTest>, floodBytes: () => Uint8Array): void {
  it('sends what is pending, closes, accepts nobody any more, and resolves when all have gone', async () => {
    const closing = await start();
    const slow = await closing.dial();
    const idle = await closing.dial();
    idle.write(Buffer.from('ex'));
    await idle.read(1);
    slow.pause();
    slow.write(Buffer.from('f'));
    await closing.event(/^pending/);
    closing.command('close 60000');
    await idle.ended;
    // Deno can't stop listening without closing its WebSockets, so there it is an answer that refuses.
    await expect(closing.dial()).rejects.toThrow(/ECONNREFUSED|503/);
    expect(closing.lines.some((line) => line.startsWith('closed'))).toBe(false);
    slow.resume();
    const expected = floodBytes();
    expect((await slow.read(expected.length)).equals(expected)).toBe(true);
    await slow.ended;
    await closing.event(/^closed 0/);
    expect(closing.lines.filter((line) => line.startsWith('WRONG'))).toEqual([]);
    await closing.stop();
  });
}

/** The client side of a transport, against a server made of the package `ws`. */
export function messageClientSuite(cell: Cell, floodBytes: () => Uint8Array): void {
  let server: WebSocketServer;
  let address: string;
  let accepted: (peer: WebSocket, socket: Socket) => void = () => {};

  beforeAll(async () => {
    server = new WebSocketServer({ host: '127.0.0.1', port: 0, perMessageDeflate: false });
    server.on('connection', (peer, { socket }) => {
      peer.on('error', () => {});
      accepted(peer, socket);
    });
    await once(server, 'listening');
    address = `ws://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  afterAll(() => {
    server.close();
  });

  const play = (scenario: string, at = address): Child =>
    startChild(cell.runtime, 'test/support/transport-app.mjs', [cell.transport, 'connect', at, scenario]);

  it('sends messages of any size, and receives them', async () => {
    accepted = (peer) => peer.on('message', (message: Buffer) => peer.send(message));
    await play('echo').waitForLine(new RegExp(`^done received ${3 * MEBIBYTE} wrong 0 ended true clean`));
  });

  it('tells of the end when the peer closes', async () => {
    accepted = (peer) => {
      peer.send(floodBytes().subarray(0, 10));
      peer.close(1000);
    };
    await play('listen').waitForLine(/^done received 10 wrong 0 ended true clean/);
  });

  it('refuses a text message', async () => {
    const closeCode = new Promise<number>((resolve) => {
      accepted = (peer) => {
        peer.send('text');
        peer.once('close', resolve);
      };
    });
    await play('listen').waitForLine(/^done received 0 wrong 0 ended false WEBSOCKET_1003/);
    // A client may not send the standard's 1003.
    expect(await closeCode).toBe(4003);
  });

  it('tells of a close with an error as the error of close', async () => {
    accepted = (peer) => peer.close(1011, 'no');
    await play('listen').waitForLine(/^done .* WEBSOCKET_1011/);
  });

  it('tells of a reset as the error of close', async () => {
    accepted = (peer, socket) => peer.once('message', () => void socket.resetAndDestroy());
    await play('echo').waitForLine(/^done .* ECONNRESET/);
  });

  it('names address and cause when nobody answers', async () => {
    const nowhere = 'ws://127.0.0.1:1';
    const [, code, message] = await play('listen', nowhere).waitForLine(/^failed (\S+) (.*)/);
    // Deno (2.9) has no code for it, nor a browser.
    expect(code).toBe(cell.runtime.name === 'deno' ? 'UNKNOWN' : 'ECONNREFUSED');
    expect(message).toMatch(/^can't connect to ws:\/\/127\.0\.0\.1:1: .*no (WebSocket )?server answers there/);
  });

  it('gives up when aborted', async () => {
    accepted = (peer) => peer.terminate();
    await play('abort').waitForLine(/^failed - given up/);
  });
}
