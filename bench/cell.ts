/** One cell of a matrix, measured once: a fresh server process, a fresh load generator, every batch size in turn. */
import { fileURLToPath } from 'node:url';
import { type FoundRuntime, scriptCommand } from '../runtime/find.ts';
import type { TransportName } from '../transports/transport.ts';
import { Child } from './child.ts';
import type { GeneratorEvent, GeneratorPlan, Measurement } from './plan.ts';
import { startServerChild } from './server.ts';

/** What serves: a runtime and one of the transports that work in it. */
export interface Cell {
  readonly runtime: FoundRuntime;
  readonly transport: TransportName;
}

/** The name of a cell in tables and messages: `bun on node` is the transport bun in the runtime node. */
export function cellLabel(transport: TransportName, runtime: string): string {
  return `${transport} on ${runtime}`;
}

export interface CellOptions {
  /** The script of the command. */
  readonly entry: string;
  /** What runs the load generator. */
  readonly generator: FoundRuntime;
  readonly plan: Omit<GeneratorPlan, 'address'>;
  readonly signal: AbortSignal;
  /** A phase starts: loading, or a batch size. */
  readonly onPhase: (what: string) => void;
  /** A phase is over. */
  readonly onPhaseEnd: () => void;
}

export interface CellResult {
  readonly workload: string;
  readonly loadSeconds: number;
  readonly measurements: readonly Measurement[];
}

/** Rejects with an `Error` when the server or the generator ends early, and when a reply is wrong, missing or an error. */
export async function measureCell(cell: Cell, options: CellOptions): Promise<CellResult> {
  const { entry, generator, plan, signal } = options;
  options.onPhase('loading');
  const server = await startServerChild(cell.runtime, entry, cell.transport, signal);
  await using serverChild = server.child;
  const script = fileURLToPath(new URL('./generator.js', import.meta.url));
  const argument: GeneratorPlan = { ...plan, address: server.address };
  const command = scriptCommand(generator, script, [JSON.stringify(argument)]);
  await using generatorChild = new Child('the load generator', command, signal);
  try {
    const loaded = await nextEvent(generatorChild, 'loaded');
    options.onPhaseEnd();
    const measurements: Measurement[] = [];
    for (const batch of plan.batches) {
      options.onPhase(`batch ${batch}`);
      measurements.push((await nextEvent(generatorChild, 'measured')).measurement);
      options.onPhaseEnd();
    }
    return { workload: loaded.workload, loadSeconds: loaded.seconds, measurements };
  } catch (error) {
    throw new Error(`${(error as Error).message}; the server says: ${serverChild.stderr}`, { cause: error });
  }
}

type EventNamed<Name extends GeneratorEvent['event']> = Extract<GeneratorEvent, { readonly event: Name }>;

async function nextEvent<Name extends GeneratorEvent['event']>(child: Child, name: Name): Promise<EventNamed<Name>> {
  const event = JSON.parse(await child.line()) as GeneratorEvent;
  if (event.event !== name) throw new Error(`the load generator told "${event.event}" instead of "${name}"`);
  return event as EventNamed<Name>;
}
