/** Writing a snapshot: what an engine holds becomes requests that set it again. */
import type { Engine } from '../engine/engine.ts';
import { Reader, readError, Writer } from '../msgpack.ts';
import { FRAME_HEADER_BYTES, Op } from '../protocol.ts';
import type { Crc32, Disk, DiskFile } from './disk.ts';
import { viewOn } from './format.ts';
import { closing, fileName, orRemoved, removeAll } from './segments.ts';
import {
  encodeBlockHeader,
  encodeSnapshotHeader,
  type SnapshotPosition,
  snapshotHeaderChecksum,
} from './snapshot-format.ts';

/** A block is closed once it has so many bytes. */
const BLOCK_BYTES = 256 * 1024;

/** What GET answers when there is no such key. */
const NIL = 0xc0;

/** What CAS answers when the value was the expected one. */
const TRUE = 0xc3;

/** Keys that are read at a time. */
const SCAN_COUNT = 1000;

export interface SnapshotFile extends SnapshotPosition {
  readonly name: string;
  readonly bytes: number;
}

/** The engine could not answer what a snapshot asks: it has no memory for that. */
export class UnreadableEngineError extends Error {
  override readonly name = 'UnreadableEngineError';

  constructor() {
    super('the engine has no memory for the answers of which a snapshot is made');
  }
}

/**
 * Writes a snapshot of all that `engine` holds, and makes it durable under its name. Nothing may be written to the engine
 * meanwhile; but between the writes here others run, so its time may go on, and keys expire. One at a time. Throws what
 * the disk throws, and `UnreadableEngineError`; then nothing is left of it, if the disk allows that.
 */
export async function writeSnapshot(
  disk: Disk,
  engine: Engine,
  position: SnapshotPosition,
  beforeRead: () => void = () => {},
): Promise<SnapshotFile> {
  const name = fileName(position.nextSegment, 'snapshot');
  const temporary = fileName(position.nextSegment, 'tmp');
  // What a thread that ended has left of another one would take the room of this one.
  await removeAll(disk, 'tmp');
  const writing = closing(await disk.open(temporary, { create: true }), async (file) => {
    const writer = new SnapshotWriter(file, position, engine.redoTimeMs, disk.crc32);
    for (const body of setsOf(engine, engine.redoTimeMs, beforeRead)) await writer.block(body);
    await writer.block(new Uint8Array());
    await file.sync();
    return writer.bytes;
  });
  const bytes = await orRemoved(disk, temporary, writing);
  await disk.rename(temporary, name);
  await disk.syncDirectory();
  return { ...position, name, bytes };
}

class SnapshotWriter {
  bytes = 0;
  readonly #file: DiskFile;
  readonly #crc32: Crc32;
  readonly #header: Uint8Array;
  #previous: number;

  constructor(file: DiskFile, position: SnapshotPosition, timeMs: number, crc32: Crc32) {
    this.#file = file;
    this.#crc32 = crc32;
    this.#header = encodeSnapshotHeader(position, timeMs, crc32);
    this.#previous = snapshotHeaderChecksum(this.#header, crc32);
  }

  async block(body: Uint8Array): Promise<void> {
    if (this.bytes === 0) await this.#write(this.#header);
    const { header, checksum } = encodeBlockHeader(body, this.#previous, this.#crc32);
    this.#previous = checksum;
    await this.#write(header);
    await this.#write(body);
  }

  async #write(bytes: Uint8Array): Promise<void> {
    await this.#file.write(this.bytes, bytes);
    this.bytes += bytes.length;
  }
}

/** Payloads that set every key of the engine, when they are executed at the same time. Each is lent until the next. */
function* setsOf(engine: Engine, nowMs: number, beforeRead: () => void): Generator<Uint8Array> {
  const sets = new SetsWriter();
  let cursor = 0n;
  do {
    beforeRead();
    const scan = new Reader(ask(engine, nowMs, [(writer) => writeScan(writer, cursor)]));
    scan.arrayHeader();
    if (scan.arrayHeader() !== 2) throw new UnreadableEngineError();
    cursor = scan.integer()!;
    const keys = Array.from({ length: scan.arrayHeader() }, () => scan.stringOrBytes()!);
    if (keys.length === 0) continue;
    const questions = keys.flatMap((key) => [keyOperation(Op.TTL, key), keyOperation(Op.GET, key)]);
    const answers = new Reader(ask(engine, nowMs, questions));
    answers.arrayHeader();
    // Nothing is written meanwhile, but the time of the engine goes on.
    const passedMs = BigInt(engine.redoTimeMs - nowMs);
    for (const key of keys) {
      const ttlMs = answers.integer();
      let value = anyValue(answers);
      // An error, that the reply would become too long; or a value that looks like one. Asked for alone, the value comes.
      if (readError(value, 0, value.length)) {
        beforeRead();
        value = valueAlone(engine, nowMs, key);
        // It has expired since it was found, while a block was written.
        if (value[0] === NIL) continue;
      }
      sets.add(key, value, ttlMs! < 0n ? ttlMs! : ttlMs! + passedMs);
      if (sets.bytes >= BLOCK_BYTES) yield sets.take();
    }
  } while (cursor !== 0n);
  if (sets.bytes > 0) yield sets.take();
}

/** Gathers SETs to a payload. */
class SetsWriter {
  readonly #writer = new Writer(2 * BLOCK_BYTES);
  #count = 0;

  get bytes(): number {
    return this.#count === 0 ? 0 : this.#writer.length;
  }

  add(key: Uint8Array, value: Uint8Array, ttlMs: bigint): void {
    const writer = this.#writer;
    if (this.#count++ === 0) {
      writer.clear();
      writer.reserve(5);
    }
    writer.arrayHeader(ttlMs < 0n ? 3 : 4);
    writer.integer(Op.SET);
    writer.binary(key);
    writer.raw(value);
    if (ttlMs >= 0n) writer.integer(ttlMs);
  }

  take(): Uint8Array {
    const payload = this.#writer.view();
    payload[0] = 0xdd;
    viewOn(payload).setUint32(1, this.#count);
    this.#count = 0;
    return payload;
  }
}

type OperationWriter = (writer: Writer) => void;

function writeScan(writer: Writer, cursor: bigint): void {
  writer.arrayHeader(3);
  writer.integer(Op.SCAN);
  writer.integer(cursor);
  writer.integer(SCAN_COUNT);
}

function keyOperation(code: number, key: Uint8Array): OperationWriter {
  return (writer) => {
    writer.arrayHeader(2);
    writer.integer(code);
    writer.binary(key);
  };
}

/** Executes operations that change nothing, and returns a copy of the reply's payload, which has a result for each. */
function ask(engine: Engine, nowMs: number, operations: readonly OperationWriter[]): Uint8Array {
  const writer = new Writer(64 * 1024);
  writer.arrayHeader(operations.length);
  for (const write of operations) write(writer);
  const request = writer.view();
  const input = engine.reserveInput(request.length);
  engine.memory.set(request, input);
  const before = engine.outputBytes;
  const readable = engine.replay(input, request.length, nowMs);
  const start = engine.outputOffset + before + FRAME_HEADER_BYTES;
  const reply = engine.memory.slice(start, engine.outputOffset + engine.outputBytes);
  engine.clearOutput();
  if (!readable) throw new UnreadableEngineError();
  return reply;
}

function valueAlone(engine: Engine, nowMs: number, key: Uint8Array): Uint8Array {
  const reply = new Reader(ask(engine, nowMs, [keyOperation(Op.GET, key)]));
  reply.arrayHeader();
  const value = anyValue(reply);
  if (readError(value, 0, value.length) && !isValue(engine, nowMs, key, value)) throw new UnreadableEngineError();
  return value;
}

/** Whether a key has this value. What it has can be exchanged for itself, which changes nothing. */
function isValue(engine: Engine, nowMs: number, key: Uint8Array, value: Uint8Array): boolean {
  const exchange: OperationWriter = (writer) => {
    writer.arrayHeader(4);
    writer.integer(Op.CAS);
    writer.binary(key);
    writer.raw(value);
    writer.raw(value);
  };
  return ask(engine, nowMs, [exchange])[1] === TRUE;
}

function anyValue(reader: Reader): Uint8Array {
  const start = reader.position;
  reader.skip();
  return reader.bytes.subarray(start, reader.position);
}
