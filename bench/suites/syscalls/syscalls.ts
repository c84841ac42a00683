/**
 * The suite `syscalls`: what the kernel is asked for by so many operations, in each runtime and transport: how often which
 * system call, how often a thread waited, and what it costs in time.
 *
 * Every run of operations is done twice on the same processes: once to be timed, with nothing attached, and once to be
 * counted. A tracer slows a process down, so times are never taken under it; how much longer the counted run took is told.
 *
 * Non-goal: throughput. Operations come one in a frame; `matrix` has batches.
 */
import { fileURLToPath } from 'node:url';
import type { Context } from '../../../runtime/command/cli.ts';
import { scriptCommand } from '../../../runtime/find.ts';
import type { RuntimeName } from '../../../runtime/runtime.ts';
import type { TransportName } from '../../../transports/transport.ts';
import { type ChosenClient, chooseClient } from '../../load/choose-generator.ts';
import type { Dimensions, Measured, Report } from '../../results/report.ts';
import { runSuite, type Step } from '../../results/run.ts';
import { type Cell, cellLabel } from '../../servers/cell.ts';
import { Child } from '../../servers/child.ts';
import { pinned, unpinned } from '../../servers/pinning.ts';
import { startServerChild } from '../../servers/server.ts';
import { selectCells, survey, versionsOf } from '../../servers/survey.ts';
import { chooseTracer } from './choose-tracer.ts';
import type { Done, Order, RunOrder, SyscallsEvent, SyscallsPlan } from './plan.ts';
import { switchesOf } from './switches.ts';
import { formatSyscalls } from './syscalls-table.ts';
import { attachAll, type Counts, type Tracer, type TracerName } from './tracer.ts';

export interface SyscallsFlags {
  readonly [flag: string]: unknown;
  readonly runtimes: readonly RuntimeName[];
  readonly transports: readonly TransportName[];
  readonly operations: readonly number[];
  readonly orders: readonly Order[];
  readonly connections: readonly number[];
  readonly keys: number;
  readonly valueSize: number;
  /** What counts; undefined for the one that disturbs least. */
  readonly tool: TracerName | undefined;
  readonly rounds: number;
  readonly seed: number;
  readonly generator: RuntimeName | undefined;
  readonly clientTransport: TransportName | undefined;
  readonly pin: boolean;
}

/** What this suite's JSON has besides. */
export interface SyscallsOwn {
  /** What counted. */
  readonly tool: TracerName;
}

export type SyscallsReport = Report & SyscallsOwn;

export interface SyscallsOptions {
  readonly flags: SyscallsFlags;
  /** The file for the JSON; undefined for none. */
  readonly json: string | undefined;
  readonly context: Context;
  readonly signal: AbortSignal;
}

/** One server, and the client that asks it. All runs of operations are measured on the same processes. */
interface SyscallsSubject extends Cell {
  readonly connections: number;
  readonly client: ChosenClient;
}

/** Resolves to the exit code. Rejects with a `CommandError` when nothing can count, and when a cell fails. */
export async function syscalls({ flags, json, context, signal }: SyscallsOptions): Promise<number> {
  const tracer = await chooseTracer(flags.tool);
  const pinning = flags.pin ? pinned() : unpinned;
  const all = await survey(context, signal);
  const chosen = selectCells(all, flags.runtimes, flags.transports);
  const subjects = chosen.cells.flatMap((cell) =>
    flags.connections.map((connections): SyscallsSubject => {
      return { ...cell, connections, client: chooseClient(all, cell.transport, flags, 'timed') };
    }),
  );
  const runs = flags.orders.flatMap((order) => flags.operations.map((operations) => ({ order, operations })));
  const measure = async (subject: SyscallsSubject, step: Step): Promise<Measured[]> => {
    const { runtime, transport, client, connections } = subject;
    step.onPhase('loading');
    const server = await startServerChild(runtime, context.entry, transport, { signal, pinning });
    await using serverChild = server.child;
    const plan: SyscallsPlan = {
      address: server.address,
      transport: client.transport,
      connections,
      keys: flags.keys,
      valueBytes: flags.valueSize,
      seed: flags.seed,
    };
    const script = fileURLToPath(new URL('./syscalls-process.js', import.meta.url));
    const command = scriptCommand(client.runtime, script, [JSON.stringify(plan)]);
    await using clientChild = new Child('the client', pinning.generator(command), signal);
    await nextEvent(clientChild, 'loaded');
    step.onPhaseEnd();
    const measured: Measured[] = [];
    for (const run of runs) {
      step.onPhase(`${run.operations} operations, ${run.order}`);
      const timed = await timeRun(run, serverChild, clientChild);
      const counted = await countRun(run, serverChild, clientChild, tracer, signal);
      measured.push({ dimensions: dimensionsOf(subject, run), figures: figuresOf(run.operations, timed, counted) });
      step.onPhaseEnd();
    }
    return measured;
  };
  return runSuite<SyscallsSubject, SyscallsOwn>({
    name: 'syscalls',
    flags,
    versions: {
      ...versionsOf(
        all,
        [...chosen.cells, ...subjects.map(({ client }) => client)].map(({ runtime }) => runtime),
      ),
      [tracer.name]: tracer.version,
    },
    skipped: chosen.skipped,
    subjects,
    label: ({ transport, runtime, connections }) =>
      `${cellLabel(transport, runtime.name)}, ${connections} connection${connections === 1 ? '' : 's'}`,
    phases: 1 + runs.length,
    measure,
    order: runs.flatMap((run) => subjects.map((subject) => dimensionsOf(subject, run))),
    own: () => ({ tool: tracer.name }),
    format: (report) => formatSyscalls(report, flags),
    json,
    signal,
  });
}

type Run = Pick<RunOrder, 'operations' | 'order'>;

interface Timed extends Done {
  readonly voluntarySwitches: number;
  readonly involuntarySwitches: number;
}

/** With nothing attached. */
async function timeRun(run: Run, server: Child, client: Child): Promise<Timed> {
  await prepare(client, { ...run, asksFigures: true });
  const before = switchesOf(server.pid);
  const done = await start(client);
  const after = switchesOf(server.pid);
  return {
    ...done,
    voluntarySwitches: after.voluntary - before.voluntary,
    involuntarySwitches: after.involuntary - before.involuntary,
  };
}

interface Counted {
  readonly elapsedMicros: number;
  readonly server: Counts;
  readonly client: Counts;
}

/** With a tracer on either side, from just before the first operation to just after the last. */
async function countRun(run: Run, server: Child, client: Child, tracer: Tracer, signal: AbortSignal): Promise<Counted> {
  await prepare(client, { ...run, asksFigures: false });
  await using tracings = await attachAll(tracer, [server.pid, client.pid], signal);
  const { elapsedMicros } = await start(client);
  const [serverCounts, clientCounts] = await tracings.stop();
  return { elapsedMicros, server: serverCounts!, client: clientCounts! };
}

async function prepare(client: Child, order: RunOrder): Promise<void> {
  client.tell(JSON.stringify(order));
  await nextEvent(client, 'ready');
}

async function start(client: Child): Promise<Done> {
  client.tell('go');
  return (await nextEvent(client, 'done')).done;
}

type EventNamed<Name extends SyscallsEvent['event']> = Extract<SyscallsEvent, { readonly event: Name }>;

async function nextEvent<Name extends SyscallsEvent['event']>(child: Child, name: Name): Promise<EventNamed<Name>> {
  const event = JSON.parse(await child.line()) as SyscallsEvent;
  if (event.event !== name) throw new Error(`the client told "${event.event}" instead of "${name}"`);
  return event as EventNamed<Name>;
}

function figuresOf(operations: number, timed: Timed, counted: Counted): Measured['figures'] {
  const server = timed.server!;
  return {
    elapsedMicros: timed.elapsedMicros,
    elapsedMicrosPerOp: timed.elapsedMicros / operations,
    serverUserMicros: server.userMicros,
    serverSystemMicros: server.systemMicros,
    serverUserMicrosPerOp: server.userMicros / operations,
    serverSystemMicrosPerOp: server.systemMicros / operations,
    serverMicrosPerOp: (server.userMicros + server.systemMicros) / operations,
    generatorMicrosPerOp: (timed.client.userMicros + timed.client.systemMicros) / operations,
    voluntarySwitchesPerOp: timed.voluntarySwitches / operations,
    involuntarySwitchesPerOp: timed.involuntarySwitches / operations,
    // How much longer it took while it was counted: what the tracer costs.
    tracedSlowdown: counted.elapsedMicros / timed.elapsedMicros,
    ...callFigures('server', counted.server, operations),
    ...callFigures('client', counted.client, operations),
  };
}

/** All calls together, then each by its name: `serverCalls`, `serverCalls.read`, and the same per operation. */
function callFigures(side: 'server' | 'client', counts: Counts, operations: number): Measured['figures'] {
  const names = Object.keys(counts);
  const total = names.reduce((sum, name) => sum + counts[name]!, 0);
  return Object.fromEntries([
    [`${side}Calls`, total],
    [`${side}CallsPerOp`, total / operations],
    ...names.map((name) => [`${side}Calls.${name}`, counts[name]!] as const),
    ...names.map((name) => [`${side}CallsPerOp.${name}`, counts[name]! / operations] as const),
  ]);
}

function dimensionsOf(subject: SyscallsSubject, run: Run): Dimensions {
  const { runtime, transport, connections, client } = subject;
  return {
    runtime: runtime.name,
    transport,
    connections,
    clientRuntime: client.runtime.name,
    clientTransport: client.transport,
    order: run.order,
    operations: run.operations,
  };
}
