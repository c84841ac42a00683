/** `ringkv snapshot`: has the server that uses a data directory make a snapshot. */
import { constants } from 'node:os';
import { resolve } from 'node:path';
import process from 'node:process';
import { localHolder, takesSignal } from '../disk/lock.ts';
import { CommandError, ExitCode, messageOf } from './errors.ts';

/** Asks the server, by a signal, and resolves to the exit code. */
export async function snapshot(data: string): Promise<number> {
  const path = resolve(data);
  const pid = await ask(path).catch((error: unknown) => {
    throw error instanceof CommandError
      ? error
      : new CommandError(`can't ask for a snapshot of ${path}: ${messageOf(error)}`);
  });
  process.stdout.write(`asked the server with process id ${pid}; its INFO tells when the snapshot is made\n`);
  return ExitCode.OK;
}

async function ask(path: string): Promise<number> {
  const pid = await localHolder(path);
  if (pid === undefined) throw new CommandError(`no server of this machine uses ${path}`);
  if ((await takesSignal(pid, constants.signals.SIGUSR2)) === false) {
    throw new CommandError(
      `process ${pid} uses ${path}, and is no \`ringkv serve\`: a program that has a server of its own calls its snapshot()`,
    );
  }
  process.kill(pid, 'SIGUSR2');
  return pid;
}
