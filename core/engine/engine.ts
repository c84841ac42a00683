/**
 * The contract of an engine: a deterministic state machine over bytes. It reads a request payload, applies it, and
 * appends the reply to its output. It owns no clock: time is an argument. The same requests at the same times give the
 * same replies and the same state, whichever engine runs them (SCAN's order and cursors excepted).
 *
 * Requests and replies lie in the engine's own `memory`, so that a transport that can have the kernel write there
 * copies nothing. Offsets are relative to `memory`, which is to be read anew after every call: it may have grown.
 */

import { MAX_FRAME_OPERATIONS, MAX_KEY_BYTES, MAX_REPLY_BYTES, MAX_SCAN_COUNT, MAX_VALUE_DEPTH } from '../protocol.ts';
import { ALL_SLOTS, SLOTS, type SlotRange } from '../slots.ts';

export type EngineName = 'swiss' | 'map';

export const ENGINE_NAMES: readonly EngineName[] = ['swiss', 'map'];

/** What those may do who ask. The numbers are the WebAssembly's. */
export const Access = {
  /** Everything. */
  FULL: 0,
  /** What changes nothing; the rest answers AUTH. */
  READ: 1,
  /** HELLO and AUTH; the rest answers AUTH. */
  NONE: 2,
} as const;
export type Access = (typeof Access)[keyof typeof Access];

/** What requests may hold. None can be set above the protocol's own limit, which is the default of each. */
export interface EngineLimits {
  /** Longest key; a longer one answers KEY. Unit: bytes. */
  readonly keyBytesMax: number;
  /** Longest value that can be set; a longer one answers SIZE. Unit: bytes. */
  readonly valueBytesMax: number;
  /** Deepest nesting of a value, 1 or more, where a scalar is 0 deep; a payload with a deeper one answers FRAME. */
  readonly depthMax: number;
  /** Most operations in one payload; one with more answers FRAME. */
  readonly operationsMax: number;
  /** Most keys that one SCAN looks at; a greater count counts as this. */
  readonly scanCountMax: number;
}

export const PROTOCOL_LIMITS: EngineLimits = {
  keyBytesMax: MAX_KEY_BYTES,
  valueBytesMax: MAX_REPLY_BYTES,
  depthMax: MAX_VALUE_DEPTH,
  operationsMax: MAX_FRAME_OPERATIONS,
  scanCountMax: MAX_SCAN_COUNT,
};

/** What a replay is bound by: beyond the operations of a frame, redo bytes have a DEL for each key that had to give way. */
export const REPLAY_LIMITS: EngineLimits = { ...PROTOCOL_LIMITS, operationsMax: 0xffff_ffff };

/** How often requests have passed one of the `EngineLimits`. */
export interface EngineRefusals {
  readonly refusedKeys: number;
  readonly refusedValues: number;
  readonly refusedNesting: number;
  readonly refusedOperations: number;
}

export type Eviction = 'none' | 'clock';

export const EVICTIONS: readonly Eviction[] = ['none', 'clock'];

/** For those who are not kept from it by types. Throws `RangeError` when there is no such engine or no such eviction. */
export function checkEngineChoice(engine: EngineName, eviction: Eviction = 'none'): void {
  if (!ENGINE_NAMES.includes(engine))
    throw new RangeError(`engine is ${engine}; it must be ${ENGINE_NAMES.join(' or ')}`);
  if (!EVICTIONS.includes(eviction))
    throw new RangeError(`eviction is ${eviction}; it must be ${EVICTIONS.join(' or ')}`);
}

export interface EngineOptions {
  /**
   * Most bytes for keys, values and their index; writes that need more answer MEMORY, reads and deletes go on.
   * Default and maximum: `MAX_ENGINE_BYTES`.
   */
  memoryBytesMax?: number;
  /**
   * What happens to a write that needs more: with `none` it answers MEMORY; with `clock` the engine first removes keys that were
   * not asked for lately. The redo bytes tell of them as DEL, before the write. Default: `none`.
   */
  eviction?: Eviction;
  /** Default: `PROTOCOL_LIMITS`. */
  limits?: Partial<EngineLimits>;
  /** Whether `execute` collects redo bytes. Default: false. */
  redo?: boolean;
  /**
   * The slots of the keys that are its own; operations on others do nothing and answer `MOVED`. Default: all.
   */
  slots?: SlotRange;
  /**
   * 16 bytes that seed the hash, against hash flooding. Default: from `crypto.getRandomValues`. Tests give their own.
   */
  seed?: Uint8Array;
}

/** What the server, rather than the engine, answers: the operations HELLO, AUTH and INFO, and where other keys are. */
export interface EngineHost {
  /**
   * Answers one operation. `operation` is its whole MessagePack array, borrowed until this returns. The result is one
   * MessagePack value (an error ext included) of at most 64 KiB.
   */
  serverOperation(code: number, operation: Uint8Array): Uint8Array;
  /** The error `MOVED`, as it stands in the reply, for a key in a slot of another shard. At most 64 KiB. */
  moved(slot: number): Uint8Array;
}

export interface EngineStats extends EngineRefusals {
  /** Keys held, those that expired but were not yet removed included. */
  readonly keys: number;
  /** Keys with a time to live. */
  readonly keysWithExpiry: number;
  /** Keys that expiry removed since the start. */
  readonly expired: number;
  /** Keys that were removed to make room for others since the start. */
  readonly evicted: number;
  /** Bytes of memory in use for keys, values and the index. */
  readonly usedBytes: number;
  /** Bytes of that for the index alone. */
  readonly indexBytes: number;
  /** Bytes of memory the engine has taken from the system, its buffers included. */
  readonly reservedBytes: number;
  /** The most that `usedBytes` may become. */
  readonly limitBytes: number;
}

export interface Engine {
  readonly name: EngineName;
  /** The whole memory. Taken anew after each call of the engine. */
  readonly memory: Uint8Array;
  /** Where `HELLO`, `AUTH` and `INFO` go, and who knows the other shards; without one, those answer OP. */
  host: EngineHost | undefined;
  readonly limits: EngineLimits;
  /** What `execute` permits; it may be changed by the host while an operation is answered. Default: everything. */
  access: Access;
  /** Whether writes can be made durable; while not, they do nothing and answer LOG, whoever asks. Default: true. */
  isWritable: boolean;
  /**
   * Makes room for `length` bytes of requests and returns its offset. The room keeps its content and place until the
   * next call with a greater `length`. Throws `RangeError` when the memory can't hold it.
   */
  reserveInput(length: number): number;
  /**
   * Executes one request payload, which lies at `memory[offset, offset + length)`, and appends the reply as one frame
   * (header and payload) to the output. Returns false when the payload could not be read: nothing of it ran, the reply is
   * the error of the whole payload, and the connection is to be closed after it.
   *
   * `nowMs` is the time in milliseconds since 1970; an earlier time than that of the call before counts as that one.
   */
  execute(offset: number, length: number, nowMs: number): boolean;
  /**
   * As `execute`, for redo bytes: what was accepted once is to be accepted again. So neither limits nor `access` nor `isWritable`
   * bind them, the memory may become fuller than `memoryBytesMax`, and nothing is evicted but what they say.
   */
  replay(offset: number, length: number, nowMs: number): boolean;
  /**
   * To be called after the last of many replays: if what is held takes more than `memoryBytesMax` because it lies scattered, it is
   * moved together, which may take seconds.
   */
  repack(): void;
  /** Where the output lies in `memory`. */
  readonly outputOffset: number;
  /** Bytes of replies appended since `clearOutput`. */
  readonly outputBytes: number;
  /** Forgets the replies; their place is used again. */
  clearOutput(): void;
  /**
   * What the last `execute` changed: a request payload which, executed at `redoTimeMs` on an engine in the state before,
   * gives the state after. Empty when nothing changed. A view on `memory`, valid until the next call.
   */
  redo(): Uint8Array;
  /**
   * The latest time that the engine was given. Read right after an `execute`, it is the time at which that took place, which
   * may be later than the one that it was given. Unit: milliseconds since 1970.
   */
  readonly redoTimeMs: number;
  /**
   * Removes expired keys within a budget: removing one costs one unit, and so does a step towards finding more. Returns the
   * units it used; less than `budget` means that none is left.
   */
  sweep(nowMs: number, budget: number): number;
  stats(): EngineStats;
  /**
   * Room in `memory` for others; undefined when what lies in it does not stay in its place. It may be set to undefined by
   * who finds that out.
   */
  room?: EngineRoom | undefined;
}

/** Parts of an engine's memory that are lent. Their offsets stay valid, and their bytes unchanged, until they are given back. */
export interface EngineRoom {
  /** Takes `length` bytes and returns their offset; 0 when there is no room. */
  allocate(length: number): number;
  /** Gives back what `allocate` returned. */
  free(offset: number): void;
  /** How much memory the output takes once it is taken away, which is more than lies in it. Unit: bytes. */
  outputRoom(): number;
  /**
   * Takes the output away with all that was appended to it and returns its offset; the engine goes on with another, which
   * is empty.
   */
  detachOutput(): number;
  /** Gives back what `detachOutput` returned. */
  recycleOutput(offset: number): void;
}

/** The most an engine can hold: the 4 GiB a WebAssembly memory can have, less 256 MiB for requests and replies. */
export const MAX_ENGINE_BYTES = 4 * 1024 ** 3 - 256 * 1024 ** 2;

/** Returns the slots that an engine is to have. Throws `RangeError` when they are none. */
export function checkSlots(slots: SlotRange = ALL_SLOTS): SlotRange {
  const { first, last } = slots;
  const areSlots = Number.isInteger(first) && Number.isInteger(last) && first >= 0 && first <= last && last < SLOTS;
  if (!areSlots) throw new RangeError(`slots are ${first} to ${last}, but must be within 0 to ${SLOTS - 1}`);
  return slots;
}

/** Returns all limits of an engine that was given some. Throws `RangeError` when one is above the protocol's, or none. */
export function checkLimits(given: Partial<EngineLimits> = {}): EngineLimits {
  for (const [name, value] of Object.entries(given)) {
    const most = PROTOCOL_LIMITS[name as keyof EngineLimits];
    if (!Number.isInteger(value) || value < 1 || value > most) {
      throw new RangeError(`${name} is ${value}; it must be an integer from 1 to ${most}`);
    }
  }
  return { ...PROTOCOL_LIMITS, ...given };
}
