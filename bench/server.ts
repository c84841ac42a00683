/** A server to measure: a fresh process of the command, as a user would start it. */

import { type FoundRuntime, scriptCommand } from '../runtime/find.ts';
import type { TransportName } from '../transports/transport.ts';
import { Child, ChildError } from './child.ts';

/** What `serve` prints when it accepts connections. */
const READY_LINE = /^ringkv \S+ ready (\S+) transport=(\S+) runtime=(\S+?)\/\S+ engine=\S+ pid=\d+$/;

export interface ServerChild {
  readonly child: Child;
  readonly address: string;
}

/**
 * Starts `entry serve` under a runtime, on a free port of loopback, and waits until it is ready. Rejects with an error when
 * it does not get ready, or as something else than what was asked for.
 */
export async function startServerChild(
  found: FoundRuntime,
  entry: string,
  transport: TransportName,
  signal: AbortSignal,
): Promise<ServerChild> {
  const command = scriptCommand(found, entry, ['serve', '--listen', 'tcp://127.0.0.1:0', '--transport', transport]);
  const child = new Child('the server', command, signal);
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
