/** `ringkv serve`: a server until a signal ends it. */
import process from 'node:process';
import { createTransport, naturalTransport } from '../../transports/transports.ts';
import { packageVersion } from '../package.ts';
import type { Runtime } from '../runtime.ts';
import { type ServerOptions, startServer } from '../server.ts';
import { CommandError, ExitCode, messageOf, signalExitCode, usageError } from './errors.ts';

/**
 * A terminal gives its Ctrl-C to every process of the program, and npm and our own wrapper then pass it on: the same
 * signal again so soon is the same wish. Unit: milliseconds.
 */
const SAME_SIGNAL_MS = 300;

/** Resolves to the exit code once the server has ended. */
export async function serve(options: ServerOptions, runtime: Runtime): Promise<number> {
  const transport = createTransport(options.transport ?? naturalTransport(runtime.name));
  const availability = transport.availability();
  if (!availability.available) {
    throw usageError(`transport ${transport.name} can't run here: it ${availability.reason}; ${availability.remedy}`);
  }
  const stopped = stopSignal(runtime);
  const server = await startServer(options).catch((error: unknown) => {
    throw new CommandError(messageOf(error));
  });
  process.stderr.write('ringkv is a cache here: what it holds is in memory only, nothing is kept on disk\n');
  process.stdout.write(
    `ringkv ${packageVersion} ready ${server.address} transport=${server.transport} ` +
      `runtime=${runtime.name}/${runtime.version} engine=${server.engine} pid=${runtime.pid}\n`,
  );
  await stopped;
  await server.close();
  return ExitCode.OK;
}

/** Resolves at the first SIGTERM or SIGINT; a second one ends the process at once. */
function stopSignal(runtime: Runtime): Promise<void> {
  return new Promise((resolve) => {
    let first: { readonly signal: NodeJS.Signals; readonly atMs: number } | undefined;
    const stop = (signal: NodeJS.Signals): void => {
      const atMs = performance.now();
      if (first === undefined) {
        first = { signal, atMs };
        resolve();
      } else if (signal !== first.signal || atMs - first.atMs > SAME_SIGNAL_MS) {
        runtime.exit(signalExitCode(signal));
      }
    };
    for (const signal of ['SIGTERM', 'SIGINT'] as const) runtime.onSignal(signal, () => stop(signal));
  });
}
