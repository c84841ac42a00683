/** The ways a command ends that are no bug: each is one line on stderr and an exit code. */
import { constants } from 'node:os';

export const ExitCode = {
  OK: 0,
  /** It was asked for properly and failed: an address in use, a server that is not there. */
  FAILED: 1,
  /** What was asked for makes no sense or can't work here: an unknown flag, a transport this runtime hasn't got. */
  USAGE: 2,
} as const;
export type ExitCode = (typeof ExitCode)[keyof typeof ExitCode];

/** Ends the command with its message as one line on stderr. */
export class CommandError extends Error {
  override readonly name = 'CommandError';
  readonly exitCode: ExitCode;

  constructor(message: string, exitCode: ExitCode = ExitCode.FAILED, options?: ErrorOptions) {
    super(message, options);
    this.exitCode = exitCode;
  }
}

/** A `CommandError` about what the user wrote. */
export function usageError(message: string): CommandError {
  return new CommandError(message, ExitCode.USAGE);
}

/** The exit code of a program that a signal ended, as shells count. */
export function signalExitCode(signal: NodeJS.Signals): number {
  return 128 + constants.signals[signal];
}

/** An `Error`'s message, or whatever else was thrown, as text. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
