/**
 * What a server has to survive: hundreds of connections at a time that send frames of any size in any pieces, half-close,
 * reset, leave inside a frame, or do not read. Every reply is checked byte for byte, and afterwards nothing may be left:
 * no connection, no descriptor, no memory.
 */
import { readdirSync } from 'node:fs';
import { setImmediate, setTimeout as sleep } from 'node:timers/promises';
import { expect, onTestFinished, test } from 'vitest';
import { Random } from '../../bench/load/random.ts';
import type { Runtime } from '../support/children.ts';
import { type ServerChild, startServe } from '../support/command.ts';
import { type Exchange, makeExchanges } from '../support/exchanges.ts';
import type { Peer } from '../support/transport-peers.ts';
import { frame, WireClient } from '../support/wire.ts';

export interface TortureCell {
  readonly runtime: Runtime;
  readonly transport: string;
  /** What `--listen` gets; its kind tells how the cell frames. */
  readonly listen: string;
}

const MiB = 1024 * 1024;

/** All that is random is drawn from this, so that a failure can be made to come again. */
const SEED = 7464;

const CONNECTIONS = 500;

/** So many connections are opened one after the other in the place of each. */
const LIVES = 2;

/** A round that takes longer than this is stuck. Unit: milliseconds. */
const ROUND_TIMEOUT_MS = 100_000;

/** Who does not wait to be read writes on only while less than this is unsent. Unit: bytes. */
const UNSENT_BYTES_MAX = MiB;

/** No connection is written to in more pieces than this. */
const PIECES_MAX = 200;

/**
 * Garbage collectors put their work off, so memory goes up and down by hundreds of megabytes while the same work is done again
 * and again. Two things show that nothing is left behind. Memory that comes back, for what leaks never does: in any round, no
 * more is held than the least before it and `KEPT_BYTES_MAX` for each round. Or memory that no longer grows, where a heap
 * is not given back to the system: it stays within `GROWTH_BYTES_MAX` of its former height for `SETTLED_ROUNDS`. Either way no
 * more is kept of a connection than some 8 KiB. Unit: bytes.
 */
const KEPT_BYTES_MAX = 8 * MiB;
const GROWTH_BYTES_MAX = 16 * MiB;
const SETTLED_ROUNDS = 2;
const ROUNDS_MAX = 16;

/** A server is given so many frames that take `calm` there and back, to collect its garbage, before its memory is looked at. */
const CALM_FRAMES = 60;
const calm = Buffer.alloc(4 * MiB, 'calm');

const PING = 0;
const CLEAR = 18;
const INFO = 34;

type Ending = 'half-close' | 'half-close inside a frame' | 'destroy' | 'destroy at any time' | 'reset at any time';

/** On a stream and, since a WebSocket can't be half-closed, on messages. */
const endings: readonly Ending[] = [
  'half-close',
  'half-close',
  'half-close inside a frame',
  'destroy',
  'destroy at any time',
  'reset at any time',
];

export function tortureSuite({ runtime, transport, listen }: TortureCell): void {
  test(`leaves nothing of ${CONNECTIONS * LIVES} connections, seed ${SEED}`, { timeout: 400_000 }, async () => {
    const server = await startServe(['--listen', listen, '--transport', transport], { runtime });
    onTestFinished(() => void server.child.stop('SIGKILL'));
    const observer = await WireClient.dial(server.ready.address);
    // What runtimes open once, they have open after the first round.
    await round(server);
    const { descriptors, residentBytes } = await leftBehind(observer, server);
    const history = [residentBytes];
    while (!isSettled(history) && history.length < ROUNDS_MAX) {
      await round(server);
      const after = await leftBehind(observer, server);
      expect(after.descriptors).toBe(descriptors);
      history.push(after.residentBytes);
    }
    expect(isSettled(history), `memory after each round: ${history.join(', ')}`).toBe(true);

    await observer.close();
    expect(await server.child.stop()).toBe(0);
    expect(server.child.stderr.trim().split('\n')).toHaveLength(1);
  });
}

/** Whether memory shows, as described at `KEPT_BYTES_MAX`, that the last rounds have left nothing. */
function isSettled(history: readonly number[]): boolean {
  const rounds = history.length - 1;
  if (rounds < SETTLED_ROUNDS) return false;
  const before = history.slice(0, -SETTLED_ROUNDS);
  const hasComeBack = history.at(-1)! <= Math.min(...history) + rounds * KEPT_BYTES_MAX;
  return hasComeBack || Math.max(...history.slice(-SETTLED_ROUNDS)) <= Math.max(...before) + GROWTH_BYTES_MAX;
}

/** Waits until the observer's connection alone is left, empties the server, and tells what it still holds. */
async function leftBehind(observer: WireClient, { ready }: ServerChild) {
  const info = async () => (await observer.call([INFO]))[0] as Record<string, number>;
  // The server hears on its own time of those who have left; a leak fails this by the test's time limit.
  while ((await info()).connections !== 1) await sleep(5);
  await observer.call([CLEAR]);
  // What is garbage is collected while more of it is made, which large frames in many pieces do: the least is what is held.
  let residentBytes = Number.POSITIVE_INFINITY;
  for (let i = 0; i < CALM_FRAMES; i++) {
    const [pong] = await observer.call([PING, calm]);
    expect(calm.equals(pong as Uint8Array)).toBe(true);
    residentBytes = Math.min(residentBytes, (await info()).residentBytes!);
  }
  // Only Linux tells of descriptors.
  const descriptors = process.platform === 'linux' ? readdirSync(`/proc/${ready.pid}/fd`).length : 0;
  return { residentBytes, descriptors };
}

/** All connections, `CONNECTIONS` at a time. The same work every time. */
async function round({ ready }: ServerChild): Promise<void> {
  const lives = new Set<Life>();
  const work = Array.from({ length: CONNECTIONS }, async (_, place) => {
    for (let number = 0; number < LIVES; number++) {
      const life = new Life(ready.address, place * LIVES + number);
      lives.add(life);
      await life.run();
      lives.delete(life);
    }
  });
  const stuck = new AbortController();
  const timeout = sleep(ROUND_TIMEOUT_MS, undefined, { signal: stuck.signal }).then(
    () => {
      throw new Error(`seed ${SEED}: stuck in ${[...lives].slice(0, 10).map(String).join('; ')}`);
    },
    () => {},
  );
  try {
    await Promise.race([Promise.all(work), timeout]);
  } finally {
    stuck.abort();
  }
}

/** One connection from its begin to its end. */
class Life {
  readonly #address: string;
  readonly #number: number;
  readonly #random: Random;
  readonly #ending: Ending;
  readonly #isStream: boolean;
  /** Reads nothing until all is written. */
  readonly #isSlow: boolean;
  readonly #exchanges: readonly Exchange[];
  #stage = 'begin';
  /** It has left on purpose, so what is missing is not missed. */
  #hasLeft = false;

  constructor(address: string, number: number) {
    const random = new Random(SEED + number);
    this.#address = address;
    this.#number = number;
    this.#random = random;
    this.#isStream = !address.startsWith('ws:');
    this.#ending = endings[random.next() % endings.length]!;
    this.#isSlow = random.fraction() < 0.2;
    this.#exchanges = makeExchanges(random, `${number}`);
  }

  toString(): string {
    const reading = this.#isSlow ? ', slow' : '';
    return `connection ${this.#number} (${this.#exchanges.length} frames, ${this.#ending}${reading}): ${this.#stage}`;
  }

  async run(): Promise<void> {
    try {
      await this.#live();
    } catch (cause) {
      throw new Error(`seed ${SEED}, ${this}: ${(cause as Error).message}`, { cause });
    }
  }

  async #live(): Promise<void> {
    const client = await WireClient.dial(this.#address);
    const { peer } = client;
    if (this.#ending.endsWith('at any time')) return await this.#leaveEarly(client);
    if (this.#isSlow) peer.pause();
    const replies = this.#checkReplies(client);
    // Should a reply be wrong while this writes, that is told after it.
    replies.catch(() => {});
    await this.#write(peer, this.#exchanges.length);
    if (this.#isStream && this.#ending === 'half-close inside a frame') {
      peer.write(frame(new Uint8Array(100)).subarray(0, 1 + (this.#random.next() % 100)));
    }
    if (this.#isStream && this.#ending !== 'destroy') peer.end();
    peer.resume();
    await replies;
    if (this.#isStream && this.#ending === 'half-close inside a frame') {
      expect(await client.reply()).toMatchObject({ error: 'FRAME' });
    }
    this.#stage = 'waiting for the end';
    if (this.#ending === 'destroy') peer.destroy();
    else if (this.#isStream) await peer.ended;
    else peer.end();
    await peer.closed;
  }

  /** Leaves before all is written or answered. Replies that come until then are checked all the same. */
  async #leaveEarly(client: WireClient): Promise<void> {
    const { peer } = client;
    const replies = this.#checkReplies(client).catch((error: unknown) => {
      if (!this.#hasLeft) throw error;
    });
    await Promise.race([this.#write(peer, this.#random.next() % (this.#exchanges.length + 1)), replies]);
    for (let i = this.#random.next() % 20; i > 0; i--) await setImmediate();
    this.#hasLeft = true;
    if (this.#ending === 'reset at any time') peer.reset();
    else peer.destroy();
    this.#stage = 'waiting for its own end';
    await peer.closed;
    await replies;
  }

  /** Writes some of the frames, and on a stream a piece of the next one. */
  async #write(peer: Peer, frames: number): Promise<void> {
    this.#stage = 'writing';
    const requests = this.#exchanges.slice(0, frames).map(({ request }) => request);
    const next = this.#exchanges[frames]?.request ?? new Uint8Array(0);
    if (!this.#isStream) {
      for (const request of requests) {
        peer.write(request);
        await this.#pause(peer);
      }
      return;
    }
    const bytes = Buffer.concat([...requests, next.subarray(0, this.#random.next() % (next.length + 1))]);
    const pieceMax = Math.max(10 ** (this.#random.next() % 7), bytes.length / PIECES_MAX);
    for (let at = 0; at < bytes.length; ) {
      const end = at + 1 + Math.floor(this.#random.fraction() * pieceMax);
      peer.write(bytes.subarray(at, end));
      at = end;
      await this.#pause(peer);
    }
  }

  /** Lets some pieces leave on their own, and those that wait to be read not become too many. */
  async #pause(peer: Peer): Promise<void> {
    if (this.#random.fraction() < 0.3) await setImmediate();
    while (!this.#isSlow && peer.unsentBytes > UNSENT_BYTES_MAX) await sleep(1);
  }

  async #checkReplies(client: WireClient): Promise<void> {
    for (const [at, { reply }] of this.#exchanges.entries()) {
      const payload = await client.payload();
      this.#stage = `${at + 1} replies`;
      if (payload.equals(reply)) continue;
      const where = payload.findIndex((byte, i) => byte !== reply[i]);
      throw new Error(
        `reply ${at + 1} has ${payload.length} bytes, ${reply.length} expected, and differs from byte ${where} on: ` +
          `${payload.subarray(where, where + 20).toString('hex')}`,
      );
    }
  }
}
