/** The benchmark's load: it counts what a server did, and a server that misbehaves ends it. */
import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { FramePool } from '../../bench/load/frames.ts';
import { Load, type LoadOptions } from '../../bench/load/load.ts';
import { loading, Values, ycsbB } from '../../bench/load/workload.ts';
import { startServer } from '../../runtime/server.ts';
import { parseAddress } from '../../transports/address.ts';
import { createTransport } from '../../transports/transports.ts';
import { encode } from '../support/bytes.ts';
import { frame } from '../support/wire.ts';

const KEYS = 300;
const BATCH = 4;
const values = new Values(50);
const ends: (() => unknown)[] = [];

afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

async function openLoad(address: string, options: Partial<LoadOptions> = {}): Promise<Load> {
  const load = await Load.open({
    transport: createTransport('node'),
    address: parseAddress(address),
    connections: 3,
    depth: 1,
    ...options,
  });
  ends.push(() => load.close());
  return load;
}

/** A server on which the first chunk of each connection is answered by `answer`. Resolves to its address. */
async function strangeServer(answer: (socket: Socket) => void): Promise<string> {
  const sockets: Socket[] = [];
  const server: Server = createServer((socket) => {
    sockets.push(socket);
    socket.on('error', () => {});
    socket.once('data', () => answer(socket));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  ends.push(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return `tcp://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

test.each([1, 3])('stores and reads over connections with %i frames in flight', async (depth) => {
  const server = await startServer({ listen: 'tcp://127.0.0.1:0', engine: 'map' });
  ends.push(() => server.close(0));
  const load = await openLoad(server.address, { depth });
  await load.once(new FramePool(loading(0, KEYS), BATCH, values));
  expect((await server.info()).keys).toBe(KEYS);

  const pool = new FramePool(ycsbB(800, KEYS, 1), BATCH, values);
  const framesBefore = Number((await server.info()).frames);
  const run = load.endless(pool);
  // Round and round: more often than there are frames in the pool.
  while (run.framesDone <= pool.length) await new Promise(setImmediate);
  run.stop();
  await run.finished;
  expect((await server.info()).frames).toBe(framesBefore + run.framesDone);
  expect(run.latency.percentiles().p50Micros).toBeGreaterThan(0);

  // The same connections do for the next pool.
  await load.once(new FramePool(ycsbB(30, KEYS, 2), 1, values));
  expect((await server.info()).frames).toBe(framesBefore + run.framesDone + 30);
});

test('a key that is not there ends the run', async () => {
  const server = await startServer({ listen: 'tcp://127.0.0.1:0', engine: 'map' });
  ends.push(() => server.close(0));
  const load = await openLoad(server.address);
  const run = load.endless(new FramePool(ycsbB(800, KEYS, 1), BATCH, values));
  await expect(run.finished).rejects.toThrow(/^GET user\d{12} answered nil/);
});

const misbehaviours: readonly [what: string, answer: (socket: Socket) => void, message: string | RegExp][] = [
  ['closes the connection', (socket) => socket.end(), 'the server ended a connection'],
  ['resets the connection', (socket) => socket.resetAndDestroy(), 'a connection to the server is lost'],
  [
    'speaks another protocol',
    (socket) => socket.write('-ERR unknown command\r\n'),
    'a reply starts with the byte 0x2d',
  ],
  ['answers too little', (socket) => socket.write(frame(encode([true]))), 'a reply has 1 results instead of 4'],
];

test.each(misbehaviours)('a server that %s ends the run', async (_what, answer, message) => {
  const load = await openLoad(await strangeServer(answer), { connections: 1 });
  await expect(load.once(new FramePool(loading(0, BATCH), BATCH, values))).rejects.toThrow(message);
});

test('what goes wrong between two runs ends the second', async () => {
  const rightReply = frame(encode([true, true, true, true]));
  const address = await strangeServer((socket) => socket.write(Buffer.concat([rightReply, rightReply])));
  const load = await openLoad(address, { connections: 1 });
  const pool = new FramePool(loading(0, BATCH), BATCH, values);
  await load.once(pool);
  await expect(load.once(pool)).rejects.toThrow('a reply came that nobody asked for');
});

test('a server that does not answer ends the run', async () => {
  const load = await openLoad(await strangeServer(() => {}), { replyTimeoutMs: 1 });
  await expect(load.once(new FramePool(loading(0, KEYS), BATCH, values))).rejects.toThrow('no reply to a frame for');
});

test('no server, no load', async () => {
  const address = await strangeServer(() => {});
  await ends.pop()?.();
  await expect(openLoad(address)).rejects.toThrow(/connect/);
});
