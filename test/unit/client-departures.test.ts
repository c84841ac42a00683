/** Shards that leave the map while connections to them are opened, used and lost; over connections by hand, turn by turn. */
import { expect, test } from 'vitest';
import { Client } from '../../core/client/client.ts';
import type { ClientState, Connect } from '../../core/client/settings.ts';
import type { Connection, ConnectionHandler } from '../../core/connection.ts';
import { divideSlots, type ShardMap } from '../../core/slots.ts';
import { encode } from '../support/bytes.ts';
import { ManualTimers } from '../support/manual-timers.ts';
import { HELLO } from '../support/scripted-server.ts';

const turn = () => new Promise((resolve) => setImmediate(resolve));

/** A connection whose server is the test. */
class Wire implements Connection {
  readonly framing = 'message';
  readonly pendingBytes = 0;
  readonly handler: ConnectionHandler;
  isOpen = true;

  constructor(open: (connection: Connection) => ConnectionHandler) {
    this.handler = open(this);
  }

  send(): void {}
  pauseReading(): void {}
  resumeReading(): void {}

  end(): void {
    this.destroy();
  }

  destroy(): void {
    if (this.isOpen) setImmediate(() => this.handler.close());
    this.isOpen = false;
  }

  reply(...results: unknown[]): void {
    this.handler.data(encode(results));
  }

  lose(): void {
    this.isOpen = false;
    this.handler.close();
  }
}

/** The slots, divided evenly over shards of these names. `foo` is on the last of two and of three. */
const map = (...names: string[]): ShardMap =>
  divideSlots(names.length).map(({ first, last }, shard) => [first, last, names[shard]!]);

/** A client of the shard `a`, which tells of these. */
async function open(...names: string[]) {
  const timers = new ManualTimers();
  const wires = new Map<string, Wire>();
  const attempts: string[] = [];
  const states: ClientState[] = [];
  const connectTo =
    (name: string): Connect =>
    async (opened) => {
      attempts.push(name);
      const wire = new Wire(opened);
      wires.set(name, wire);
      return wire;
    };
  const home = connectTo('a');
  const opening = Client.open({
    timers,
    connect: home,
    connectShard: (name) => (name === 'a' ? home : connectTo(name)),
    onState: (state) => states.push(state),
    timeoutMs: Number.POSITIVE_INFINITY,
  });
  const wire = (name: string): Wire => wires.get(name)!;
  const greet = (name: string, ...shards: string[]): void => wire(name).reply({ ...HELLO, shards: map(...shards) });
  await turn();
  greet('a', ...names);
  return { client: await opening, timers, states, wire, greet, attempts };
}

test('two say hello in one turn, the first without the second: that is closed, and the client can be', async () => {
  const { client, timers, states, wire, greet } = await open('a', 'b', 'c');
  const counted = client.count();
  await turn();
  wire('a').reply(1);
  greet('b', 'a', 'b');
  greet('c', 'a', 'b');
  await turn();
  expect(wire('c').isOpen).toBe(false);
  wire('b').reply(1);
  await turn();
  for (const name of ['a', 'b']) wire(name).reply(1);
  expect(await counted).toBe(2);
  await client.close();
  expect(states).toEqual(['connected', 'closed']);
  expect(timers.alarmCount).toBe(0);
});

test('a read that a shard owed when it left, and was lost, goes to where its key is now', async () => {
  const { client, timers, states, wire, greet, attempts } = await open('a', 'b');
  const read = client.get('foo');
  await turn();
  greet('b', 'a', 'b');
  await turn();
  wire('a').lose();
  timers.advance(50);
  await turn();
  greet('a', 'a', 'c');
  await turn();
  wire('b').lose();
  await turn();
  greet('c', 'a', 'c');
  await turn();
  wire('c').reply('FOO');
  expect(await read).toBe('FOO');
  expect(attempts).toEqual(['a', 'b', 'a', 'c']);
  expect(states).toEqual(['connected', 'reconnecting', 'connected']);
  await client.close();
});

test('a CLEAR that a shard has done, and those that came in its place have not, has an unknown outcome', async () => {
  const { client, timers, wire, greet } = await open('a', 'b');
  const controller = new AbortController();
  const cleared = client.clear({ signal: controller.signal }).catch((error: unknown) => error);
  await turn();
  wire('a').reply(true);
  await turn();
  wire('a').lose();
  timers.advance(50);
  await turn();
  greet('a', 'c', 'd');
  await turn();
  controller.abort();
  expect(await cleared).toMatchObject({ code: 'UNKNOWN_OUTCOME', cause: { code: 'ABORTED' } });
  await client.close();
});
