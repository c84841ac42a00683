/** `ringkv serve`: a server until a signal ends it. */
import process from 'node:process';
import type { TransportName } from '../../transports/transport.ts';
import { autoTransport, resolveEndpoint } from '../endpoint.ts';
import { packageVersion } from '../package.ts';
import type { Runtime } from '../runtime.ts';
import { type Server, type ServerOptions, startServer } from '../server.ts';
import { CommandError, ExitCode, messageOf, signalExitCode, usageError } from './errors.ts';

/**
 * A terminal gives its Ctrl-C to every process of the program, and npm and our own wrapper then pass it on: the same
 * signal again so soon is the same wish. Unit: milliseconds.
 */
const SAME_SIGNAL_MS = 300;

export interface ServeOptions extends Omit<ServerOptions, 'transport'> {
  /** What carries the bytes; `auto` for what `autoTransport` chooses. */
  readonly transport: TransportName | 'auto';
}

/** Resolves to the exit code once the server has ended. */
export async function serve({ transport: name, ...given }: ServeOptions, runtime: Runtime): Promise<number> {
  const options: ServerOptions = { ...given, transport: name === 'auto' ? choose(runtime, given.listen) : name };
  const { transport } = resolveEndpoint(runtime.name, options.listen, options.transport);
  const availability = transport.availability();
  if (!availability.available) {
    throw usageError(`transport ${transport.name} can't run here: it ${availability.reason}; ${availability.remedy}`);
  }
  const stopped = stopSignal(runtime);
  const starting = startServer(options);
  takeWishes(runtime, starting);
  // No ready line has called anybody yet, and what is under way, reading the log as a rule, is made to be cut off anywhere.
  const server = await Promise.race([stopped, starting]).catch((error: unknown) => {
    throw new CommandError(messageOf(error));
  });
  if (server === undefined) return ExitCode.OK;
  if (server.data === undefined) {
    process.stderr.write('ringkv is a cache here: what it holds is in memory only, nothing is kept on disk\n');
  }
  process.stdout.write(
    `ringkv ${packageVersion} ready ${server.address} transport=${server.transport} ` +
      `runtime=${runtime.name}/${runtime.version} engine=${server.engine} pid=${runtime.pid}` +
      `${shardsField(server)}${dataFields(server, given)}\n`,
  );
  await stopped;
  await server.close().catch((error: unknown) => {
    throw new CommandError(messageOf(error));
  });
  return ExitCode.OK;
}

/**
 * SIGUSR2 begins a snapshot. SIGHUP has tokens and certificates read anew; if they can't be, one line says so and the old ones
 * stay. What comes while the server still reads its log is done once it serves: a signal without a handler would end the process.
 */
function takeWishes(runtime: Runtime, starting: Promise<Server>): void {
  const tell = (line: string): boolean => process.stderr.write(`ringkv: ${line}\n`);
  const once = (wish: (server: Server) => void) => (): void => void starting.then(wish, () => {});
  runtime.onSignal(
    'SIGUSR2',
    once((server) => server.snapshot()),
  );
  runtime.onSignal(
    'SIGHUP',
    once((server) => {
      server.reload().then(
        () => tell('SIGHUP: read anew what is in files'),
        (error: unknown) => tell(`SIGHUP: nothing is changed, for ${messageOf(error)}`),
      );
    }),
  );
}

function choose(runtime: Runtime, listen: string | undefined): TransportName {
  const { name, reason } = autoTransport(runtime.name, listen);
  if (reason !== undefined) process.stderr.write(`ringkv serves by the transport ${name}, since ${reason}\n`);
  return name;
}

function shardsField({ addresses }: Server): string {
  return addresses.length === 1 ? '' : ` shards=${addresses.length}`;
}

/** The directory comes last, since there may be blanks in it. */
function dataFields({ data }: Server, { fsync }: Pick<ServerOptions, 'fsync'>): string {
  return data === undefined ? ' data=none' : ` fsync=${fsync} data=${data}`;
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
