/**
 * The engine `swiss`: a Swiss table in WebAssembly, written in AssemblyScript (`swiss/assembly/`). This file is its
 * JavaScript side: it makes an instance and keeps the view on its memory.
 */
import { decodeBase64 } from '../base64.ts';
import {
  Access,
  checkLimits,
  checkSlots,
  type Engine,
  type EngineHost,
  type EngineLimits,
  type EngineOptions,
  type EngineRoom,
  type EngineStats,
  MAX_ENGINE_BYTES,
  REPLAY_LIMITS,
} from './engine.ts';
import { movedResult } from './refusals.ts';
import { wasmBase64 } from './swiss/wasm.ts';

/** What the WebAssembly module exports; see `swiss/assembly/index.ts`. Addresses come as int32 and are unsigned. */
interface Exports {
  readonly memory: WebAssembly.Memory;
  seedAddress(): number;
  init(limitBytes: number, redo: number, firstSlot: number, lastSlot: number): number;
  setMemory(limitBytes: number, evicts: number, replays: number): void;
  repackExcess(): void;
  setLimits(keyBytes: number, valueBytes: number, depth: number, operations: number, scanCount: number): void;
  setAccess(access: number, isWritable: number): void;
  reserveInput(length: number): number;
  execute(address: number, length: number, nowMs: number): number;
  outputAddress(): number;
  outputBytes(): number;
  outputRoom(): number;
  clearOutput(): void;
  detachOutput(): number;
  recycleOutput(address: number): void;
  allocateRoom(length: number): number;
  freeRoom(address: number): void;
  redoAddress(): number;
  redoBytes(): number;
  redoTime(): number;
  sweep(nowMs: number, budget: number): number;
  hostRoom(length: number): number;
  keyCount(): number;
  scheduledCount(): number;
  expiredCount(): number;
  evictedCount(): number;
  usedBytes(): number;
  indexBytes(): number;
  dataBytesMax(): number;
  refusedCount(limit: number): number;
}

/** The least that makes sense: an empty table and a slab of each of the commonest sizes. Unit: bytes. */
const MEMORY_BYTES_MIN = 1024 * 1024;

/** What no data exceeds: a replay takes what it needs. */
const ADDRESS_SPACE_BYTES = 4 * 1024 ** 3;

const SEED_BYTES = 16;

/** What the engine is told instead of a result's length; see `swiss/assembly/operations.ts`. */
const NO_SERVER = -1;
const NO_ROOM = -2;

/** What `refusedCount` is asked for; see `swiss/assembly/limits.ts`. */
const RefusedLimit = { KEY: 0, VALUE: 1, DEPTH: 2, OPERATIONS: 3 } as const;

let compiled: WebAssembly.Module | undefined;

/**
 * Makes an empty engine. Throws `RangeError` when an option is out of range.
 */
export function createSwissEngine(options: EngineOptions = {}): Engine {
  return new SwissEngine(options);
}

class SwissEngine implements Engine {
  readonly name = 'swiss';
  host: EngineHost | undefined;
  room: EngineRoom | undefined;
  readonly limits: EngineLimits;
  readonly #memoryBytesMax: number;
  readonly #evicts: boolean;
  readonly #exports: Exports;
  #memory: Uint8Array;
  #access: Access = Access.FULL;
  #isWritable = true;

  constructor({
    memoryBytesMax = MAX_ENGINE_BYTES,
    eviction = 'none',
    limits,
    redo = false,
    slots,
    seed = randomSeed(),
  }: EngineOptions) {
    if (!(memoryBytesMax >= MEMORY_BYTES_MIN && memoryBytesMax <= MAX_ENGINE_BYTES)) {
      throw new RangeError(
        `memoryBytesMax is ${memoryBytesMax}; it must be from ${MEMORY_BYTES_MIN} to ${MAX_ENGINE_BYTES} bytes`,
      );
    }
    this.limits = checkLimits(limits);
    this.#memoryBytesMax = memoryBytesMax;
    this.#evicts = eviction === 'clock';
    const { first, last } = checkSlots(slots);
    if (seed.length !== SEED_BYTES) throw new RangeError(`seed has ${seed.length} bytes; it must have ${SEED_BYTES}`);
    compiled ??= new WebAssembly.Module(decodeBase64(wasmBase64));
    const instance = new WebAssembly.Instance(compiled, {
      operations: {
        serverOperation: (code: number, address: number, length: number) =>
          this.#serverOperation(code, address >>> 0, length),
        moved: (slot: number) => this.#answer(movedResult(this.host, slot)),
      },
    });
    this.#exports = instance.exports as unknown as Exports;
    this.#memory = new Uint8Array(this.#exports.memory.buffer);
    this.#memory.set(seed, this.#exports.seedAddress());
    if (!this.#exports.init(memoryBytesMax, redo ? 1 : 0, first, last)) {
      throw new RangeError('no memory for an empty engine');
    }
    this.#exports.setMemory(memoryBytesMax, this.#evicts ? 1 : 0, 0);
    this.#bind(this.limits);
    const { allocateRoom, freeRoom, outputRoom, detachOutput, recycleOutput } = this.#exports;
    this.room = {
      // More than an int32 would be cut on its way into the WebAssembly.
      allocate: (length) => (length <= 0x7fff_ffff ? allocateRoom(length) >>> 0 : 0),
      free: freeRoom,
      outputRoom: () => outputRoom() >>> 0,
      detachOutput: () => detachOutput() >>> 0,
      recycleOutput,
    };
  }

  get memory(): Uint8Array {
    // When the WebAssembly memory grows, the old buffer is detached and its views become empty.
    if (this.#memory.length === 0) this.#memory = new Uint8Array(this.#exports.memory.buffer);
    return this.#memory;
  }

  reserveInput(length: number): number {
    // More than an int32 would be cut on its way into the WebAssembly.
    const address = length <= 0x7fff_ffff ? this.#exports.reserveInput(length) >>> 0 : 0;
    if (address === 0) throw new RangeError(`no memory for a request of ${length} bytes`);
    return address;
  }

  execute(offset: number, length: number, nowMs: number): boolean {
    return this.#exports.execute(offset, length, nowMs) !== 0;
  }

  replay(offset: number, length: number, nowMs: number): boolean {
    const access = this.#access;
    const isWritable = this.#isWritable;
    this.access = Access.FULL;
    this.isWritable = true;
    this.#exports.setMemory(ADDRESS_SPACE_BYTES, 0, 1);
    this.#bind(REPLAY_LIMITS);
    try {
      return this.execute(offset, length, nowMs);
    } finally {
      this.access = access;
      this.isWritable = isWritable;
      this.#exports.setMemory(this.#memoryBytesMax, this.#evicts ? 1 : 0, 0);
      this.#bind(this.limits);
    }
  }

  repack(): void {
    this.#exports.repackExcess();
  }

  get access(): Access {
    return this.#access;
  }

  set access(access: Access) {
    if (access === this.#access) return;
    this.#access = access;
    this.#exports.setAccess(access, this.#isWritable ? 1 : 0);
  }

  get isWritable(): boolean {
    return this.#isWritable;
  }

  set isWritable(isWritable: boolean) {
    if (isWritable === this.#isWritable) return;
    this.#isWritable = isWritable;
    this.#exports.setAccess(this.#access, isWritable ? 1 : 0);
  }

  #bind({ keyBytesMax, valueBytesMax, depthMax, operationsMax, scanCountMax }: EngineLimits): void {
    this.#exports.setLimits(keyBytesMax, valueBytesMax, depthMax, operationsMax, scanCountMax);
  }

  get outputOffset(): number {
    return this.#exports.outputAddress() >>> 0;
  }

  get outputBytes(): number {
    return this.#exports.outputBytes() >>> 0;
  }

  clearOutput(): void {
    this.#exports.clearOutput();
  }

  redo(): Uint8Array {
    const length = this.#exports.redoBytes();
    if (length === 0) return this.memory.subarray(0, 0);
    const address = this.#exports.redoAddress() >>> 0;
    return this.memory.subarray(address, address + length);
  }

  get redoTimeMs(): number {
    return this.#exports.redoTime();
  }

  sweep(nowMs: number, budget: number): number {
    return this.#exports.sweep(nowMs, budget);
  }

  stats(): EngineStats {
    const { keyCount, scheduledCount, expiredCount, evictedCount, usedBytes, indexBytes, dataBytesMax, refusedCount } =
      this.#exports;
    return {
      keys: keyCount() >>> 0,
      keysWithExpiry: scheduledCount() >>> 0,
      expired: expiredCount(),
      evicted: evictedCount(),
      usedBytes: usedBytes(),
      indexBytes: indexBytes(),
      reservedBytes: this.memory.length,
      limitBytes: dataBytesMax(),
      refusedKeys: refusedCount(RefusedLimit.KEY),
      refusedValues: refusedCount(RefusedLimit.VALUE),
      refusedNesting: refusedCount(RefusedLimit.DEPTH),
      refusedOperations: refusedCount(RefusedLimit.OPERATIONS),
    };
  }

  #serverOperation(code: number, address: number, length: number): number {
    if (this.host === undefined) return NO_SERVER;
    // The copy lets the host keep what it wants while the memory below it may move.
    return this.#answer(this.host.serverOperation(code, this.memory.slice(address, address + length)));
  }

  /** Puts a result of the server's behind the results of the engine. */
  #answer(result: Uint8Array): number {
    const room = this.#exports.hostRoom(result.length) >>> 0;
    if (room === 0) return NO_ROOM;
    this.memory.set(result, room);
    return result.length;
  }
}

function randomSeed(): Uint8Array {
  return crypto.getRandomValues(new Uint8Array(SEED_BYTES));
}
