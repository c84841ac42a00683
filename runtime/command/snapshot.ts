/** `ringkv snapshot`: has the server that uses a data directory make a snapshot. */
import { resolve } from 'node:path';
import process from 'node:process';
import { localHolder } from '../disk/lock.ts';
import { CommandError, ExitCode } from './errors.ts';

/** Asks the server, by a signal, and resolves to the exit code. */
export async function snapshot(data: string): Promise<number> {
  const path = resolve(data);
  const pid = await localHolder(path);
  if (pid === undefined) throw new CommandError(`no server of this machine uses ${path}`);
  process.kill(pid, 'SIGUSR2');
  process.stdout.write(`asked the server with process id ${pid}; its INFO tells when the snapshot is made\n`);
  return ExitCode.OK;
}
