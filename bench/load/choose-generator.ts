/** Which runtime and transport the load generator gets, the same for all cells of a run. */
import { usageError } from '../../runtime/command/errors.ts';
import type { FoundRuntime } from '../../runtime/find.ts';
import type { RuntimeName } from '../../runtime/runtime.ts';
import type { TransportName } from '../../transports/transport.ts';
import { naturalTransport } from '../../transports/transports.ts';
import type { Survey } from '../servers/survey.ts';

export interface GeneratorFlags {
  /** What runs the load generator; undefined for the fastest there is. */
  readonly generator: RuntimeName | undefined;
  /** What carries its bytes to servers that are not reached by WebSocket; undefined for its runtime's own sockets. */
  readonly clientTransport: TransportName | undefined;
}

/** The fastest first. */
const GENERATOR_CHOICE: readonly RuntimeName[] = ['bun', 'node', 'deno'];

/** The runtime to take, of those where the transport works. Throws a `CommandError` when there is none. */
export function chooseGenerator({ cells }: Survey, { generator, clientTransport }: GeneratorFlags): FoundRuntime {
  const usable = cells
    .filter(({ runtime, transport }) => transport === (clientTransport ?? naturalTransport(runtime.name)))
    .map(({ runtime }) => runtime);
  for (const name of generator === undefined ? GENERATOR_CHOICE : [generator]) {
    const found = usable.find((one) => one.name === name);
    if (found !== undefined) return found;
  }
  const asked = generator ?? GENERATOR_CHOICE.join(', ');
  const how = clientTransport === undefined ? '' : ` over ${clientTransport}`;
  throw usageError(`the load generator can't run on ${asked}${how}; "ringkv doctor" says why`);
}
