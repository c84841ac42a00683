/** The benchmark's control, a bare echo: it sends back as many bytes as it was asked for, over streams and messages alike. */
import { afterEach, expect, test } from 'vitest';
import { Load } from '../../bench/load/load.ts';
import { Values, ycsbB } from '../../bench/load/workload.ts';
import { EchoControl, type EchoPlan, EchoPool } from '../../bench/servers/echo-protocol.ts';
import { EchoRoom } from '../../bench/servers/echo-room.ts';
import { parseAddress } from '../../transports/address.ts';
import { createTransport } from '../../transports/transports.ts';
import { type Child, startChild } from '../support/children.ts';
import { node } from '../support/command.ts';
import { WireClient } from '../support/wire.ts';

const children: Child[] = [];

afterEach(async () => {
  for (const child of children.splice(0)) await child.stop();
});

async function startEcho(plan: Pick<EchoPlan, 'transport' | 'address'>): Promise<string> {
  const child = startChild(node, 'dist/bench/servers/echo.js', [JSON.stringify({ ...plan, outputBytes: 4096 })]);
  children.push(child);
  return (await child.waitForLine(/:\/\//)).input;
}

const uws = createTransport('uws').availability();
const cells: [string, EchoPlan['transport'], string, boolean][] = [
  ['a stream', 'node', 'tcp://127.0.0.1:0', true],
  ['messages', 'uws', 'ws://127.0.0.1:0', uws.available],
];

for (const [what, transport, listen, isHere] of cells) {
  const reason = isHere || uws.available ? '' : `: skipped, it ${uws.reason}`;

  test.skipIf(!isHere)(`answers frames over ${what} by the length that the server's reply has${reason}`, async () => {
    const address = await startEcho({ transport, address: listen });
    const client = createTransport(transport);
    // Some replies are longer than what the control sends at once, when what it sends needs not be whole.
    const pool = new EchoPool(ycsbB(2000, 100, 1), transport === 'node' ? 100 : 20, new Values(100));
    const load = await Load.open({
      transport: client,
      address: parseAddress(address),
      connections: 3,
      depth: 2,
    });
    const control = await EchoControl.open(client, parseAddress(address));
    const before = await control.figures();
    // Resolves only if the bytes of all replies add up.
    await load.once(pool);
    const after = await control.figures();
    expect(after.cpuUserMicros + after.cpuSystemMicros).toBeGreaterThan(before.cpuUserMicros + before.cpuSystemMicros);
    expect(after.peakResidentBytes).toBeGreaterThan(0);
    load.close();
    control.close();
  });
}

test('cuts requests that come in pieces, and ends when the peer has', async () => {
  const { peer } = await WireClient.dial(await startEcho({ transport: 'node', address: 'tcp://127.0.0.1:0' }));
  const request = Uint8Array.of(0xce, 0, 0, 0, 6, 0, 0, 0, 3, 0xff, 0xff);
  for (const byte of request) {
    peer.write(Uint8Array.of(byte));
    await new Promise(setImmediate);
  }
  expect(await peer.read(5 + 3)).toHaveLength(8);
  peer.write(Buffer.concat([request, request]));
  peer.end();
  expect(await peer.read(2 * (5 + 3))).toHaveLength(16);
  await peer.ended;
  await peer.closed;
});

test('its room gives out pieces that do not overlap, and gives them out again', () => {
  const room = new EchoRoom(1);
  const first = room.allocate(5000);
  const second = room.allocate(100);
  expect(first).toBeGreaterThan(0);
  expect(second).toBeGreaterThanOrEqual(first + 5000);
  room.free(first);
  expect(room.allocate(5001)).toBe(first);
  expect(room.allocate(room.memory.length)).toBe(0);
  expect(() => room.free(7)).toThrow(RangeError);
});
