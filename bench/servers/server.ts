/** A server to measure: a fresh process of the command, as a user would start it, or of the control in its place. */
import { fileURLToPath } from 'node:url';
import { type FoundRuntime, scriptCommand } from '../../runtime/find.ts';
import type { TransportName } from '../../transports/transport.ts';
import { createTransport } from '../../transports/transports.ts';
import { Child, ChildError } from './child.ts';
import type { EchoPlan } from './echo-protocol.ts';
import { withOpenFiles } from './open-files.ts';
import { type Pinning, unpinned } from './pinning.ts';

/** What `serve` prints when it accepts connections. */
const READY_LINE = /^ringkv \S+ ready (\S+) transport=(\S+) runtime=(\S+?)\/\S+ engine=\S+ pid=\d+ .*$/;

export interface ServerChild {
  readonly child: Child;
  readonly address: string;
}

export interface ServerOptions {
  /** Ends it when it aborts. */
  readonly signal: AbortSignal;
  /** Further flags of `serve`, like `--engine map`. */
  readonly flags?: readonly string[] | undefined;
  /** Flags of the runtime itself, like `--cpu-prof`. */
  readonly runtimeFlags?: readonly string[];
  /** Environment variables for it alone. Ours that begin with `RINGKV_` never reach it. */
  readonly env?: Readonly<Record<string, string>> | undefined;
  /** How many files and connections it must be able to have open; default: as many as this process. */
  readonly openFiles?: number | undefined;
  /** Default: the operating system chooses the core. */
  readonly pinning?: Pinning | undefined;
  /** Which of several servers it is, from 0, for its core. */
  readonly index?: number;
}

/**
 * Starts `entry serve` under a runtime, on a free port of loopback, and waits until it is ready. Rejects with an error when
 * it does not get ready, or as something else than what was asked for.
 */
export async function startServerChild(
  found: FoundRuntime,
  entry: string,
  transport: TransportName,
  { signal, flags = [], runtimeFlags, env, openFiles, pinning = unpinned, index }: ServerOptions,
): Promise<ServerChild> {
  const args = ['serve', '--listen', loopback(transport), '--transport', transport, ...flags];
  const command = pinning.server(withOpenFiles(scriptCommand(found, entry, args, runtimeFlags), openFiles), index);
  const child = new Child('the server', command, signal, env);
  try {
    const line = await child.line();
    const [, address, servedBy, runsUnder] = READY_LINE.exec(line) ?? [];
    if (address === undefined) throw new ChildError(`the server is not ready but says "${line}"`, null, child.stderr);
    if (servedBy !== transport || runsUnder !== found.name) {
      throw new ChildError(`asked for ${transport} on ${found.name}, the server is "${line}"`, null, child.stderr);
    }
    return { child, address };
  } catch (error) {
    await child[Symbol.asyncDispose]();
    throw error;
  }
}

/** Starts the control of a cell likewise. `outputBytes` is as `EchoPlan` has it. */
export async function startEchoChild(
  found: FoundRuntime,
  transport: TransportName,
  outputBytes: number,
  { signal, pinning = unpinned }: Pick<ServerOptions, 'signal' | 'pinning'>,
): Promise<ServerChild> {
  const plan: EchoPlan = { transport, address: loopback(transport), outputBytes };
  const script = fileURLToPath(new URL('./echo.js', import.meta.url));
  const command = pinning.server(scriptCommand(found, script, [JSON.stringify(plan)]));
  const child = new Child('the control', command, signal);
  try {
    return { child, address: await child.line() };
  } catch (error) {
    await child[Symbol.asyncDispose]();
    throw error;
  }
}

/** Any free port of loopback, as the transport's addresses are written. */
function loopback(transport: TransportName): string {
  const { addressKinds } = createTransport(transport);
  return addressKinds.includes('tcp') ? 'tcp://127.0.0.1:0' : 'ws://127.0.0.1:0';
}
