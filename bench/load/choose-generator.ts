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
  /** What carries its bytes to servers that are not reached by WebSocket; undefined for its runtime's own sockets. */
  readonly clientTransport: TransportName | undefined;
}

/** What asks a server. */
export interface ChosenClient {
  readonly runtime: FoundRuntime;
  readonly transport: TransportName;
}

/** The fastest first. */
const GENERATOR_CHOICE: readonly RuntimeName[] = ['bun', 'node', 'deno'];

/**
 * The runtime to take, of those where the transport works: the one whose own it is, else the fastest. Throws a `CommandError`
 * when there is none.
 */
export function chooseGenerator({ cells }: Survey, { generator, clientTransport }: GeneratorFlags): FoundRuntime {
  const usable = cells
    .filter(({ runtime, transport }) => transport === (clientTransport ?? naturalTransport(runtime.name)))
    .map(({ runtime }) => runtime);
  const own = GENERATOR_CHOICE.filter((name) => naturalTransport(name) === clientTransport);
  const candidates = generator === undefined ? [...own, ...GENERATOR_CHOICE] : [generator];
  for (const name of candidates) {
    const found = usable.find((one) => one.name === name);
    if (found !== undefined) return found;
  }
  const asked = generator ?? GENERATOR_CHOICE.join(', ');
  const how = clientTransport === undefined ? '' : ` over ${clientTransport}`;
  throw usageError(`the load generator can't run on ${asked}${how}; "ringkv doctor" says why`);
}

/**
 * The client of a server on `serverTransport`: the runtime that `chooseGenerator` takes, and the transport that then carries
 * its bytes, which for a server that is reached by WebSocket is the runtime's own in any case. Throws likewise.
 */
export function chooseClient(all: Survey, serverTransport: TransportName, flags: GeneratorFlags): ChosenClient {
  const webSocket = speaksWebSocket(serverTransport);
  const runtime = chooseGenerator(all, webSocket ? { ...flags, clientTransport: undefined } : flags);
  const natural = naturalTransport(runtime.name, webSocket ? 'ws' : 'tcp');
  return { runtime, transport: webSocket ? natural : (flags.clientTransport ?? natural) };
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
    chooseClient(all, serverTransport, { generator: flags.generator, clientTransport }),
  );
}

function speaksWebSocket(transport: TransportName): boolean {
  return !createTransport(transport).addressKinds.includes('tcp');
}
