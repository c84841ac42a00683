/** One cell of a matrix or its control, measured once: a fresh server, a fresh load generator, every batch size in turn. */
import { fileURLToPath } from 'node:url';
import { type FoundRuntime, scriptCommand } from '../../runtime/find.ts';
import type { TransportName } from '../../transports/transport.ts';
import { mergeMeasurements } from '../load/merge.ts';
import type { GeneratorEvent, GeneratorPlan, Measurement } from '../load/plan.ts';
import { Child } from './child.ts';
import { type Pinning, unpinned } from './pinning.ts';
import { type ServerChild, startEchoChild, startServerChild } from './server.ts';

/** What serves: a runtime and one of the transports that work in it. */
export interface Cell {
  readonly runtime: FoundRuntime;
  readonly transport: TransportName;
}

/** The name of a cell in tables and messages: `bun on node` is the transport bun in the runtime node. */
export function cellLabel(transport: string, runtime: string): string {
  return `${transport} on ${runtime}`;
}

/** What is measured: a cell, or its control, the bare echo. */
export interface Subject extends Cell {
  readonly control: boolean;
}

/** The name of a subject: that of its cell, and for a control what it is. */
export function subjectLabel({ transport, runtime, control }: Subject): string {
  const label = cellLabel(transport, runtime.name);
  return control ? `${CONTROL_MARK}${label}` : label;
}

/** Stands before the name of a cell whose control is meant. */
export const CONTROL_MARK = 'echo: ';

/** The control sends up to so much at once, as the server does. Unit: bytes. */
const ECHO_OUTPUT_BYTES_MIN = 4 * 1024 * 1024;

/** The most that a result takes beyond its value. Unit: bytes. */
const RESULT_HEAD_BYTES_MAX = 5;

/** The most that a reply takes beyond its results. Unit: bytes. */
const REPLY_HEAD_BYTES_MAX = 10;

export interface CellOptions {
  /** The script of the command. */
  readonly entry: string;
  /** What runs the load generators. */
  readonly generator: FoundRuntime;
  /** How many load generators there are; the connections are shared among them. Default: 1. */
  readonly generators?: number;
  /** Default: the operating system chooses the cores. */
  readonly pinning?: Pinning;
  readonly plan: Omit<GeneratorPlan, keyof Served | 'index'>;
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

/** Rejects with an `Error` when the server or a generator ends early, and when a reply is wrong, missing or an error. */
export async function measureCell(subject: Subject, options: CellOptions): Promise<CellResult> {
  options.onPhase('starting');
  const server = await startSubject(subject, options);
  await using serverChild = server.child;
  return await measureServed(
    {
      addresses: [server.address],
      language: subject.control ? 'echo' : 'ringkv',
      stderr: () => serverChild.stderr,
    },
    options,
  );
}

/** Servers that run: where and in which language they are reached, and the end of what they have written on stderr. */
export interface Served extends Pick<GeneratorPlan, 'addresses' | 'language' | 'pids'> {
  readonly stderr: () => string;
}

/** Measures servers that run already. Rejects as `measureCell` does. */
export async function measureServed({ stderr, ...served }: Served, options: CellOptions): Promise<CellResult> {
  options.onPhase('loading');
  await using generators = startGenerators(served, options);
  try {
    // The first one stores the keys. The others follow, so that none of them asks for a key that is not there yet.
    const { workload, seconds: loadSeconds } = (await generators.next('loaded'))[0]!;
    options.onPhaseEnd();
    const measurements: Measurement[] = [];
    for (const batch of options.plan.batches) {
      options.onPhase(`batch ${batch}`);
      await generators.next('ready');
      generators.tell('go');
      measurements.push(mergeMeasurements((await generators.next('measured')).map(({ measurement }) => measurement)));
      options.onPhaseEnd();
    }
    return { workload, loadSeconds, measurements };
  } catch (error) {
    throw new Error(`${(error as Error).message}; the server says: ${stderr()}`, { cause: error });
  }
}

/** The load generators of a cell, which work together. */
class Generators implements AsyncDisposable {
  readonly #children: readonly Child[];

  constructor(children: readonly Child[]) {
    this.#children = children;
  }

  /** The next event of each of them, which has to be this one. */
  next<Name extends GeneratorEvent['event']>(name: Name): Promise<readonly EventNamed<Name>[]> {
    return Promise.all(this.#children.map((child) => nextEvent(child, name)));
  }

  tell(order: string): void {
    for (const child of this.#children) child.tell(order);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#children.map((child) => child[Symbol.asyncDispose]()));
  }
}

function startGenerators(served: Omit<Served, 'stderr'>, options: CellOptions): Generators {
  const { generator, generators = 1, pinning = unpinned, plan, signal } = options;
  const script = fileURLToPath(new URL('../load/generator.js', import.meta.url));
  return new Generators(
    Array.from({ length: generators }, (_, index) => {
      const connections = shareOf(plan.connections, index, generators);
      const argument: GeneratorPlan = { ...plan, ...served, connections, index };
      const command = scriptCommand(generator, script, [JSON.stringify(argument)]);
      return new Child('the load generator', pinning.generator(command, index), signal);
    }),
  );
}

/** How many of `total` things the one at `index` gets of so many that share them: as equal as can be. */
function shareOf(total: number, index: number, sharers: number): number {
  return Math.floor(total / sharers) + (index < total % sharers ? 1 : 0);
}

function startSubject({ runtime, transport, control }: Subject, options: CellOptions): Promise<ServerChild> {
  const { entry, plan, pinning, signal } = options;
  if (!control) return startServerChild(runtime, entry, transport, { signal, pinning });
  const longestReply = REPLY_HEAD_BYTES_MAX + Math.max(...plan.batches) * (RESULT_HEAD_BYTES_MAX + plan.valueBytes);
  return startEchoChild(runtime, transport, Math.max(longestReply, ECHO_OUTPUT_BYTES_MIN), { signal, pinning });
}

type EventNamed<Name extends GeneratorEvent['event']> = Extract<GeneratorEvent, { readonly event: Name }>;

async function nextEvent<Name extends GeneratorEvent['event']>(child: Child, name: Name): Promise<EventNamed<Name>> {
  const event = JSON.parse(await child.line()) as GeneratorEvent;
  if (event.event !== name) throw new Error(`the load generator told "${event.event}" instead of "${name}"`);
  return event as EventNamed<Name>;
}
