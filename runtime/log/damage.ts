/**
 * Why something could not be done for a log, told from one thread to another, where of an error only its message would arrive.
 * It matters whether the files are damaged: trying again does not help then.
 */
import { LogError } from '../../core/log/errors.ts';

/** Plain data, for messages. */
export interface LogFailure {
  readonly message: string;
  /** Whether it was a `LogError`, in this thread or in one before. */
  readonly isDamage: boolean;
}

/** The files of a log are damaged; the message says where. */
export class LogDamageError extends Error {
  override readonly name = 'LogDamageError';
}

export function failureOf(error: unknown): LogFailure {
  const message = error instanceof Error ? error.message : String(error);
  return { message, isDamage: error instanceof LogError || error instanceof LogDamageError };
}

export function errorOf({ message, isDamage }: LogFailure): Error {
  return isDamage ? new LogDamageError(message) : new Error(message);
}
