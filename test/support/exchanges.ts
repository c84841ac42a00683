/** Requests whose replies are known beforehand, byte for byte: random operations on keys that nobody else touches. */
import { Random } from '../../bench/load/random.ts';
import { arrayHeaders, encode } from './bytes.ts';
import { frame } from './wire.ts';

export interface Exchange {
  /** A whole frame. */
  readonly request: Uint8Array;
  /** The payload of its reply. */
  readonly reply: Uint8Array;
}

const MiB = 1024 * 1024;
const VALUE_BYTES_MAX = 4 * MiB - 100;
const FRAMES_MAX = 12;
const OPERATIONS_MAX = 4;
const KEYS = 3;

const PING = 0;
const GET = 1;
const SET = 2;
const DEL = 3;
const HAS = 4;

const NIL = Uint8Array.of(0xc0);
const FALSE = Uint8Array.of(0xc2);
const TRUE = Uint8Array.of(0xc3);

/** What values are cut out of. It is longer than any value and never repeats, so bytes in a wrong place are wrong bytes. */
const noise = makeNoise(new Random(1), 8 * MiB);

/** Some frames; the last one deletes all keys. `owner` makes the keys its own. */
export function makeExchanges(random: Random, owner: string): Exchange[] {
  const stored = new Map<string, Uint8Array>();
  const exchanges = Array.from({ length: random.next() % FRAMES_MAX }, () => makeExchange(random, owner, stored));
  const keys = [...stored.keys()];
  const deleting = keys.map((key) => encode([DEL, key]));
  const deleted = keys.map(() => TRUE);
  return [...exchanges, exchangeOf(deleting, deleted)];
}

/** A frame of none to `OPERATIONS_MAX` operations, whose payload takes one byte to 4 MiB. */
function makeExchange(random: Random, owner: string, stored: Map<string, Uint8Array>): Exchange {
  const operations: Uint8Array[] = [];
  const results: Uint8Array[] = [];
  let room = VALUE_BYTES_MAX;
  for (let left = random.next() % (OPERATIONS_MAX + 1); left > 0; left--) {
    const key = `${owner}.${random.next() % KEYS}`;
    const code = [PING, GET, SET, SET, DEL, HAS][random.next() % 6]!;
    const before = stored.get(key);
    if (code === PING || code === SET) {
      const value = makeValue(random, room);
      room -= value.length;
      const head = code === PING ? Uint8Array.of(0x92, PING) : Buffer.concat([Uint8Array.of(0x93, SET), encode(key)]);
      operations.push(Buffer.concat([head, value]));
      results.push(code === PING ? value : TRUE);
      if (code === SET) stored.set(key, value);
      continue;
    }
    operations.push(encode([code, key]));
    results.push(code === GET ? (before ?? NIL) : before === undefined ? FALSE : TRUE);
    if (code === DEL) stored.delete(key);
  }
  return exchangeOf(operations, results);
}

/** Binary, as MessagePack: most often short, seldom as long as there is room. */
function makeValue(random: Random, room: number): Uint8Array {
  const length = Math.min(room, Math.floor(VALUE_BYTES_MAX ** (random.fraction() ** 4)));
  const from = random.next() % (noise.length - length);
  return encode(noise.subarray(from, from + Math.max(0, length - 10)));
}

function exchangeOf(operations: readonly Uint8Array[], results: readonly Uint8Array[]): Exchange {
  const header = arrayHeaders(operations.length)[0]!;
  return {
    request: frame(Buffer.concat([header, ...operations])),
    reply: Buffer.concat([header, ...results]),
  };
}

function makeNoise(random: Random, length: number): Uint8Array {
  return Uint8Array.from({ length }, () => random.next());
}
