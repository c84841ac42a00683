/**
 * Sessions with a real server that go any way they may: random frames, right, faulty or unreadable, in any pieces, from clients
 * that are slow to read, half-close, reset or leave at any time. Each has keys of its own, and the engine `map` says what it
 * is to be answered, byte for byte: nothing of anyone else's, and nothing lost. `RINGKV_FUZZ_SECONDS` says how long each
 * transport is tested, 2 by default; `RINGKV_FUZZ_SEED` repeats the sessions of a failure. Beside them somebody leaves so much unread
 * that the server has to hold it back.
 */
import { setImmediate, setTimeout as sleep } from 'node:timers/promises';
import { afterEach, expect, test } from 'vitest';
import { Op } from '../../core/protocol.ts';
import { array, concat, encode, hex, nested } from '../support/bytes.ts';
import { describeTransports } from '../support/cells.ts';
import type { Child } from '../support/children.ts';
import { startServe } from '../support/command.ts';
import { execute, oracle } from '../support/engines.ts';
import { Random } from '../support/random.ts';
import { frame, request, WireClient } from '../support/wire.ts';

const SECONDS = Number(process.env.RINGKV_FUZZ_SECONDS ?? 2);
const SEED = Number(process.env.RINGKV_FUZZ_SEED ?? Math.floor(Math.random() * 2 ** 32));

/** So many sessions go on at a time. */
const SESSIONS = 24;

const FRAMES_MAX = 12;
const OPERATIONS_MAX = 6;
const KEYS = 4;

/** Most values are short; these are the lengths around which buffers end. */
const LENGTHS = [0, 1, 31, 32, 255, 256, 4000, 65_535, 65_536, 200_000];

/** A value that is asked for so often that the system does not hold all of it for a connection. Unit: bytes. */
const LARGE_BYTES = 1024 * 1024;
const LARGE_GETS = 16;

const ENDINGS = ['read all', 'read all', 'half-close', 'unreadable', 'unreadable', 'leave', 'reset'] as const;

let child: Child | undefined;
// One that did not end with its test is not to outlive it.
afterEach(() => child?.stop('SIGKILL'));

interface Script {
  /** What is sent, whole frames but for the end of what is unreadable. */
  readonly bytes: Uint8Array;
  /** The payloads of the replies. */
  readonly replies: readonly Uint8Array[];
  readonly ending: (typeof ENDINGS)[number];
}

/** All that a session sends, and what it is answered. `owner` is in the names of its keys, and in its values. */
function writeScript(random: Random, owner: string): Script {
  const model = oracle();
  const ending = random.pick(ENDINGS);
  const payloads = Array.from({ length: random.between(1, FRAMES_MAX) }, () =>
    array(Array.from({ length: random.below(OPERATIONS_MAX + 1) }, () => anyOperation(random, owner))),
  );
  if (ending === 'unreadable') payloads.push(unreadable(random, payloads.at(-1)!));
  // Who reads all leaves nothing behind, so that the store does not grow.
  else payloads.push(array(keysOf(owner).map((key) => encode([Op.DEL, key]))));
  const replies = payloads.map((payload, i) => {
    const { readable, reply } = execute(model, payload, Date.now());
    if (readable === (ending === 'unreadable' && i === payloads.length - 1))
      throw new Error(`readable: ${hex(payload)}`);
    return reply;
  });
  return { bytes: concat(...payloads.map(frame)), replies, ending };
}

function keysOf(owner: string): string[] {
  return Array.from({ length: KEYS }, (_, i) => `${owner}.${i}`);
}

/** An operation whose result depends on nothing but those before it: no keys of others, no time. */
function anyOperation(random: Random, owner: string): Uint8Array {
  const key = random.pick(keysOf(owner));
  const number = random.between(-300, 300);
  const length = random.chance(0.9) ? random.below(40) : random.pick(LENGTHS);
  const text = `${owner} `.repeat(Math.ceil(length / (owner.length + 1))).slice(0, length);
  return encode(
    random.pick<unknown>([
      [Op.PING],
      [Op.PING, text],
      [Op.GET, key],
      [Op.GET, key],
      [Op.SET, key, text],
      [Op.SET, key, number],
      [Op.SET, key, { text, list: [number, null, [text]] }],
      [Op.SET, key, text, 3_600_000, random.below(9)],
      [Op.DEL, key],
      [Op.HAS, key],
      [Op.ADD, key, number],
      [Op.CAS, key, null, number],
      [Op.CAS, key, number, text],
      [Op.EXPIRE, key, random.pick([-1, 0, 3_600_000])],
      [Op.PERSIST, key],
      [Op.TAKE, key],
      // What is no operation, or has no such arguments.
      [],
      [99, key],
      [Op.GET],
      [Op.GET, number],
      [Op.GET, ''],
      [Op.SET, key, null],
      [Op.SET, key, text, 0],
      [Op.ADD, key, text],
      [Op.SCAN, -1, 1],
      text,
    ]),
  );
}

/** A payload of which nothing runs, made of one that would. */
function unreadable(random: Random, payload: Uint8Array): Uint8Array {
  switch (random.below(4)) {
    case 0:
      return payload.subarray(0, random.below(payload.length));
    case 1:
      return concat(payload, random.bytes(random.between(1, 9)));
    case 2:
      return concat(Uint8Array.of(0xc1), random.bytes(random.below(300)));
    default:
      return array([encode([Op.PING]), nested(40)]);
  }
}

/** Sends the bytes in pieces, with and without a pause between them. */
async function send(random: Random, { peer }: WireClient, bytes: Uint8Array, isStream: boolean): Promise<void> {
  // Over WebSocket the pieces are put together on this side, and each frame is a message.
  const pieces = isStream ? random.below(12) : 0;
  const cuts = Array.from({ length: pieces }, () => random.below(bytes.length + 1)).sort((a, b) => a - b);
  let from = 0;
  for (const cut of [...cuts, bytes.length]) {
    if (cut > from) peer.write(bytes.subarray(from, cut));
    from = cut;
    if (random.chance(0.5)) await setImmediate();
    else if (random.chance(0.1)) await sleep(random.below(10));
  }
}

async function runSession(seed: number, owner: string, address: string): Promise<void> {
  const random = new Random(seed);
  const isStream = !address.startsWith('ws:');
  const { bytes, replies, ending } = writeScript(random, owner);
  const client = await WireClient.dial(address);
  const { peer } = client;
  const isLeaving = ending === 'leave' || ending === 'reset';
  const isSlow = random.chance(0.3);
  if (isSlow) peer.pause();
  const sent = isLeaving ? bytes.subarray(0, random.below(bytes.length + 1)) : bytes;
  const sending = send(random, client, sent, isStream);
  if (isSlow) {
    await sending;
    await sleep(random.below(30));
    peer.resume();
  }
  if (isLeaving) {
    await sending;
    if (ending === 'leave') peer.destroy();
    else peer.reset();
    await peer.closed;
    return;
  }
  const halfClosing = sending.then(() => {
    if (ending === 'half-close' && isStream) peer.end();
  });
  for (const [i, reply] of replies.entries()) {
    const got = await client.payload();
    if (!got.equals(reply)) throw new Error(`reply ${i} is ${hex(got)}, not ${hex(reply)}`);
  }
  await halfClosing;
  if (ending === 'unreadable' || (ending === 'half-close' && isStream)) await peer.ended;
  await client.close();
}

/**
 * A session that asks for far more than the system holds for it, and reads when the server goes no further. Returns whether that
 * had stopped in the middle.
 */
async function readLate(owner: string, address: string, large: Uint8Array): Promise<boolean> {
  const [client, other] = [await WireClient.dial(address), await WireClient.dial(address)];
  const count = `${owner}.count`;
  client.peer.pause();
  for (let i = 0; i < LARGE_GETS; i++) client.peer.write(request([Op.GET, 'large'], [Op.ADD, count, 1]));
  let before: unknown;
  let done: unknown = null;
  while (done === null || done !== before) {
    before = done;
    await sleep(20);
    [done] = await other.call([Op.GET, count]);
  }
  client.peer.resume();
  for (let i = 1; i <= LARGE_GETS; i++) {
    const got = await client.payload();
    if (!got.equals(array([encode(large), encode(i)]))) throw new Error(`reply ${i} to who reads late is another`);
  }
  await other.call([Op.DEL, count]);
  await Promise.all([client.close(), other.close()]);
  return (done as number) < LARGE_GETS;
}

describeTransports(({ runtime, transport, kinds }) => {
  const title = `sessions of any kind, for ${SECONDS} s, seed ${SEED}`;
  test(title, { timeout: 60_000 + 2000 * SECONDS }, async () => {
    const listen = kinds.includes('ws') ? 'ws://127.0.0.1:0' : 'tcp://127.0.0.1:0';
    const server = await startServe(['--transport', transport, '--listen', listen], { runtime });
    child = server.child;
    const { address } = server.ready;
    const quiet = server.child.stderr;
    const watcher = await WireClient.dial(address);
    expect(await watcher.call([Op.SET, 'watched', 'by nobody else'])).toEqual([true]);
    const large = new Random(SEED).bytes(LARGE_BYTES);
    expect(await watcher.call([Op.SET, 'large', large])).toEqual([true]);
    const endMs = performance.now() + 1000 * SECONDS;
    const seeds = new Random(SEED);
    let begun = 0;
    let sessions = 0;
    const oneAfterTheOther = async (): Promise<void> => {
      while (performance.now() < endMs) {
        const seed = seeds.below(2 ** 32);
        // Seeds come twice in a long run, and who left a session may have left keys.
        const owner = `s${begun++}`;
        await runSession(seed, owner, address).catch((error: Error) => {
          throw new Error(`session ${owner} of seed ${seed} (run ${SEED}): ${error.message}\n${server.child.stderr}`);
        });
        sessions++;
      }
    };
    let heldBack = 0;
    const readingLate = async (): Promise<void> => {
      for (let i = 0; performance.now() < endMs; i++) if (await readLate(`late${i}`, address, large)) heldBack++;
    };
    await Promise.all([readingLate(), ...Array.from({ length: SESSIONS }, oneAfterTheOther)]);
    expect(sessions).toBeGreaterThan(SESSIONS);
    expect(heldBack).toBeGreaterThan(0);

    let info: Record<string, number>;
    // A connection that is left fails this by the time limit.
    do [info] = (await watcher.call([Op.INFO])) as [Record<string, number>];
    while (info.connections !== 1);
    expect(info.partialBytes).toBe(0);
    expect(await watcher.call([Op.GET, 'watched'])).toEqual(['by nobody else']);
    await watcher.close();
    expect(await server.child.stop()).toBe(0);
    expect(server.child.stderr).toBe(quiet);
  });
});
