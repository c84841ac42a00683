/** What only a server does whose frames are messages: the WebSocket's own part of the conformance suite. */
import { get } from 'node:http';
import { get as getSecurely } from 'node:https';
import { decode } from '@msgpack/msgpack';
import { expect, test } from 'vitest';
import { encode } from '../support/bytes.ts';
import type { RuntimeName } from '../support/children.ts';
import type { ServerChild } from '../support/command.ts';
import { dialWebSocket } from '../support/websocket-peer.ts';
import { frame, WireClient } from '../support/wire.ts';

const ORIGIN_REFUSED =
  'a page may connect from localhost, 127.0.0.1, [::1], or the host that it connects to; this origin is another\n';

const MiB = 1024 * 1024;
const PING = 0;
const GET = 1;
const SET = 2;
const DEL = 3;
const INFO = 34;

/** Payloads of which nothing can be read, as frames. */
export const messageUnreadable: [string, Uint8Array, string][] = [
  ['a frame with its header, as on a stream', frame(frame(encode([[PING]]))), 'FRAME'],
  ['one byte more than maxFrame', frame(new Uint8Array(16 * MiB + 1)), 'SIZE'],
];

/** The headers of a request that asks for WebSocket as it has to be asked. */
const handshake = {
  Connection: 'Upgrade',
  Upgrade: 'websocket',
  'Sec-WebSocket-Key': 'cmluZ2t2IHJpbmdrdiByaQ==',
  'Sec-WebSocket-Version': '13',
};

interface Answer {
  readonly status: number;
  readonly text: string;
  /** The header of that name. */
  readonly upgrade?: string | undefined;
}

/** What a plain HTTP client is answered. */
function ask(address: string, headers: Record<string, string>): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const url = address.replace(/^ws/, 'http');
    const asked = url.startsWith('https:')
      ? getSecurely(url, { headers, rejectUnauthorized: false })
      : get(url, { headers });
    asked.once('error', reject);
    asked.once('upgrade', ({ statusCode }, socket) => {
      socket.destroy();
      resolve({ status: statusCode!, text: '' });
    });
    asked.once('response', (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (part: string) => {
        text += part;
      });
      response.once('end', () => resolve({ status: response.statusCode!, text, upgrade: response.headers.upgrade }));
    });
  });
}

export function messageFraming(server: () => ServerChild, runtime: RuntimeName): void {
  const address = (): string => server().ready.address;
  const request = (...operations: readonly unknown[]): Uint8Array => encode(operations);

  test('a message is a payload, and its reply is one message without a header', async () => {
    const peer = await dialWebSocket(address());
    peer.write(Buffer.from('9293 02a161a131 9201a161'.replaceAll(' ', ''), 'hex'));
    expect((await peer.read(3)).toString('hex')).toBe('92c3a1');
    peer.end();
    expect(await peer.closeCode).toBe(1000);
  });

  test('a message in fragments, cut at every point, is one payload', async () => {
    const peer = await dialWebSocket(address());
    const payload = request([PING, 'cut']);
    for (let at = 0; at <= payload.length; at++) {
      peer.writePart(payload.subarray(0, at), false);
      peer.writePart(payload.subarray(at), true);
      expect(decode(await peer.read(5))).toEqual(['cut']);
    }
    peer.destroy();
    await peer.closed;
  });

  test('a text message is refused with 1003', async () => {
    const peer = await dialWebSocket(address());
    peer.writeText('PING');
    expect(await peer.closeCode).toBe(1003);
  });

  test('a message of more than 64 MiB ends the connection', async () => {
    const peer = await dialWebSocket(address());
    peer.write(new Uint8Array(64 * MiB + 1));
    // Only Bun tells why; uWebSockets.js and Deno close the connection under the WebSocket.
    expect(await peer.closeCode).toBe(runtime === 'bun' ? 1009 : 1006);
  });

  test('plain HTTP is told to upgrade', async () => {
    expect(await ask(address(), {})).toMatchObject({ status: 426, upgrade: 'websocket' });
  });

  test('an upgrade without a key is refused, and no more is said of it', async () => {
    const { stderr } = server().child;
    const { 'Sec-WebSocket-Key': _, ...keyless } = handshake;
    expect((await ask(address(), keyless)).status).toBe(426);
    expect((await ask(address(), handshake)).status).toBe(101);
    expect(server().child.stderr).toBe(stderr);
  });

  test.each([
    ['of this machine', 'http://localhost:3000', undefined, 101],
    ["of the server's host", 'https://db.example', 'db.example:7464', 101],
    ['of another host', 'https://elsewhere.example', 'db.example:7464', 403],
    ['of no host', 'null', undefined, 403],
  ])('a page %s: %s, host %s: %i', async (_, origin, host, expected) => {
    const { status, text } = await ask(address(), { ...handshake, origin, ...(host !== undefined && { host }) });
    expect([status, text]).toEqual([expected, expected === 403 ? ORIGIN_REFUSED : '']);
  });

  test('who closes has everything executed that it sent before', async () => {
    const peer = await dialWebSocket(address());
    const other = await dialWebSocket(address());
    other.write(request([DEL, 'closing']));
    await other.read(2);
    peer.write(request([SET, 'closing', 'stored']));
    peer.end();
    expect(await peer.closeCode).toBe(1000);
    other.write(request([GET, 'closing']));
    expect(decode(await other.read(8))).toEqual(['stored']);
    other.destroy();
    await other.closed;
  });

  test('who sends on and on without reading is closed with 1008 once 64 MiB wait', async () => {
    const peer = await dialWebSocket(address());
    const other = await dialWebSocket(address(), true);
    const client = new WireClient(other);
    const connections = async () => ((await client.call([INFO])) as [Record<string, number>])[0].connections!;
    const before = await connections();
    const value = 'x'.repeat(8 * MiB);
    const answer = encode([value]);
    peer.pause();
    // The replies are what fills the way back; then the requests are what waits.
    for (let i = 0; i < 16; i++) peer.write(request([PING, value]));
    // Until the server has taken all, or cut the connection; a server that does neither fails this by the time limit.
    while (peer.unsentBytes > 0 && (await connections()) === before);
    peer.resume();
    // Deno sends no close frame behind data that the peer has not taken, but cuts the connection; over TLS, what is before it
    // may have taken that.
    const isCut = runtime === 'deno';
    if (!isCut) expect((await peer.read(answer.length)).equals(answer)).toBe(true);
    const cutCodes = address().startsWith('wss:') ? [1006, 1008] : [1006];
    expect(isCut ? cutCodes : [1008]).toContain(await peer.closeCode);
    await client.close();
  });
}
