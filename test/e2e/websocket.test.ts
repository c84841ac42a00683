/** The command over WebSocket: every server that speaks it with the shell on every runtime, and what is said when it is asked wrongly. */
import { once } from 'node:events';
import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Op } from '../../core/protocol.ts';
import { createTransport, naturalTransport } from '../../transports/transports.ts';
import { runtimes } from '../support/children.ts';
import { descriptorsOf, run, type ServerChild, startServe } from '../support/command.ts';
import { dialWebSocket } from '../support/websocket-peer.ts';
import { WireClient } from '../support/wire.ts';

const found = runtimes();

const asking = 'Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n';
const refusals = {
  'a page': { headers: '', answer: /^HTTP\/1.1 426 .*\r\nUpgrade: websocket\r\n/s },
  'a WebSocket without a key': { headers: asking, answer: /^HTTP\/1.1 426 .*\r\nUpgrade: websocket\r\n/s },
  'one from elsewhere': {
    headers: `${asking}Sec-WebSocket-Key: ${'A'.repeat(22)}==\r\nOrigin: http://elsewhere.example\r\n`,
    answer: /^HTTP\/1.1 403 .*\r\n\r\na page may connect from/s,
  },
};

for (const runtime of found) {
  const transport = naturalTransport(runtime.name, 'ws');
  const availability = createTransport(transport).availability();
  const reason = runtime.name === 'node' && !availability.available ? `: skipped, it ${availability.reason}` : '';

  describe.skipIf(reason !== '')(`${transport} on ${runtime.name}${reason}`, () => {
    let server: ServerChild;
    beforeAll(async () => {
      server = await startServe(['--listen', 'ws://127.0.0.1:0'], { runtime });
    });
    afterAll(async () => {
      expect(await server?.child.stop()).toBe(0);
    });

    test('an address of WebSocket is enough to choose it', () => {
      expect(server.ready.transport).toBe(transport);
      expect(server.ready.address).toMatch(/^ws:\/\/127\.0\.0\.1:[1-9]\d*$/);
    });

    test.each(found)('the shell on $name talks to it', async (client) => {
      const input = `set from ${client.name}\nget from\nadd from 1\n`;
      const outcome = await run(['shell', '--connect', server.ready.address], { runtime: client, input });
      expect(outcome.stdout).toBe(`true\n"${client.name}"\n`);
      expect([outcome.stderr.trim(), outcome.code]).toEqual(['error: value is not an integer', 1]);
    });

    // Deno leaves it to the client to close.
    test.skipIf(transport === 'deno-ws').each(Object.entries(refusals))(
      'who asks for %s is answered and closed, and may stay as it likes',
      async (_, request) => {
        const before = descriptorsOf(server);
        const { hostname, port } = new URL(server.ready.address);
        const staying = connect({ host: hostname, port: Number(port), allowHalfOpen: true });
        let answer = '';
        staying.setEncoding('latin1').on('data', (part) => {
          answer += part;
        });
        staying.write(`GET / HTTP/1.1\r\nHost: localhost\r\n${request.headers}\r\n`);
        await once(staying, 'end');
        expect(answer).toMatch(request.answer);
        await expect.poll(() => descriptorsOf(server), { timeout: 5000 }).toBeLessThanOrEqual(before);
        staying.destroy();
      },
    );

    test('a stream of bytes at an address of WebSocket is asked for in vain, and the error says what to write', async () => {
      const tcp = server.ready.address.replace('ws:', 'tcp:');
      const served = await run(['serve', '--transport', transport, '--listen', tcp], { runtime });
      expect(served.stderr).toBe(
        `ringkv: transport ${transport} can't listen on ${tcp}: its addresses are ws and wss; write ${server.ready.address}\n`,
      );
      expect(served.code).toBe(1);
    });

    test('and the other way round', async () => {
      const { address } = server.ready;
      const args = ['shell', '--transport', 'node', '--connect', address, 'ping'];
      const outcome = await run(args, { runtime });
      expect(outcome.stderr).toBe(
        `ringkv: transport node can't connect to ${address}: its addresses are tcp, tls and unix; write ${address.replace('ws:', 'tcp:')}\n`,
      );
      expect(outcome.code).toBe(1);
    });

    // Deno puts together what comes.
    test.skipIf(transport === 'deno-ws')('a message that does not end is cut off soon after --max-frame', async () => {
      const strict = await startServe(['--listen', 'ws://127.0.0.1:0', '--max-frame', '64k'], { runtime });
      const peer = await dialWebSocket(strict.ready.address);
      const part = new Uint8Array(256 * 1024);
      for (let i = 0; i < 6; i++) peer.writePart(part, false);
      expect([1006, 1009]).toContain(await peer.closeCode);
      const told = await WireClient.dial(strict.ready.address);
      expect(await told.call([Op.SET, 'k', part])).toMatchObject({ error: 'SIZE' });
      await told.close();
      expect(await strict.child.stop()).toBe(0);
    });

    test('a server that is told to stop closes its clients in good order', async () => {
      const stopping = await startServe(['--listen', 'ws://127.0.0.1:0'], { runtime });
      const socket = new (await import('ws')).WebSocket(stopping.ready.address);
      await new Promise((resolve) => socket.once('open', resolve));
      const closeCode = new Promise((resolve) => socket.once('close', resolve));
      expect(await stopping.child.stop()).toBe(0);
      expect(await closeCode).toBe(1000);
    });
  });
}
