/** Starting the program again under another runtime, so that to whoever called it there is only one program. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { findRuntime, scriptCommand } from '../find.ts';
import type { RuntimeName } from '../runtime.ts';
import type { Context } from './cli.ts';
import { CommandError, messageOf, signalExitCode, usageError } from './errors.ts';

/** Signals that are passed on to the program. It merges those that a terminal has given it as well. */
const FORWARDED: readonly NodeJS.Signals[] = ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGUSR2'];

/**
 * Runs this program with its same arguments under the runtime `name`, its input and output being ours, and resolves to
 * its exit code; 128 and the number of the signal if one ended it, as shells count.
 */
export async function relaunch(name: RuntimeName, { runtime, entry }: Context): Promise<number> {
  const found = findRuntime(name, runtime);
  if (found === undefined) {
    throw usageError(`${name} is neither in node_modules/.bin nor on PATH; "npm install ${name}" brings it`);
  }
  const [program, ...args] = scriptCommand(found, entry, runtime.args);
  const child = spawn(program, args, { stdio: 'inherit' });
  for (const signal of FORWARDED) runtime.onSignal(signal, () => child.kill(signal));
  const [code, signal] = (await once(child, 'exit').catch((error: unknown) => {
    throw new CommandError(`${program} can't be started: ${messageOf(error)}`);
  })) as [number | null, NodeJS.Signals | null];
  return code ?? signalExitCode(signal ?? 'SIGKILL');
}
