/**
 * The keys of the engine `map`, with their values and expiries, on a `Map`: what is there at a given time, what it takes
 * of memory, in which order SCAN meets it, and the sweep that removes what has expired. It knows nothing of operations.
 */

/** A key's value and expiry. The keyspace owns it; `Keyspace.store` and `Keyspace.setExpiry` change it. */
export interface Entry {
  /** The value's MessagePack, as it came. */
  value: Uint8Array;
  /** When the key ends, in milliseconds since 1970; `Infinity` for never. */
  expiryMs: number;
}

/** A key where SCAN meets it. */
export interface ScanKey {
  readonly hash: number;
  readonly key: string;
}

/** What a key is thought to cost beyond its bytes and those of its value: an entry of the `Map` and two objects. */
const ENTRY_BYTES = 64;

/** A step of SCAN ends behind so many bytes of keys, so that they fit into a reply. */
const SCAN_BYTES = 1024 * 1024;

/** Keys are byte strings: one UTF-16 unit for each byte. */
export class Keyspace {
  /** The latest time seen. Unit: milliseconds since 1970. */
  nowMs = 0;
  /** Keys that were removed because they had expired. */
  expired = 0;
  usedBytes = 0;

  /** By the time they were last asked for, if that is kept; the oldest first. */
  readonly #entries = new Map<string, Entry>();
  readonly #keepsUse: boolean;
  /** The keys that have an expiry. */
  readonly #expiring = new Set<string>();

  /** No key expires earlier than this. */
  #earliestExpiryMs = Infinity;
  /** The sweep under way over the keys that have an expiry, and the earliest expiry it passed or that was set since. */
  #sweeping = this.#expiring.values();
  #earliestPassedMs = Infinity;

  /** The keys by hash. Made when needed, it serves until a key is added, and may hold keys that are gone. */
  #scanOrder: readonly ScanKey[] | undefined;

  /** With `keepsUse` it is known which key was asked for longest ago. */
  constructor(keepsUse = false) {
    this.#keepsUse = keepsUse;
  }

  get size(): number {
    return this.#entries.size;
  }

  get sizeExpiring(): number {
    return this.#expiring.size;
  }

  get indexBytes(): number {
    return this.#entries.size * ENTRY_BYTES;
  }

  /** Sets the time, which never goes backwards. */
  advance(nowMs: number): void {
    this.nowMs = Math.max(this.nowMs, nowMs);
  }

  /** The entry of a key, undefined when there is none; one that has expired is removed. */
  find(key: string): Entry | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined) return undefined;
    if (entry.expiryMs > this.nowMs) {
      if (this.#keepsUse) {
        this.#entries.delete(key);
        this.#entries.set(key, entry);
      }
      return entry;
    }
    this.#expire(key, entry);
    return undefined;
  }

  /** The key that was asked for longest ago, but not `kept`; undefined when there is no other. */
  oldest(kept: string): string | undefined {
    for (const key of this.#entries.keys()) if (key !== kept) return key;
    return undefined;
  }

  /** Bytes that `store` would add to `usedBytes`; negative when the value that is there is longer. */
  bytesToStore(key: string, entry: Entry | undefined, value: Uint8Array): number {
    return value.length - (entry ? entry.value.length : -key.length - ENTRY_BYTES);
  }

  /** Gives a key, for which `find` returned `entry`, a copy of `value`. */
  store(key: string, entry: Entry | undefined, value: Uint8Array, expiryMs: number): void {
    this.usedBytes += this.bytesToStore(key, entry, value);
    const stored = entry ?? { value, expiryMs };
    stored.value = value.slice();
    this.setExpiry(key, stored, expiryMs);
    if (entry) return;
    this.#entries.set(key, stored);
    this.#scanOrder = undefined;
  }

  setExpiry(key: string, entry: Entry, expiryMs: number): void {
    entry.expiryMs = expiryMs;
    if (expiryMs === Infinity) this.#expiring.delete(key);
    else this.#expiring.add(key);
    this.#earliestExpiryMs = Math.min(this.#earliestExpiryMs, expiryMs);
    this.#earliestPassedMs = Math.min(this.#earliestPassedMs, expiryMs);
  }

  remove(key: string, entry: Entry): void {
    this.#entries.delete(key);
    this.#expiring.delete(key);
    this.usedBytes -= key.length + entry.value.length + ENTRY_BYTES;
  }

  clear(): void {
    this.#entries.clear();
    this.#expiring.clear();
    this.usedBytes = 0;
    this.#scanOrder = undefined;
  }

  countLive(): number {
    let live = this.#entries.size;
    for (const key of this.#expiring) if (!this.#isLive(key)) live--;
    return live;
  }

  /**
   * Looks at `count` keys, or at fewer if those are long, and at as many more as share the last one's hash, from the first
   * whose hash is at least `cursor`. Returns the live ones that start with `prefix`, and the cursor at which to go on, 0 at
   * the end: since keys of one hash are never parted, no other cursor is 0.
   */
  scan(cursor: number, count: number, prefix: string): { keys: string[]; next: number } {
    const order = this.#keysByHash();
    const start = lowerBound(order, cursor);
    const end = pageEnd(order, start, count);
    const keys: string[] = [];
    for (let i = start; i < end; i++) {
      const { key } = order[i]!;
      if (key.startsWith(prefix) && this.#isLive(key)) keys.push(key);
    }
    return { keys, next: order[end]?.hash ?? 0 };
  }

  /** Removes expired keys, looking at no more than `budget` keys. Returns at how many: less means none is left. */
  sweep(budget: number): number {
    let looked = 0;
    while (looked < budget && this.#earliestExpiryMs <= this.nowMs) {
      const { done, value: key } = this.#sweeping.next();
      if (done) {
        this.#earliestExpiryMs = this.#earliestPassedMs;
        this.#earliestPassedMs = Infinity;
        this.#sweeping = this.#expiring.values();
      } else {
        looked++;
        // Not by `find`, which would count as a use.
        const entry = this.#entries.get(key)!;
        if (entry.expiryMs > this.nowMs) this.#earliestPassedMs = Math.min(this.#earliestPassedMs, entry.expiryMs);
        else this.#expire(key, entry);
      }
    }
    return looked;
  }

  #expire(key: string, entry: Entry): void {
    this.remove(key, entry);
    this.expired++;
  }

  #isLive(key: string): boolean {
    const entry = this.#entries.get(key);
    return entry !== undefined && entry.expiryMs > this.nowMs;
  }

  #keysByHash(): readonly ScanKey[] {
    if (this.#scanOrder === undefined) {
      const keys = Array.from(this.#entries.keys(), (key) => ({ hash: fnv1a(key), key }));
      this.#scanOrder = keys.sort((a, b) => a.hash - b.hash);
    }
    return this.#scanOrder;
  }
}

/** The hash FNV-1a of 32 bits. Source: RFC 9923. */
function fnv1a(key: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < key.length; i++) hash = Math.imul(hash ^ key.charCodeAt(i), 0x01000193);
  return hash >>> 0;
}

/** Where the step ends that begins at `start`: behind so many keys, or so many bytes of them, but never within a hash. */
function pageEnd(order: readonly ScanKey[], start: number, count: number): number {
  let end = start;
  let bytes = 0;
  const isFull = (): boolean => end - start >= count || bytes >= SCAN_BYTES;
  while (end < order.length && (!isFull() || order[end]!.hash === order[end - 1]!.hash)) {
    bytes += order[end]!.key.length;
    end++;
  }
  return end;
}

/** The first index whose hash is at least `hash`. */
function lowerBound(order: readonly ScanKey[], hash: number): number {
  let low = 0;
  let high = order.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (order[middle]!.hash < hash) low = middle + 1;
    else high = middle;
  }
  return low;
}
