/**
 * The engine `map`: every operation of the protocol in plain TypeScript on a `Map`. It is the oracle of the tests, so it
 * is written to be obviously right rather than fast, and the baseline of the benchmark.
 */
import { MsgpackError, Reader, Writer } from '../msgpack.ts';
import {
  ErrorCode,
  FRAME_HEADER_BYTES,
  MAX_REPLY_BYTES,
  MAX_TTL_MS,
  Op,
  SetFlag,
  WRITES,
  writeFrameHeader,
} from '../protocol.ts';
import { SLOTS, type SlotRange, slotOf } from '../slots.ts';
import {
  Access,
  checkLimits,
  checkSlots,
  type Engine,
  type EngineHost,
  type EngineLimits,
  type EngineOptions,
  type EngineStats,
  MAX_ENGINE_BYTES,
  REPLAY_LIMITS,
} from './engine.ts';
import { type Entry, Keyspace } from './map/keyspace.ts';
import { limitRefusals, movedResult, Refusal, refusals } from './refusals.ts';

/** Makes an empty engine. `seed` has no use here. Throws `RangeError` for a limit outside 1 to `MAX_ENGINE_BYTES`. */
export function createMapEngine(options: EngineOptions = {}): Engine {
  return new MapEngine(options);
}

const INT64_MAX = 2n ** 63n - 1n;
const CURSOR_MAX = 2 ** 32 - 1;

class MapEngine implements Engine {
  readonly name = 'map';
  host: EngineHost | undefined;
  readonly limits: EngineLimits;
  access: Access = Access.FULL;
  isWritable = true;
  outputOffset = 0;
  outputBytes = 0;

  /** The whole memory: room for requests, then the replies, then the redo bytes of the last `execute`. */
  readonly #memory = new Writer();
  #redoBytes = 0;
  readonly #collectsRedo: boolean;
  /** What holds now: `Infinity` while it replays. */
  #limitBytes: number;
  readonly #memoryBytesMax: number;
  readonly #evicts: boolean;
  #evicted = 0;
  readonly #slots: SlotRange;
  readonly #ownsAllSlots: boolean;

  readonly #keys: Keyspace;
  /** What the request under way has changed, as operations. */
  #changes: Uint8Array[] = [];

  /** The limits that hold now: those of the engine, or the protocol's while it replays. */
  #bounds: EngineLimits;
  #boundRefusals: ReturnType<typeof limitRefusals>;
  readonly #refused = { refusedKeys: 0, refusedValues: 0, refusedNesting: 0, refusedOperations: 0 };

  /** The payload being executed, and what its reply may still return of values and keys. */
  #request = new Reader(new Uint8Array());
  #replyBytesLeft = 0;

  constructor({ memoryBytesMax = MAX_ENGINE_BYTES, eviction = 'none', limits, redo = false, slots }: EngineOptions) {
    if (!Number.isInteger(memoryBytesMax) || memoryBytesMax < 1 || memoryBytesMax > MAX_ENGINE_BYTES) {
      throw new RangeError(`memoryBytesMax is ${memoryBytesMax}, but must be an integer from 1 to ${MAX_ENGINE_BYTES}`);
    }
    this.#memoryBytesMax = memoryBytesMax;
    this.#limitBytes = memoryBytesMax;
    this.#evicts = eviction === 'clock';
    this.#keys = new Keyspace(this.#evicts);
    this.limits = checkLimits(limits);
    this.#bounds = this.limits;
    this.#boundRefusals = limitRefusals(this.limits);
    this.#collectsRedo = redo;
    this.#slots = checkSlots(slots);
    this.#ownsAllSlots = this.#slots.first === 0 && this.#slots.last === SLOTS - 1;
  }

  get memory(): Uint8Array {
    return this.#memory.view();
  }

  get redoTimeMs(): number {
    return this.#keys.nowMs;
  }

  reserveInput(length: number): number {
    if (!Number.isInteger(length) || length < 0 || length > MAX_ENGINE_BYTES) {
      throw new RangeError(`cannot reserve ${length} bytes for requests, only 0 to ${MAX_ENGINE_BYTES}`);
    }
    if (length > this.outputOffset) {
      const afterInput = this.memory.slice(this.outputOffset);
      this.#memory.truncate(0);
      this.#memory.reserve(length);
      this.#memory.raw(afterInput);
      this.outputOffset = length;
    }
    return 0;
  }

  clearOutput(): void {
    this.outputBytes = 0;
  }

  redo(): Uint8Array {
    return this.memory.subarray(this.#memory.length - this.#redoBytes);
  }

  execute(offset: number, length: number, nowMs: number): boolean {
    if (offset < 0 || length < 0 || offset + length > this.outputOffset) {
      throw new RangeError(`request at ${offset}, ${length} bytes long, lies outside the room of ${this.outputOffset}`);
    }
    this.#keys.advance(nowMs);
    this.#redoBytes = 0;
    this.#memory.truncate(this.outputOffset + this.outputBytes);
    this.#request = new Reader(this.memory, offset, offset + length);
    this.#replyBytesLeft = MAX_REPLY_BYTES;

    const frame = this.#memory.reserve(FRAME_HEADER_BYTES);
    const starts = this.#operationStarts();
    const readable = !(starts instanceof Refusal);
    this.#changes = [];
    if (readable) this.#executeAll(starts);
    if (!readable) this.#memory.raw(starts.result);
    writeFrameHeader(this.memory, frame, this.#memory.length - frame - FRAME_HEADER_BYTES);
    this.outputBytes = this.#memory.length - this.outputOffset;
    if (this.#collectsRedo && this.#changes.length > 0) this.#appendRedo(this.#changes);
    return readable;
  }

  replay(offset: number, length: number, nowMs: number): boolean {
    const { access, isWritable } = this;
    this.access = Access.FULL;
    this.isWritable = true;
    this.#bounds = REPLAY_LIMITS;
    this.#limitBytes = Number.POSITIVE_INFINITY;
    try {
      return this.execute(offset, length, nowMs);
    } finally {
      this.access = access;
      this.isWritable = isWritable;
      this.#bounds = this.limits;
      this.#limitBytes = this.#memoryBytesMax;
    }
  }

  /** Nothing lies scattered here. */
  repack(): void {}

  /** A unit of the budget is one key with an expiry that was looked at. */
  sweep(nowMs: number, budget: number): number {
    this.#keys.advance(nowMs);
    return this.#keys.sweep(budget);
  }

  stats(): EngineStats {
    return {
      keys: this.#keys.size,
      keysWithExpiry: this.#keys.sizeExpiring,
      expired: this.#keys.expired,
      evicted: this.#evicted,
      usedBytes: this.#keys.usedBytes,
      indexBytes: this.#keys.indexBytes,
      reservedBytes: this.#keys.usedBytes + this.#memory.capacity,
      limitBytes: this.#memoryBytesMax,
      ...this.#refused,
    };
  }

  /** Executes the operations that start at these positions. */
  #executeAll(starts: readonly number[]): void {
    const request = this.#request;
    this.#memory.arrayHeader(starts.length);
    for (let i = 0; i < starts.length; i++) {
      const operation = request.bytes.subarray(starts[i], starts[i + 1] ?? request.end);
      request.position = starts[i]!;
      try {
        if (this.#execute(operation)) this.#changes.push(operation);
      } catch (error) {
        if (!(error instanceof Refusal)) throw error;
        this.#memory.raw(error.result);
      }
    }
  }

  /** Walks over the whole payload and returns where its operations start, or why it can't be read. */
  #operationStarts(): number[] | Refusal {
    const request = this.#request;
    const { depthMax, operationsMax } = this.#bounds;
    try {
      const count = request.arrayHeader();
      if (count < 0) return refusals.payloadKind;
      if (count > operationsMax) {
        this.#refused.refusedOperations++;
        return this.#boundRefusals.payloadOperations;
      }
      const starts: number[] = [];
      for (let i = 0; i < count; i++) {
        starts.push(request.position);
        const elements = request.arrayHeader();
        if (elements < 0) request.skip(depthMax);
        for (let j = 0; j < elements; j++) request.skip(depthMax);
      }
      return request.position === request.end ? starts : refusals.payloadRest;
    } catch (error) {
      if (!(error instanceof MsgpackError)) throw error;
      if (!error.tooDeep) return refusals.payloadBytes;
      this.#refused.refusedNesting++;
      return this.#boundRefusals.payloadDepth;
    }
  }

  #appendRedo(changes: readonly Uint8Array[]): void {
    const start = this.#memory.length;
    this.#memory.byte(0xdd);
    for (let shift = 24; shift >= 0; shift -= 8) this.#memory.byte((changes.length >>> shift) & 0xff);
    for (const operation of changes) this.#memory.raw(operation);
    this.#redoBytes = this.#memory.length - start;
  }

  /** Executes the operation at which the request stands and appends its result. Returns whether it changed anything. */
  #execute(operation: Uint8Array): boolean {
    const request = this.#request;
    const elements = request.arrayHeader();
    const code = elements > 0 ? request.integer() : undefined;
    if (this.access !== Access.FULL || !this.isWritable) this.#expectPermitted(Number(code));
    if (elements < 0) throw refusals.operationKind;
    const given = elements - 1;
    switch (Number(code)) {
      case Op.PING:
        expectArguments(given, 0, 1);
        if (given === 0) this.#memory.text('PONG');
        else this.#answerBytes(this.#anyArgument());
        return false;
      case Op.GET: {
        expectArguments(given, 1);
        const entry = this.#keys.find(this.#keyArgument());
        if (entry) this.#answerBytes(entry.value);
        else this.#memory.nil();
        return false;
      }
      case Op.SET:
        expectArguments(given, 2, 4);
        return this.#set(given);
      case Op.DEL: {
        expectArguments(given, 1);
        const key = this.#keyArgument();
        const entry = this.#keys.find(key);
        if (entry) this.#keys.remove(key, entry);
        return this.#answerChange(entry !== undefined);
      }
      case Op.HAS:
        expectArguments(given, 1);
        this.#memory.boolean(this.#keys.find(this.#keyArgument()) !== undefined);
        return false;
      case Op.ADD:
        expectArguments(given, 2);
        return this.#add();
      case Op.CAS:
        expectArguments(given, 3);
        return this.#compareAndSet();
      case Op.EXPIRE: {
        expectArguments(given, 2);
        const key = this.#keyArgument();
        const ttlMs = this.#integerArgument(-Infinity, MAX_TTL_MS, refusals.ttl);
        const entry = this.#keys.find(key);
        if (entry && ttlMs > 0) this.#keys.setExpiry(key, entry, this.#keys.nowMs + ttlMs);
        else if (entry) this.#keys.remove(key, entry);
        return this.#answerChange(entry !== undefined);
      }
      case Op.TTL: {
        expectArguments(given, 1);
        const entry = this.#keys.find(this.#keyArgument());
        if (entry === undefined) this.#memory.nil();
        else this.#memory.integer(entry.expiryMs === Infinity ? -1 : entry.expiryMs - this.#keys.nowMs);
        return false;
      }
      case Op.PERSIST: {
        expectArguments(given, 1);
        const key = this.#keyArgument();
        const entry = this.#keys.find(key);
        const expires = entry !== undefined && entry.expiryMs !== Infinity;
        if (expires) this.#keys.setExpiry(key, entry, Infinity);
        return this.#answerChange(expires);
      }
      case Op.TAKE: {
        expectArguments(given, 1);
        const key = this.#keyArgument();
        const entry = this.#keys.find(key);
        if (entry) {
          this.#answerBytes(entry.value);
          this.#keys.remove(key, entry);
        } else this.#memory.nil();
        return entry !== undefined;
      }
      case Op.SCAN:
        expectArguments(given, 2, 3);
        this.#scan(given);
        return false;
      case Op.COUNT:
        expectArguments(given, 0);
        this.#memory.integer(this.#keys.countLive());
        return false;
      case Op.CLEAR:
        expectArguments(given, 0);
        this.#keys.clear();
        return this.#answerChange(true);
      case Op.HELLO:
      case Op.AUTH:
      case Op.INFO:
        if (!this.host) throw refusals.operationCode;
        this.#answerBytes(this.host.serverOperation(Number(code), operation));
        return false;
      default:
        throw refusals.operationCode;
    }
  }

  #expectPermitted(code: number): void {
    if (code === Op.HELLO || code === Op.AUTH) return;
    if (this.access === Access.NONE) throw refusals.unauthenticated;
    if (!WRITES.has(code)) return;
    throw this.access === Access.FULL ? refusals.unwritable : refusals.readOnly;
  }

  // Operations

  #set(given: number): boolean {
    const key = this.#keyArgument();
    const value = this.#valueArgument();
    const ttlMs = given < 3 || this.#request.nil() ? undefined : this.#integerArgument(1, MAX_TTL_MS, refusals.ttl);
    const flags = given < 4 ? 0 : this.#integerArgument(0, 7, refusals.flags);
    const ifMissing = (flags & SetFlag.IF_MISSING) !== 0;
    const ifPresent = (flags & SetFlag.IF_PRESENT) !== 0;
    const keepsTtl = (flags & SetFlag.KEEP_TTL) !== 0;
    if ((ifMissing && ifPresent) || (keepsTtl && ttlMs !== undefined)) throw refusals.flags;

    const entry = this.#keys.find(key);
    if (entry ? ifMissing : ifPresent) return this.#answerChange(false);
    let expiryMs = ttlMs === undefined ? Infinity : this.#keys.nowMs + ttlMs;
    if (keepsTtl && entry) expiryMs = entry.expiryMs;
    this.#store(key, entry, value, expiryMs);
    return this.#answerChange(true);
  }

  #add(): boolean {
    const key = this.#keyArgument();
    const delta = this.#int64Argument();
    const entry = this.#keys.find(key);
    const stored = entry ? new Reader(entry.value).integer() : 0n;
    if (stored === undefined || stored > INT64_MAX) throw refusals.storedKind;
    const sum = stored + delta;
    if (sum !== BigInt.asIntN(64, sum)) throw refusals.overflow;
    const encoded = new Writer(16);
    encoded.integer(sum);
    this.#store(key, entry, encoded.view(), entry?.expiryMs ?? Infinity);
    this.#memory.integer(sum);
    return true;
  }

  #compareAndSet(): boolean {
    const key = this.#keyArgument();
    const expected = this.#request.nil() ? undefined : this.#anyArgument();
    const value = this.#valueArgument();
    const entry = this.#keys.find(key);
    const asExpected = expected && entry ? equalBytes(expected, entry.value) : !expected && !entry;
    if (asExpected) this.#store(key, entry, value, entry?.expiryMs ?? Infinity);
    return this.#answerChange(asExpected);
  }

  #scan(given: number): void {
    const cursor = this.#integerArgument(0, CURSOR_MAX, refusals.cursor);
    const count = Math.min(this.#integerArgument(1, Infinity, refusals.count), this.#bounds.scanCountMax);
    const prefix = given < 3 ? '' : byteString(this.#bytesArgument());

    const { keys, next } = this.#keys.scan(cursor, count, prefix);
    this.#spendReply(keys.reduce((bytes, key) => bytes + key.length, 0));
    this.#memory.arrayHeader(2);
    this.#memory.integer(next);
    this.#memory.arrayHeader(keys.length);
    for (const key of keys) this.#memory.binary(bytesOf(key));
  }

  // Arguments, read from left to right

  #bytesArgument(): Uint8Array {
    const bytes = this.#request.stringOrBytes();
    if (bytes === undefined) throw refusals.keyKind;
    return bytes;
  }

  #keyArgument(): string {
    const bytes = this.#bytesArgument();
    if (bytes.length > this.#bounds.keyBytesMax) this.#refused.refusedKeys++;
    if (bytes.length === 0 || bytes.length > this.#bounds.keyBytesMax) throw this.#boundRefusals.keyLength;
    if (!this.#ownsAllSlots) this.#expectOwn(slotOf(bytes));
    return byteString(bytes);
  }

  #expectOwn(slot: number): void {
    if (slot >= this.#slots.first && slot <= this.#slots.last) return;
    const result = movedResult(this.host, slot);
    this.#spendReply(result.length);
    throw new Refusal(ErrorCode.MOVED, `slot ${slot} is another shard's`, result);
  }

  #anyArgument(): Uint8Array {
    const start = this.#request.position;
    this.#request.skip();
    return this.#request.bytes.subarray(start, this.#request.position);
  }

  #valueArgument(): Uint8Array {
    if (this.#request.nil()) throw refusals.valueNil;
    const value = this.#anyArgument();
    if (value.length <= this.#bounds.valueBytesMax) return value;
    this.#refused.refusedValues++;
    throw this.#boundRefusals.valueLength;
  }

  #int64Argument(): bigint {
    const value = this.#request.integer();
    if (value === undefined) throw refusals.integerKind;
    if (value > INT64_MAX) throw refusals.integerRange;
    return value;
  }

  /** An integer from `least` to `most`, for which a `number` is exact: what is so large that it isn't gets refused. */
  #integerArgument(least: number, most: number, refusal: Refusal): number {
    const value = Number(this.#int64Argument());
    if (value < least || value > most) throw refusal;
    return value;
  }

  // Results

  #answerChange(changed: boolean): boolean {
    this.#memory.boolean(changed);
    return changed;
  }

  #answerBytes(result: Uint8Array): void {
    this.#spendReply(result.length);
    this.#memory.raw(result);
  }

  #spendReply(bytes: number): void {
    if (bytes > this.#replyBytesLeft) throw refusals.reply;
    this.#replyBytesLeft -= bytes;
  }

  // State

  #store(key: string, entry: Entry | undefined, value: Uint8Array, expiryMs: number): void {
    const bytes = this.#keys.bytesToStore(key, entry, value);
    while (this.#keys.usedBytes + bytes > this.#limitBytes) if (!this.#evict(key, bytes)) throw refusals.memory;
    this.#keys.store(key, entry, value, expiryMs);
  }

  /** Removes the key that was asked for longest ago, unless that is `kept`, which needs the room. False when it is of no use. */
  #evict(kept: string, bytes: number): boolean {
    if (!this.#evicts || bytes > this.#limitBytes / 2) return false;
    const key = this.#keys.oldest(kept);
    if (key === undefined) return false;
    const entry = this.#keys.find(key);
    if (entry === undefined) return true;
    this.#keys.remove(key, entry);
    this.#evicted++;
    const operation = new Writer(16);
    operation.arrayHeader(2);
    operation.integer(Op.DEL);
    operation.binary(bytesOf(key));
    this.#changes.push(operation.copy());
    return true;
  }
}

function expectArguments(given: number, least: number, most: number = least): void {
  if (given < least || given > most) throw refusals.argumentCount;
}

/** One UTF-16 unit for each byte. */
function byteString(bytes: Uint8Array): string {
  // A call takes only so many arguments; but one call is twice as fast as one for each byte.
  if (bytes.length <= 4096) return Reflect.apply(String.fromCharCode, undefined, bytes);
  let text = '';
  for (let i = 0; i < bytes.length; i += 4096) text += byteString(bytes.subarray(i, i + 4096));
  return text;
}

function bytesOf(key: string): Uint8Array {
  return Uint8Array.from(key, (unit) => unit.charCodeAt(0));
}

function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}
