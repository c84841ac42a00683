/**
 * What can go wrong for a client or an embedded store: one class per cause, each with a stable `code` to branch on. The
 * texts of the messages are for people and may change.
 */
import type { ErrorCode } from '../protocol.ts';

/** Codes of the errors that arise on this side of the wire. Those of the other side are `ErrorCode`. */
export const ClientErrorCode = {
  /** An argument that can't be sent. */
  ARGUMENT: 'ARGUMENT',
  /** Some operations of a batch failed. */
  BATCH: 'BATCH',
  /** The operation was done, but its result can't be given as it was asked for. */
  RESULT: 'RESULT',
  /** The server could not be reached, or the connection was lost. */
  CONNECTION: 'CONNECTION',
  /** What the server sent is not this protocol. */
  PROTOCOL: 'PROTOCOL',
  /** The time for an operation has passed. */
  TIMEOUT: 'TIMEOUT',
  /** The caller's `AbortSignal` gave the operation up. */
  ABORTED: 'ABORTED',
  /** Whether a write was done can't be known. */
  UNKNOWN_OUTCOME: 'UNKNOWN_OUTCOME',
  /** Too much is unanswered already. */
  QUEUE_FULL: 'QUEUE_FULL',
  /** The client or store was closed. */
  CLOSED: 'CLOSED',
} as const;
export type ClientErrorCode = (typeof ClientErrorCode)[keyof typeof ClientErrorCode];

export type RingkvErrorCode = ClientErrorCode | ErrorCode;

/** Every error of a client or a store is one of these, but for those of `connect` and `openStore` that say otherwise. */
export abstract class RingkvError extends Error {
  abstract readonly code: RingkvErrorCode;
}

/** An argument is not what the operation takes, or more than the server takes in a frame. Nothing was sent. */
export class ArgumentError extends RingkvError {
  override readonly name = 'ArgumentError';
  readonly code = ClientErrorCode.ARGUMENT;
}

/**
 * The server, or the engine of a store, answered with an error: the operation did nothing. Of a write that was answered `LOG` that is
 * not known: the server could not make it durable. The codes `FRAME`, `BUSY`, `IDLE` and sometimes `SIZE`, `MEMORY` and `AUTH` refuse
 * everything that was in flight, of which then nothing was done either.
 */
export class ServerError extends RingkvError {
  override readonly name = 'ServerError';
  readonly code: ErrorCode;

  /** `code` is taken as it came: a later server may have codes that `ErrorCode` has not. */
  constructor(code: string, message: string) {
    super(message);
    this.code = code as ErrorCode;
  }
}

/** Some operations of a batch failed; the others were done, and `results` has what they gave. */
export class BatchError extends RingkvError {
  override readonly name = 'BatchError';
  readonly code = ClientErrorCode.BATCH;
  /** One entry for each operation, in order: its result, or the `RingkvError` it failed with. */
  readonly results: readonly unknown[];

  constructor(results: readonly unknown[]) {
    const failed = results.filter((result) => result instanceof RingkvError);
    const first = results.findIndex((result) => result instanceof RingkvError);
    super(`${failed.length} of ${results.length} operations failed, first number ${first}: ${failed[0]?.message}`, {
      cause: failed[0],
    });
    this.results = results;
  }
}

/**
 * The operation was done, but its result can't be given as it was asked for: a value that msgpackr can't decode, a key
 * that is no text, a sum that is no safe integer. The message says which, and how to ask instead.
 */
export class ResultError extends RingkvError {
  override readonly name = 'ResultError';
  readonly code = ClientErrorCode.RESULT;
}

/** The server could not be reached, or the connection was lost and the operation can't be sent again. */
export class ConnectionError extends RingkvError {
  override readonly name = 'ConnectionError';
  readonly code = ClientErrorCode.CONNECTION;
}

/** What came from the server is not this protocol. The connection was given up. */
export class ProtocolError extends RingkvError {
  override readonly name = 'ProtocolError';
  readonly code = ClientErrorCode.PROTOCOL;
}

/** The time for an operation has passed; it was a read, or had not been sent yet, so nothing was changed. */
export class TimeoutError extends RingkvError {
  override readonly name = 'TimeoutError';
  readonly code = ClientErrorCode.TIMEOUT;
}

/**
 * The `AbortSignal` of an operation gave it up; it was a read, or had not been sent yet, so nothing was changed. `cause`
 * is the signal's reason.
 */
export class AbortError extends RingkvError {
  override readonly name = 'AbortError';
  readonly code = ClientErrorCode.ABORTED;
}

/**
 * A write was sent, but its reply did not come: it may have been done, or not. It is never sent a second time; whoever
 * wants that reads the key first, or knows that doing it twice is harmless. `cause` says what happened: `TimeoutError`,
 * `AbortError`, `ConnectionError` or `ProtocolError`. Of a write that goes to every shard it is the error of one that has
 * not done it, while others have.
 */
export class UnknownOutcomeError extends RingkvError {
  override readonly name = 'UnknownOutcomeError';
  readonly code = ClientErrorCode.UNKNOWN_OUTCOME;

  constructor(cause: RingkvError) {
    super(`it may have been done or not: ${cause.message}`, { cause });
  }
}

/** Operations are issued faster than the server answers, and `pendingBytesMax` is reached. The operation was not sent. */
export class QueueFullError extends RingkvError {
  override readonly name = 'QueueFullError';
  readonly code = ClientErrorCode.QUEUE_FULL;
}

/** The client or store was closed before the operation was issued. */
export class ClosedError extends RingkvError {
  override readonly name = 'ClosedError';
  readonly code = ClientErrorCode.CLOSED;
}
