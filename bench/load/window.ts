/** One measurement: a window of time under load, and what server, generator and operations came to in it. */
import { setTimeout as sleep } from 'node:timers/promises';
import { currentRuntime } from '../../runtime/choose.ts';
import { orFailure } from './load.ts';
import type { Figures, ServerFigures } from './plan.ts';
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
  const { batch } = run.pool;
  await orFailure(run, sleep(window.warmupSeconds * 1000));
  const before = await orFailure(run, snapshot(run, askFigures));
  run.startRecording();
  await orFailure(run, sleep(window.seconds * 1000));
  const after = await orFailure(run, snapshot(run, askFigures));

  const micros = after.atMicros - before.atMicros;
  const operations = (after.framesDone - before.framesDone) * batch;
  if (operations === 0) throw new Error(`no reply to a frame of ${batch} operations within ${window.seconds} s`);
  const opsPerSecond = operations / (micros / 1e6);
  const serverUserMicros = after.cpuUserMicros - before.cpuUserMicros;
  const serverSystemMicros = after.cpuSystemMicros - before.cpuSystemMicros;
  const serverMicros = serverUserMicros + serverSystemMicros;
  const generatorMicros = after.generatorMicros - before.generatorMicros;
  return {
    seconds: micros / 1e6,
    operations,
    opsPerSecond,
    // Each operation brings one value: a GET in its reply, a SET in its request.
    valueBytesPerSecond: opsPerSecond * window.valueBytes,
    serverUserMicrosPerOp: serverUserMicros / operations,
    serverSystemMicrosPerOp: serverSystemMicros / operations,
    serverMicrosPerOp: serverMicros / operations,
    generatorMicrosPerOp: generatorMicros / operations,
    serverCores: serverMicros / micros,
    generatorCores: generatorMicros / micros,
    serverPeakBytes: after.peakResidentBytes,
  };
}

async function snapshot(run: MeasuredRun, askFigures: AskFigures) {
  const figures = await askFigures();
  const { userMicros, systemMicros } = currentRuntime().cpuTime();
  return {
    ...figures,
    atMicros: performance.now() * 1000,
    framesDone: run.framesDone,
    generatorMicros: userMicros + systemMicros,
  };
}
