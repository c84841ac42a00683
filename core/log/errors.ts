/**
 * What can be wrong with the files of a log: one class per cause, each with a stable `code` to branch on. None of these is
 * thrown for a torn tail, which is how a log looks after a power loss: recovery cuts that.
 */

export const LogErrorCode = {
  /** A file ends before what it begins. */
  SHORT_READ: 'SHORT_READ',
  /** A file is not what its name says. */
  BAD_MAGIC: 'BAD_MAGIC',
  /** A file was written by a version that this one does not know. */
  BAD_VERSION: 'BAD_VERSION',
  /** The header of a file, record or block differs from its checksum. */
  BAD_HEADER_CHECKSUM: 'BAD_HEADER_CHECKSUM',
  /** What a record or block holds differs from its checksum. */
  BAD_BODY_CHECKSUM: 'BAD_BODY_CHECKSUM',
  /** A record or block is whole, but not the one that follows the one before. */
  BROKEN_CHAIN: 'BROKEN_CHAIN',
  /** A segment lies under the name of another. */
  MISPLACED_SEGMENT: 'MISPLACED_SEGMENT',
  /** A segment is not there, while later ones, or a snapshot that needs it, are. */
  MISSING_SEGMENT: 'MISSING_SEGMENT',
  /** The bytes are right, but the engine could not execute them as it did when they were new. */
  REPLAY: 'REPLAY',
} as const;
export type LogErrorCode = (typeof LogErrorCode)[keyof typeof LogErrorCode];

/** Every damage of a log is one of these. */
export abstract class LogError extends Error {
  abstract readonly code: LogErrorCode;
  /** Path of the file. */
  readonly path: string;
  /** Its name in the shard's directory. */
  readonly file: string;
  /** Where the damage begins; everything of the log before it is whole. Unit: bytes. */
  readonly offset: number;

  constructor(place: LogPlace, what: string) {
    super(`${place.directory}/${place.file} at offset ${place.offset}: ${what}`);
    this.path = `${place.directory}/${place.file}`;
    this.file = place.file;
    this.offset = place.offset;
  }
}

/** A place in a file of a log. */
export interface LogPlace {
  /** Path of the directory. */
  readonly directory: string;
  readonly file: string;
  readonly offset: number;
}

export class ShortReadError extends LogError {
  override readonly name = 'ShortReadError';
  readonly code = LogErrorCode.SHORT_READ;
}

export class BadMagicError extends LogError {
  override readonly name = 'BadMagicError';
  readonly code = LogErrorCode.BAD_MAGIC;
}

export class BadVersionError extends LogError {
  override readonly name = 'BadVersionError';
  readonly code = LogErrorCode.BAD_VERSION;
}

export class BadHeaderChecksumError extends LogError {
  override readonly name = 'BadHeaderChecksumError';
  readonly code = LogErrorCode.BAD_HEADER_CHECKSUM;
}

export class BadBodyChecksumError extends LogError {
  override readonly name = 'BadBodyChecksumError';
  readonly code = LogErrorCode.BAD_BODY_CHECKSUM;
}

export class BrokenChainError extends LogError {
  override readonly name = 'BrokenChainError';
  readonly code = LogErrorCode.BROKEN_CHAIN;
}

export class MisplacedSegmentError extends LogError {
  override readonly name = 'MisplacedSegmentError';
  readonly code = LogErrorCode.MISPLACED_SEGMENT;
}

export class MissingSegmentError extends LogError {
  override readonly name = 'MissingSegmentError';
  readonly code = LogErrorCode.MISSING_SEGMENT;
}

/** Not the fault of the file, as a rule: the machine has less memory for the engine than the one that wrote it. */
export class ReplayError extends LogError {
  override readonly name = 'ReplayError';
  readonly code = LogErrorCode.REPLAY;
}
