/** One cell of a matrix or its control, measured once: a fresh server, a fresh load generator, every batch size in turn. */
import { fileURLToPath } from 'node:url';
import { messageOf } from '../../runtime/command/errors.ts';
import { type FoundRuntime, scriptCommand } from '../../runtime/find.ts';
import type { TransportName } from '../../transports/transport.ts';
import { mergeMeasurements } from '../load/merge.ts';
import type { GeneratorEvent, GeneratorPlan, Measurement } from '../load/plan.ts';
import { Child } from './child.ts';
import { withOpenFiles } from './open-files.ts';
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

export interface CellOptions extends OpenOptions {
  /** A phase starts: loading, or a batch size. */
  readonly onPhase: (what: string) => void;
  /** A phase is over. */
  readonly onPhaseEnd: () => void;
}

export interface OpenOptions {
  /** The script of the command. */
  readonly entry: string;
  /** What runs the load generators. */
  readonly generator: FoundRuntime;
  /** How many load generators there are; the connections are shared among them. Default: 1. */
  readonly generators?: number;
  /** Default: the operating system chooses the cores. */
  readonly pinning?: Pinning;
  /** Environment variables of the server alone. */
  readonly serverEnv?: Readonly<Record<string, string>>;
  /** Further flags of `serve`, like `--shards 2`. */
  readonly serverFlags?: readonly string[];
  /** How many files the server and each generator must be able to have open; default: as many as this process. */
  readonly openFiles?: number | undefined;
  readonly plan: Omit<GeneratorPlan, keyof Served | 'index'>;
  readonly signal: AbortSignal;
}

export interface CellResult {
  readonly workload: string;
  readonly loadSeconds: number;
  readonly measurements: readonly Measurement[];
}

/** Rejects with an `Error` when the server or a generator ends early, and when a reply is wrong, missing or an error. */
export async function measureCell(subject: Subject, options: CellOptions): Promise<CellResult> {
  options.onPhase('starting');
  await using server = await startSubject(subject, options);
  return await measureServed(server, options);
}

/** Starts the server of a cell, or its control. Rejects with an `Error` when it does not get ready. */
export async function startSubject(subject: Subject, options: OpenOptions): Promise<Served & AsyncDisposable> {
  const { child, address } = await startChild(subject, options);
  return {
    addresses: [address],
    language: subject.control ? 'echo' : 'ringkv',
    stderr: () => child.stderr,
    [Symbol.asyncDispose]: () => child[Symbol.asyncDispose](),
  };
}

/** Servers that run: where and in which language they are reached, and the end of what they have written on stderr. */
export interface Served extends Pick<GeneratorPlan, 'addresses' | 'language' | 'pids'> {
  readonly stderr: () => string;
}

/** Measures servers that run already. Rejects as `measureCell` does. */
export async function measureServed(served: Served, options: CellOptions): Promise<CellResult> {
  options.onPhase('loading');
  await using load = await OpenLoad.open(served, options);
  options.onPhaseEnd();
  const measurements: Measurement[] = [];
  for (const batch of options.plan.batches) {
    options.onPhase(`batch ${batch}`);
    measurements.push(await load.measureNext());
    options.onPhaseEnd();
  }
  return { workload: load.workload, loadSeconds: load.loadSeconds, measurements };
}

/** Load generators whose servers have their keys. They live until this is disposed of. */
export class OpenLoad implements AsyncDisposable {
  /** Names the sequence of operations. */
  readonly workload: string;
  /** How long it took to store the keys. */
  readonly loadSeconds: number;
  readonly #generators: Generators;
  readonly #served: Served;

  private constructor(generators: Generators, served: Served, loaded: EventNamed<'loaded'>) {
    this.#generators = generators;
    this.#served = served;
    this.workload = loaded.workload;
    this.loadSeconds = loaded.seconds;
  }

  /** Rejects as `measureCell` does. */
  static async open(served: Served, options: OpenOptions): Promise<OpenLoad> {
    const generators = startGenerators(served, options);
    try {
      // The first one stores the keys. The others follow, so that none of them asks for a key that is not there yet.
      const [first] = await generators.next('loaded');
      generators.tell('warm up');
      await generators.next('warm');
      return new OpenLoad(generators, served, first!);
    } catch (error) {
      await generators[Symbol.asyncDispose]();
      throw withStderr(error, served);
    }
  }

  /** Measures the next of the plan's batch sizes. Rejects as `measureCell` does. */
  async measureNext(): Promise<Measurement> {
    try {
      await this.#generators.next('ready');
      this.#generators.tell('go');
      const measured = await this.#generators.next('measured');
      return mergeMeasurements(measured.map(({ measurement }) => measurement));
    } catch (error) {
      throw withStderr(error, this.#served);
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#generators[Symbol.asyncDispose]();
  }
}

function withStderr(error: unknown, { stderr }: Served): Error {
  return new Error(`${messageOf(error)}; the server says: ${stderr()}`, { cause: error });
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

function startGenerators({ stderr: _, ...served }: Served, options: OpenOptions): Generators {
  const { generator, generators = 1, pinning = unpinned, plan, openFiles, signal } = options;
  const script = fileURLToPath(new URL('../load/generator.js', import.meta.url));
  return new Generators(
    Array.from({ length: generators }, (_, index) => {
      const connections = shareOf(plan.connections, index, generators);
      const argument: GeneratorPlan = { ...plan, ...served, connections, index };
      const command = withOpenFiles(scriptCommand(generator, script, [JSON.stringify(argument)]), openFiles);
      return new Child('the load generator', pinning.generator(command, index), signal);
    }),
  );
}

/** How many of `total` things the one at `index` gets of so many that share them: as equal as can be. */
function shareOf(total: number, index: number, sharers: number): number {
  return Math.floor(total / sharers) + (index < total % sharers ? 1 : 0);
}

function startChild({ runtime, transport, control }: Subject, options: OpenOptions): Promise<ServerChild> {
  const { entry, plan, pinning, serverEnv: env, serverFlags: flags, openFiles, signal } = options;
  if (!control) return startServerChild(runtime, entry, transport, { signal, pinning, env, flags, openFiles });
  const longestReply = REPLY_HEAD_BYTES_MAX + Math.max(...plan.batches) * (RESULT_HEAD_BYTES_MAX + plan.valueBytes);
  return startEchoChild(runtime, transport, Math.max(longestReply, ECHO_OUTPUT_BYTES_MIN), { signal, pinning });
}

type EventNamed<Name extends GeneratorEvent['event']> = Extract<GeneratorEvent, { readonly event: Name }>;

async function nextEvent<Name extends GeneratorEvent['event']>(child: Child, name: Name): Promise<EventNamed<Name>> {
  const event = JSON.parse(await child.line()) as GeneratorEvent;
  if (event.event !== name) throw new Error(`the load generator told "${event.event}" instead of "${name}"`);
  return event as EventNamed<Name>;
}
