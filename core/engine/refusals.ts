/**
 * Every error that an engine answers by itself, in one table: the engines' replies are the same byte for byte, so their
 * messages are too.
 */
import { Writer } from '../msgpack.ts';
import { ErrorCode, MAX_REPLY_BYTES } from '../protocol.ts';
import type { EngineHost, EngineLimits } from './engine.ts';

/** Why an operation, or a whole payload, is answered with an error. Thrown before the operation changed anything. */
export class Refusal extends Error {
  override readonly name = 'Refusal';
  readonly code: ErrorCode;
  /** The error as it stands in the reply. */
  readonly result: Uint8Array;

  constructor(code: ErrorCode, message: string, result: Uint8Array = errorResult(code, message)) {
    super(message);
    this.code = code;
    this.result = result;
  }
}

function errorResult(code: ErrorCode, message: string): Uint8Array {
  const writer = new Writer(128);
  writer.error(code, message);
  return writer.copy();
}

/** The error of a key in a slot of another shard, as it stands in the reply. An engine on its own knows no other. */
export function movedResult(host: EngineHost | undefined, slot: number): Uint8Array {
  return host === undefined ? errorResult(ErrorCode.MOVED, String(slot)) : host.moved(slot);
}

/** Those that tell a limit, of which each engine has its own. */
export function limitRefusals({ keyBytesMax, valueBytesMax, depthMax, operationsMax }: EngineLimits) {
  return {
    payloadOperations: new Refusal(ErrorCode.FRAME, `more than ${operationsMax} operations in one frame`),
    payloadDepth: new Refusal(ErrorCode.FRAME, `nested more than ${depthMax} deep`),
    keyLength: new Refusal(ErrorCode.KEY, `key must have 1 to ${keyBytesMax} bytes`),
    valueLength: new Refusal(ErrorCode.SIZE, `value must have at most ${valueBytesMax} bytes`),
  } as const;
}

/** One of each, made once: a payload may hold a million operations that are refused. */
export const refusals = {
  // Of the whole payload.
  payloadKind: new Refusal(ErrorCode.FRAME, 'payload is not an array'),
  payloadBytes: new Refusal(ErrorCode.FRAME, 'truncated or ill-formed MessagePack'),
  payloadRest: new Refusal(ErrorCode.FRAME, "bytes after the payload's array"),
  // Of who asks.
  unauthenticated: new Refusal(ErrorCode.AUTH, 'not authenticated'),
  readOnly: new Refusal(ErrorCode.AUTH, 'this token may only read'),
  // Of the state of the log.
  unwritable: new Refusal(ErrorCode.LOG, 'not done: the log has failed'),
  // Of the operation's form.
  operationKind: new Refusal(ErrorCode.TYPE, 'operation is not an array'),
  operationCode: new Refusal(ErrorCode.OP, 'unknown operation'),
  argumentCount: new Refusal(ErrorCode.OP, 'wrong number of arguments'),
  // Of its arguments.
  keyKind: new Refusal(ErrorCode.TYPE, 'key is not a string or binary'),
  valueNil: new Refusal(ErrorCode.TYPE, 'value is nil'),
  integerKind: new Refusal(ErrorCode.TYPE, 'argument is not an integer'),
  integerRange: new Refusal(ErrorCode.RANGE, 'integer is outside int64'),
  ttl: new Refusal(ErrorCode.RANGE, 'ttl is out of range'),
  flags: new Refusal(ErrorCode.RANGE, 'flags are out of range'),
  cursor: new Refusal(ErrorCode.RANGE, 'cursor is out of range'),
  count: new Refusal(ErrorCode.RANGE, 'count is out of range'),
  // Of the state it met.
  storedKind: new Refusal(ErrorCode.TYPE, 'value is not an integer'),
  overflow: new Refusal(ErrorCode.RANGE, 'integer overflow'),
  memory: new Refusal(ErrorCode.MEMORY, 'memory limit reached'),
  reply: new Refusal(ErrorCode.MEMORY, `reply is larger than ${MAX_REPLY_BYTES} bytes`),
} as const;
