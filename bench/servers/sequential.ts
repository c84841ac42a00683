/** One operation after the other, measured once: a fresh process for the store or the client, and a fresh server for that. */
import { fileURLToPath } from 'node:url';
import { type FoundRuntime, scriptCommand } from '../../runtime/find.ts';
import type { TransportName } from '../../transports/transport.ts';
import type { SequentialEvent, SequentialMeasurement, SequentialPlan, StoreTarget } from '../load/sequential-plan.ts';
import type { Step } from '../results/run.ts';
import type { Cell } from './cell.ts';
import { Child } from './child.ts';
import type { Pinning } from './pinning.ts';
import { startServerChild } from './server.ts';

export interface SequentialOptions {
  /** The script of the command. */
  readonly entry: string;
  readonly plan: Omit<SequentialPlan, 'target'>;
  readonly pinning: Pinning;
  readonly step: Step;
}

/** The phases of the progress that a measurement has. */
export function sequentialPhases({ operations }: Pick<SequentialPlan, 'operations'>): number {
  return 1 + operations.length;
}

/** A store within the measuring process. Rejects with an `Error` when it fails, or gives something wrong. */
export async function measureStore(
  runtime: FoundRuntime,
  target: StoreTarget,
  options: SequentialOptions,
): Promise<readonly SequentialMeasurement[]> {
  return await measureTarget(runtime, { ...options.plan, target }, options);
}

/** A server, through a client. Rejects with an `Error` when one of the two ends early, or a reply is wrong or missing. */
export async function measureThroughClient(
  server: Cell,
  client: { readonly runtime: FoundRuntime; readonly transport: TransportName },
  options: SequentialOptions,
): Promise<readonly SequentialMeasurement[]> {
  const { entry, plan, pinning, step } = options;
  const { child, address } = await startServerChild(server.runtime, entry, server.transport, {
    signal: step.signal,
    pinning,
  });
  await using serverChild = child;
  try {
    const target = { address, transport: client.transport };
    return await measureTarget(client.runtime, { ...plan, target }, options);
  } catch (error) {
    throw new Error(`${(error as Error).message}; the server says: ${serverChild.stderr}`, { cause: error });
  }
}

async function measureTarget(
  runtime: FoundRuntime,
  plan: SequentialPlan,
  { pinning, step }: SequentialOptions,
): Promise<readonly SequentialMeasurement[]> {
  const script = fileURLToPath(new URL('../load/sequential-process.js', import.meta.url));
  const command = pinning.generator(scriptCommand(runtime, script, [JSON.stringify(plan)]));
  step.onPhase('storing the keys');
  await using child = new Child('the measuring process', command, step.signal);
  await nextEvent(child, 'stored');
  step.onPhaseEnd();
  const measurements: SequentialMeasurement[] = [];
  for (const operation of plan.operations) {
    step.onPhase(operation);
    measurements.push((await nextEvent(child, 'measured')).measurement);
    step.onPhaseEnd();
  }
  return measurements;
}

type EventNamed<Name extends SequentialEvent['event']> = Extract<SequentialEvent, { readonly event: Name }>;

async function nextEvent<Name extends SequentialEvent['event']>(child: Child, name: Name): Promise<EventNamed<Name>> {
  const event = JSON.parse(await child.line()) as SequentialEvent;
  if (event.event !== name) throw new Error(`the measuring process told "${event.event}" instead of "${name}"`);
  return event as EventNamed<Name>;
}
