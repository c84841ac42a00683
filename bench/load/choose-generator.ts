/** Which runtime and transport the load generators get, the same for all cells of a run. */
import { usageError } from '../../runtime/command/errors.ts';
import type { FoundRuntime } from '../../runtime/find.ts';
import type { RuntimeName } from '../../runtime/runtime.ts';
import type { TransportName } from '../../transports/transport.ts';
import { createTransport, naturalTransport } from '../../transports/transports.ts';
import type { Survey } from '../servers/survey.ts';

export interface GeneratorFlags {
  /** What runs the load generator; undefined for the fastest there is. */
  readonly generator: RuntimeName | undefined;
  /** What carries its bytes to servers that are not reached by WebSocket; undefined for what `chooseClient` says. */
  readonly clientTransport: TransportName | undefined;
}

/** What asks a server. */
export interface ChosenClient {
  readonly runtime: FoundRuntime;
  readonly transport: TransportName;
}

/** The fastest first. */
const GENERATOR_CHOICE: readonly RuntimeName[] = ['bun', 'node', 'deno'];

/** The fastest runtime there is on which its own sockets work. Throws a `CommandError` when there is none. */
export function chooseGenerator(all: Survey, generator: RuntimeName | undefined): FoundRuntime {
  return findGenerator(all, generator, undefined) ?? fail(generator, undefined);
}

/**
 * The client of a server on `serverTransport`: a runtime, and the transport that then carries its bytes. A server that is
 * reached by WebSocket has the runtime's own in any case.
 *
 * A `busy` client asks for as much as the server can do. On a ring that takes the least CPU, so that the server is the limit
 * and not who asks: with 50 connections and one operation in flight on each, half of what Bun's sockets take. A `timed` one
 * sends one operation after the other, or when one is due, and a ring in a thread that it shares would block it for a
 * millisecond at a time. Throws a `CommandError` when there is none.
 */
export function chooseClient(
  all: Survey,
  serverTransport: TransportName,
  { generator, clientTransport }: GeneratorFlags,
  use: 'busy' | 'timed',
): ChosenClient {
  if (speaksWebSocket(serverTransport)) {
    const runtime = chooseGenerator(all, generator);
    return { runtime, transport: naturalTransport(runtime.name, 'ws') };
  }
  if (clientTransport !== undefined) {
    const runtime = findGenerator(all, generator, clientTransport) ?? fail(generator, clientTransport);
    return { runtime, transport: clientTransport };
  }
  const onRing = use === 'busy' ? findGenerator(all, generator, 'uring') : undefined;
  if (onRing !== undefined) return { runtime: onRing, transport: 'uring' };
  const runtime = chooseGenerator(all, generator);
  return { runtime, transport: naturalTransport(runtime.name) };
}

/** The clients of a server when several transports are asked for, each client once. Throws likewise. */
export function chooseClients(
  all: Survey,
  serverTransport: TransportName,
  flags: {
    readonly generator: RuntimeName | undefined;
    readonly clientTransports: readonly TransportName[] | undefined;
  },
): readonly ChosenClient[] {
  const asked = speaksWebSocket(serverTransport) ? [undefined] : (flags.clientTransports ?? [undefined]);
  return asked.map((clientTransport) =>
    chooseClient(all, serverTransport, { generator: flags.generator, clientTransport }, 'busy'),
  );
}

/** The runtime to take, of those where the transport works: the one whose own it is, else the fastest. */
function findGenerator(
  { cells }: Survey,
  generator: RuntimeName | undefined,
  clientTransport: TransportName | undefined,
): FoundRuntime | undefined {
  const usable = cells
    .filter(({ runtime, transport }) => transport === (clientTransport ?? naturalTransport(runtime.name)))
    .map(({ runtime }) => runtime);
  const own = GENERATOR_CHOICE.filter((name) => naturalTransport(name) === clientTransport);
  const candidates = generator === undefined ? [...own, ...GENERATOR_CHOICE] : [generator];
  return candidates.map((name) => usable.find((runtime) => runtime.name === name)).find((found) => found !== undefined);
}

function fail(generator: RuntimeName | undefined, clientTransport: TransportName | undefined): never {
  const asked = generator ?? GENERATOR_CHOICE.join(', ');
  const how = clientTransport === undefined ? '' : ` over ${clientTransport}`;
  throw usageError(`the load generator can't run on ${asked}${how}; "ringkv doctor" says why`);
}

function speaksWebSocket(transport: TransportName): boolean {
  return !createTransport(transport).addressKinds.includes('tcp');
}
