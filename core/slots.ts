/**
 * Which shard a key belongs to: a key has one of `SLOTS` slots, a shard owns a range of them. The rule is that of Redis
 * Cluster ("Redis cluster specification", redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec), so that
 * keys which belong together there do so here.
 */

/** How many slots there are. */
export const SLOTS = 16_384;

/** Slots of a shard, both ends included. */
export interface SlotRange {
  readonly first: number;
  readonly last: number;
}

/** The slots of the only shard of a server. */
export const ALL_SLOTS: SlotRange = { first: 0, last: SLOTS - 1 };

/** All shards of a server, as HELLO tells them: of each its first slot, its last slot and its address. */
export type ShardMap = readonly (readonly [first: number, last: number, url: string])[];

const OPENING = 0x7b;
const CLOSING = 0x7d;

/** For each byte, what the remainder of the polynomial division becomes: CRC-16/XMODEM, x¹⁶ + x¹² + x⁵ + 1. */
const CRC_TABLE = Uint16Array.from({ length: 256 }, (_, byte) => {
  let crc = byte << 8;
  for (let bit = 0; bit < 8; bit++) crc = crc & 0x8000 ? (crc << 1) ^ 0x1021 : crc << 1;
  return crc;
});

/** CRC-16/XMODEM of `bytes[start, end)`. */
export function crc16(bytes: Uint8Array, start = 0, end: number = bytes.length): number {
  let crc = 0;
  for (let i = start; i < end; i++) crc = ((crc << 8) & 0xffff) ^ CRC_TABLE[(crc >>> 8) ^ bytes[i]!]!;
  return crc;
}

/**
 * The slot of a key. When it has something between its first `{` and the first `}` behind that, this alone counts: so
 * keys like `{user:1}.name` and `{user:1}.age` are in the same slot.
 */
export function slotOf(key: Uint8Array): number {
  const opening = key.indexOf(OPENING);
  const closing = opening < 0 ? -1 : key.indexOf(CLOSING, opening + 1);
  return (closing > opening + 1 ? crc16(key, opening + 1, closing) : crc16(key)) % SLOTS;
}

/** The slots of so many shards, 1 to `SLOTS`: all of them, as evenly as it goes. */
export function divideSlots(shards: number): SlotRange[] {
  const start = (shard: number): number => Math.floor((shard * SLOTS) / shards);
  return Array.from({ length: shards }, (_, shard) => ({ first: start(shard), last: start(shard + 1) - 1 }));
}
