/** One measurement: a window of time under load, and what server, generator and operations came to in it. */
import { setTimeout as sleep } from 'node:timers/promises';
import { currentRuntime } from '../../runtime/choose.ts';
import { orFailure } from './load.ts';
import type { Figures, ServerFigures, WindowFigures } from './plan.ts';
import type { Pool } from './pool.ts';

/** What asks the servers for their figures; of several servers, they are added up. */
export type AskFigures = () => Promise<ServerFigures>;

/** Load that is under way: a `Run` or a `PacedRun`. */
export interface MeasuredRun {
  readonly pool: Pool;
  readonly finished: Promise<void>;
  readonly framesDone: number;
  startRecording(): void;
}

export interface Window {
  /** Time under the same load before the measurement starts. */
  readonly warmupSeconds: number;
  readonly seconds: number;
  /** Length of every value. */
  readonly valueBytes: number;
}

/**
 * The clock runs from one answer with the server's figures to another, both asked for under load: server, generator and
 * operations are read at the same moments. The run goes on afterwards. Rejects with what goes wrong in it, and when there
 * is no reply in the whole time.
 *
 * The figures are what `getrusage` says of the server process, which counts microseconds of all its threads; /proc/PID/stat
 * counts hundredths of seconds, and schedstat knows neither threads that have ended nor user from system time.
 */
export async function measureWindow(run: MeasuredRun, window: Window, askFigures: AskFigures): Promise<Figures> {
  const moment = (): Promise<Moment> => takeMoment(askFigures, () => run.framesDone * run.pool.batch);
  await orFailure(run, sleep(window.warmupSeconds * 1000));
  const before = await orFailure(run, moment());
  run.startRecording();
  await orFailure(run, sleep(window.seconds * 1000));
  const after = await orFailure(run, moment());

  if (after.operations === before.operations) {
    throw new Error(`no reply to a frame of ${run.pool.batch} operations within ${window.seconds} s`);
  }
  const figures = figuresBetween(before, after);
  // Each operation brings one value: a GET in its reply, a SET in its request.
  return { ...figures, valueBytesPerSecond: figures.opsPerSecond * window.valueBytes };
}

/** What server and generator have come to at a moment, and how many operations were answered by then. */
export interface Moment extends ServerFigures {
  readonly atMicros: number;
  readonly operations: number;
  /** CPU time of this process. */
  readonly generatorMicros: number;
}

/** Asks for the server's figures, and reads the rest when they have come. */
export async function takeMoment(askFigures: AskFigures, operationsDone: () => number): Promise<Moment> {
  const figures = await askFigures();
  const { userMicros, systemMicros } = currentRuntime().cpuTime();
  return {
    ...figures,
    atMicros: performance.now() * 1000,
    operations: operationsDone(),
    generatorMicros: userMicros + systemMicros,
  };
}

/** What was spent on the operations that were answered between the two; there has to be one. */
export function figuresBetween(before: Moment, after: Moment): WindowFigures {
  const micros = after.atMicros - before.atMicros;
  const operations = after.operations - before.operations;
  const serverUserMicros = after.cpuUserMicros - before.cpuUserMicros;
  const serverSystemMicros = after.cpuSystemMicros - before.cpuSystemMicros;
  const serverMicros = serverUserMicros + serverSystemMicros;
  const generatorMicros = after.generatorMicros - before.generatorMicros;
  return {
    seconds: micros / 1e6,
    operations,
    opsPerSecond: operations / (micros / 1e6),
    serverUserMicrosPerOp: serverUserMicros / operations,
    serverSystemMicrosPerOp: serverSystemMicros / operations,
    serverMicrosPerOp: serverMicros / operations,
    generatorMicrosPerOp: generatorMicros / operations,
    serverCores: serverMicros / micros,
    generatorCores: generatorMicros / micros,
    serverPeakBytes: after.peakResidentBytes,
  };
}
