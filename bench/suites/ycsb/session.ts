/**
 * One connection of the YCSB generator, in YCSB's words a thread: one operation after the other, each sent when the one
 * before is answered. Requests are made when they are sent, since what a read-modify-write writes follows from what it read.
 *
 * Every reply is checked: reads for the form of a whole record, and one in `SAMPLE_EVERY` for what stands in it.
 */
import { readError } from '../../../core/msgpack.ts';
import { FRAME_HEADER_BYTES, FRAME_TAG, Op, writeFrameHeader } from '../../../core/protocol.ts';
import type { Connection, ConnectionHandler } from '../../../transports/transport.ts';
import { describeResult, ReplyError, SAMPLE_EVERY } from '../../load/replies.ts';
import { KEY_BYTES, writeKey } from '../../load/workload.ts';
import type { Records } from './records.ts';
import type { Drawn } from './workloads.ts';
import type { WriteBack } from './ycsb-plan.ts';

/** One request, as YCSB counts them: a read-modify-write makes a read and an update, or more when another was faster. */
export type RequestName = 'read' | 'update' | 'insert';

/** What sessions are made to do. */
export interface Work {
  /** What a session does next; undefined when there is no more to do, which it is asked once. */
  next(): Drawn | undefined;
  /** A reply came, and was right, `millis` after its request. */
  answered(request: RequestName, millis: number): void;
  /** A whole operation is done, `millis` after its first request. */
  done(drawn: Drawn, millis: number): void;
  /** A CAS found a record that another session had changed meanwhile; the operation starts again with its read. */
  lost(): void;
  /** A reply is wrong or missing, or the connection is lost. */
  fail(error: Error): void;
}

/** MessagePack's array of one element, with which a payload of one operation, and its reply, begin. */
const ARRAY_OF_ONE = 0x91;
const FALSE = 0xc2;
const TRUE = 0xc3;

/** Array of one, array of the operation, its code, the key and its header. Unit: bytes. */
const REQUEST_HEAD_BYTES = 4 + KEY_BYTES;

/** A reply that claims to be this much longer than a record is no reply. Unit: bytes. */
const REPLY_BYTES_BEYOND = 64 * 1024;

const NOTHING = new Uint8Array();

export class Session implements ConnectionHandler {
  readonly #connection: Connection;
  readonly #records: Records;
  readonly #writeBack: WriteBack;
  /** The request, its frame header included. */
  readonly #request: Uint8Array;
  #work: Work | undefined;
  #drawn: Drawn | undefined;
  /** Whether the reply that is awaited is that of the read of a read-modify-write, or of any other read. */
  #reads = false;
  #operationMs = 0;
  #requestMs = 0;
  #replies = 0;
  /** The begin of a reply whose end has not come. */
  #kept: Uint8Array = NOTHING;
  /** What ended this connection. Later work must not overlook what went wrong between it and the work before. */
  #failure: Error | undefined;

  constructor(connection: Connection, records: Records, writeBack: WriteBack) {
    this.#connection = connection;
    this.#records = records;
    this.#writeBack = writeBack;
    this.#request = new Uint8Array(FRAME_HEADER_BYTES + REQUEST_HEAD_BYTES + 2 * records.bytes);
    this.#request[FRAME_HEADER_BYTES] = ARRAY_OF_ONE;
  }

  /** Does this work from now on, until there is no more. The work before must be done. */
  begin(work: Work): void {
    this.#work = work;
    if (this.#failure === undefined) this.#next(performance.now());
    else work.fail(this.#failure);
  }

  /** Looks whether a reply is missing. */
  look(replyTimeoutMs: number): void {
    if (this.#drawn === undefined || performance.now() - this.#requestMs < replyTimeoutMs) return;
    this.#fail(new ReplyError(`no reply to a request for ${replyTimeoutMs / 1000} s`));
  }

  /** Ends the connection. What happens to it afterwards is no failure. */
  destroy(): void {
    this.#failure ??= new ReplyError('the connection was ended');
    this.#connection.destroy();
  }

  data(bytes: Uint8Array): void {
    if (this.#failure !== undefined) return;
    try {
      if (this.#connection.framing === 'message') this.#take(bytes);
      else this.#collect(bytes);
    } catch (error) {
      this.#fail(error as Error);
    }
  }

  drain(): void {
    // Nothing waits for this: one request is in flight.
  }

  end(): void {
    this.#fail(new ReplyError('the server ended a connection'));
  }

  close(error?: Error): void {
    this.#fail(new ReplyError('a connection to the server is lost', { cause: error }));
  }

  #fail(error: Error): void {
    if (this.#failure !== undefined) return;
    this.#failure = error;
    this.#connection.destroy();
    this.#work?.fail(error);
  }

  // Requests

  #next(nowMs: number): void {
    const drawn = this.#work?.next();
    this.#drawn = drawn;
    if (drawn === undefined) return;
    this.#operationMs = nowMs;
    if (drawn.operation === 'read' || drawn.operation === 'readModifyWrite') this.#sendRead(drawn, nowMs);
    else this.#sendWrite(drawn, nowMs);
  }

  #sendRead({ record }: Drawn, nowMs: number): void {
    this.#reads = true;
    this.#send(this.#writeHead(Op.GET, 2, record), nowMs);
  }

  #sendWrite({ record, version }: Drawn, nowMs: number): void {
    this.#reads = false;
    const at = this.#writeHead(Op.SET, 3, record);
    this.#records.write(this.#request, at, record, version);
    this.#send(at + this.#records.bytes, nowMs);
  }

  /** Stores the record that was read, one of its fields changed. */
  #sendBack({ record, version, field }: Drawn, found: Uint8Array, nowMs: number): void {
    this.#reads = false;
    const checks = this.#writeBack === 'cas';
    let at = checks ? this.#writeHead(Op.CAS, 4, record) : this.#writeHead(Op.SET, 3, record);
    if (checks) {
      this.#request.set(found, at);
      at += found.length;
    }
    this.#request.set(found, at);
    this.#records.writeField(this.#request, at, field, record, version);
    this.#send(at + found.length, nowMs);
  }

  /** Writes what stands before the values, and returns where these go. */
  #writeHead(code: number, elements: number, record: number): number {
    const at = FRAME_HEADER_BYTES + 1;
    this.#request[at] = 0x90 | elements;
    this.#request[at + 1] = code;
    this.#request[at + 2] = 0xa0 | KEY_BYTES;
    writeKey(this.#request, at + 3, record);
    return at + 3 + KEY_BYTES;
  }

  #send(end: number, nowMs: number): void {
    writeFrameHeader(this.#request, 0, end - FRAME_HEADER_BYTES);
    this.#requestMs = nowMs;
    this.#connection.send(this.#request.subarray(this.#connection.framing === 'message' ? FRAME_HEADER_BYTES : 0, end));
  }

  // Replies

  /** Puts together what a stream brings in pieces. */
  #collect(bytes: Uint8Array): void {
    const all = this.#kept.length === 0 ? bytes : joined(this.#kept, bytes);
    if (all[0] !== FRAME_TAG) throw new ReplyError(`a reply starts with the byte ${all[0]} instead of ${FRAME_TAG}`);
    if (all.length >= FRAME_HEADER_BYTES) {
      const end = FRAME_HEADER_BYTES + new DataView(all.buffer, all.byteOffset).getUint32(1);
      if (end > this.#records.bytes + REPLY_BYTES_BEYOND) throw new ReplyError(`a reply of ${end} bytes`);
      if (all.length > end) throw new ReplyError('a reply came that nobody asked for');
      if (all.length === end) {
        this.#kept = NOTHING;
        this.#take(all.subarray(FRAME_HEADER_BYTES));
        return;
      }
    }
    this.#kept = all === bytes ? bytes.slice() : all;
  }

  #take(payload: Uint8Array): void {
    const nowMs = performance.now();
    const drawn = this.#drawn;
    const work = this.#work;
    if (drawn === undefined || work === undefined) throw new ReplyError('a reply came that nobody asked for');
    const refused = readError(payload, 0, payload.length);
    if (refused !== undefined) throw new ReplyError(`the frame was refused: ${refused.code}: ${refused.message}`);
    if (payload[0] !== ARRAY_OF_ONE) throw new ReplyError('a reply is no array of one result');
    const result = payload.subarray(1);
    const millis = nowMs - this.#requestMs;
    const changes = drawn.operation === 'readModifyWrite';
    this.#replies++;
    if (this.#reads) {
      this.#checkRecord(result, drawn.record);
      work.answered('read', millis);
      if (changes) {
        this.#sendBack(drawn, result, nowMs);
        return;
      }
    } else if (changes && this.#writeBack === 'cas' && result.length === 1 && result[0] === FALSE) {
      work.lost();
      this.#sendRead(drawn, nowMs);
      return;
    } else {
      if (result.length !== 1 || result[0] !== TRUE) throw this.#wrong(result, 'true');
      work.answered(drawn.operation === 'insert' ? 'insert' : 'update', millis);
    }
    work.done(drawn, nowMs - this.#operationMs);
    this.#next(nowMs);
  }

  #checkRecord(result: Uint8Array, record: number): void {
    const inFull = this.#replies % SAMPLE_EVERY === 1;
    const right = inFull ? this.#records.matches(result, 0, record) : this.#records.hasForm(result, 0);
    if (!right || result.length !== this.#records.bytes) {
      throw this.#wrong(result, `a record of ${this.#records.bytes} bytes that was stored under it`);
    }
  }

  #wrong(result: Uint8Array, expected: string): ReplyError {
    const key = new Uint8Array(KEY_BYTES);
    writeKey(key, 0, this.#drawn!.record);
    const asked = `the ${this.#reads ? 'GET' : 'write'} of ${new TextDecoder().decode(key)} (${this.#drawn!.operation})`;
    return new ReplyError(`${asked} answered ${describeResult(result, 0)} instead of ${expected}`);
  }
}

function joined(one: Uint8Array, other: Uint8Array): Uint8Array {
  const both = new Uint8Array(one.length + other.length);
  both.set(one);
  both.set(other, one.length);
  return both;
}
