/**
 * The suite `flame`: where a server spends its time under load. Each cell is profiled by its runtime's own profiler, and, where it
 * works, by perf, which sees the kernel as well. A profile becomes two files: one that speedscope opens, and a flame graph.
 *
 * Non-goal: throughput. A profiler costs some of it; `matrix` measures without.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Context } from '../../../runtime/command/cli.ts';
import { CommandError, messageOf } from '../../../runtime/command/errors.ts';
import { scriptCommand } from '../../../runtime/find.ts';
import type { RuntimeName } from '../../../runtime/runtime.ts';
import type { TransportName } from '../../../transports/transport.ts';
import { type ChosenClient, chooseClient } from '../../load/choose-generator.ts';
import type { GeneratorEvent, GeneratorPlan } from '../../load/plan.ts';
import { cellKey, type Dimensions, type Measured, type Report, type ReportCell } from '../../results/report.ts';
import { runSuite } from '../../results/run.ts';
import { type Cell, cellLabel } from '../../servers/cell.ts';
import { Child } from '../../servers/child.ts';
import { selectServers } from '../../servers/select-servers.ts';
import { survey, versionsOf } from '../../servers/survey.ts';
import { perfProblem, perfProfiler } from './perf-profiler.ts';
import { busyMicros, frameLabel, type ThreadProfile, topFrames } from './profile.ts';
import type { ProfiledServer, Profiler, ProfilerName } from './profiler.ts';
import { IncompleteProfileError } from './read-cpuprofile.ts';
import { monotonicMicros, runtimeProfiler } from './runtime-profiler.ts';
import { speedscope } from './write-speedscope.ts';
import { flameSvg } from './write-svg.ts';

export interface FlameFlags {
  readonly [flag: string]: unknown;
  readonly runtimes: readonly RuntimeName[];
  /** Undefined for each runtime's own and `uring`. */
  readonly transports: readonly TransportName[] | undefined;
  /** Undefined for all that work. */
  readonly profilers: readonly ProfilerName[] | undefined;
  readonly batch: number;
  readonly connections: number;
  readonly keys: number;
  readonly valueSize: number;
  readonly rounds: number;
  readonly seconds: number;
  readonly seed: number;
  readonly out: string;
  readonly generator: RuntimeName | undefined;
  readonly clientTransport: TransportName | undefined;
}

export interface FlameOptions {
  readonly flags: FlameFlags;
  /** The file for the JSON; undefined for none. */
  readonly json: string | undefined;
  readonly context: Context;
  readonly signal: AbortSignal;
}

interface FlameSubject extends Cell {
  readonly profiler: Profiler;
  readonly client: ChosenClient;
}

/** A profile that its writer has not completed is taken again, so often in all. */
const ATTEMPTS_MAX = 5;

/** How many functions are told. */
const TOP_FRAMES = 5;

/** Resolves to the exit code. Rejects with a `CommandError` when the folder can't be written, and when a cell fails. */
export async function flame({ flags, json, context, signal }: FlameOptions): Promise<number> {
  try {
    mkdirSync(flags.out, { recursive: true });
  } catch (error) {
    throw new CommandError(`--out ${flags.out}: ${messageOf(error)}`);
  }
  const all = await survey(context, signal);
  const chosen = selectServers(all, flags.runtimes, flags.transports);
  const problem = await perfProblem();
  const asked = flags.profilers ?? ['runtime', 'perf'];
  if (problem !== undefined && flags.profilers?.includes('perf') === true)
    throw new CommandError(`--profilers perf: ${problem}`);
  const profilers = [runtimeProfiler, perfProfiler].filter(
    ({ name }) => asked.includes(name) && (name !== 'perf' || problem === undefined),
  );
  const subjects = chosen.cells.flatMap((cell) =>
    profilers.map((profiler): FlameSubject => {
      return { ...cell, profiler, client: chooseClient(all, cell.transport, flags, 'busy') };
    }),
  );
  const notes = new Map<string, Readonly<Record<string, string>>>();
  const measure = async (subject: FlameSubject): Promise<Measured[]> => {
    for (let attempt = 1; ; attempt++) {
      try {
        return await measureOnce(subject);
      } catch (error) {
        if (!(error instanceof IncompleteProfileError) || attempt === ATTEMPTS_MAX) throw error;
      }
    }
  };
  const measureOnce = async (subject: FlameSubject): Promise<Measured[]> => {
    const folder = mkdtempSync(join(tmpdir(), 'ringkv-flame-'));
    try {
      const server = await subject.profiler.start(subject, { entry: context.entry, folder, signal });
      await using _child = server.child;
      const { threads, opsPerSecond, seconds } = await profileUnderLoad(server, subject, flags, signal);
      const busy = busyMicros(threads);
      // As when the thread that served has written no profile.
      if (busy === 0) throw new IncompleteProfileError('the profiler saw nothing at work');
      const dimensions = dimensionsOf(subject, flags);
      notes.set(cellKey(dimensions), writeFiles(subject, flags, threads, seconds));
      const samples = threads.reduce((sum, one) => sum + one.samples.length, 0);
      return [{ dimensions, figures: { seconds, samples, sampledSeconds: busy / 1e6, opsPerSecond } }];
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  };
  return runSuite<FlameSubject>({
    name: 'flame',
    flags,
    versions: versionsOf(
      all,
      [...chosen.cells, ...subjects.map(({ client }) => client)].map(({ runtime }) => runtime),
    ),
    skipped: [
      ...chosen.skipped,
      ...(problem === undefined || !asked.includes('perf') ? [] : [{ label: 'perf', reason: problem }]),
    ],
    subjects,
    label: (subject) => `${cellLabel(subject.transport, subject.runtime.name)}, by ${profilerLabel(subject)}`,
    measure,
    order: subjects.map((subject) => dimensionsOf(subject, flags)),
    conclude: (cells) => cells.map((cell) => ({ ...cell, notes: notes.get(cellKey(cell.dimensions))! })),
    format: formatFlame,
    json,
    signal,
  });
}

/** The server gets warm, then the window begins and the load with it: only what is in the window is in the profile. */
async function profileUnderLoad(server: ProfiledServer, subject: FlameSubject, flags: FlameFlags, signal: AbortSignal) {
  const { runtime, transport } = subject.client;
  const plan: GeneratorPlan = {
    addresses: [server.address],
    transport,
    language: 'ringkv',
    index: 0,
    connections: flags.connections,
    depth: 1,
    keys: flags.keys,
    valueBytes: flags.valueSize,
    batches: [flags.batch],
    // It is warm by then. What is profiled begins and ends with the load.
    warmupSeconds: 0,
    seconds: flags.seconds,
    seed: flags.seed,
  };
  const script = fileURLToPath(new URL('../../load/generator.js', import.meta.url));
  const generator = new Child('the load generator', scriptCommand(runtime, script, [JSON.stringify(plan)]), signal);
  let opsPerSecond: number;
  let window: { readonly fromMicros: number; readonly toMicros: number };
  {
    await using child = generator;
    await nextEvent(child, 'loaded');
    child.tell('warm up');
    await nextEvent(child, 'warm');
    await nextEvent(child, 'ready');
    await server.begin();
    const fromMicros = monotonicMicros();
    child.tell('go');
    const { measurement } = await nextEvent(child, 'measured');
    window = { fromMicros, toMicros: monotonicMicros() };
    opsPerSecond = measurement.figures.opsPerSecond;
  }
  const threads = await server.end(window);
  return { threads, opsPerSecond, seconds: (window.toMicros - window.fromMicros) / 1e6 };
}

type EventNamed<Name extends GeneratorEvent['event']> = Extract<GeneratorEvent, { readonly event: Name }>;

async function nextEvent<Name extends GeneratorEvent['event']>(child: Child, name: Name): Promise<EventNamed<Name>> {
  const event = JSON.parse(await child.line()) as GeneratorEvent;
  if (event.event !== name) throw new Error(`the load generator told "${event.event}" instead of "${name}"`);
  return event as EventNamed<Name>;
}

/** Writes both files, and tells their names and what is on top. */
function writeFiles(subject: FlameSubject, flags: FlameFlags, threads: readonly ThreadProfile[], seconds: number) {
  const label = cellLabel(subject.transport, subject.runtime.name);
  const title = `ringkv, ${label}, by ${profilerLabel(subject)}`;
  const load = `YCSB-B, batch ${flags.batch}, ${flags.connections} connections, ${seconds.toFixed(1)} s`;
  const busy = threads.filter(({ samples }) => samples.length > 0);
  const base = join(flags.out, `${subject.transport}-on-${subject.runtime.name}.${subject.profiler.name}`);
  const files = { speedscope: `${base}.speedscope.json`, svg: `${base}.svg` };
  writeFileSync(files.speedscope, speedscope(title, busy));
  writeFileSync(files.svg, flameSvg(title, `${load}; width is time, each function with those it called`, busy));
  const top = topFrames(busy, TOP_FRAMES).map(([frame, share]) => `${frameLabel(frame)} ${Math.round(share * 100)} %`);
  return { ...files, top: top.join(', ') };
}

function profilerLabel({ profiler, runtime }: FlameSubject): string {
  return profiler.name === 'perf' ? 'perf' : `${runtime.name}'s profiler`;
}

function dimensionsOf({ runtime, transport, profiler, client }: FlameSubject, flags: FlameFlags): Dimensions {
  return {
    runtime: runtime.name,
    transport,
    profiler: profiler.name,
    batch: flags.batch,
    connections: flags.connections,
    keys: flags.keys,
    valueSize: flags.valueSize,
    clientRuntime: client.runtime.name,
    clientTransport: client.transport,
  };
}

function formatFlame({ cells }: Report): string {
  const told = ({ dimensions, notes }: ReportCell): string =>
    `\n${cellLabel(dimensions.transport!, dimensions.runtime!)}, by ${dimensions.profiler === 'perf' ? 'perf' : "the runtime's profiler"}: ${notes!.top}\n  ${notes!.svg}\n  ${notes!.speedscope}\n`;
  return [
    ...cells.map(told),
    '\nThe share of each function in all samples in which a thread was at work, without what it called. SVG files open in any browser,\n',
    'the others at speedscope.app, which keeps them on your machine.\n',
  ].join('');
}
