/** The thread of a shard under Bun with JavaScriptCore's sampling profiler, whose samples it writes when it is told to close. */
import { writeFileSync } from 'node:fs';
import process from 'node:process';
import { parentPort } from 'node:worker_threads';
import type { ShardOrder } from '../../../runtime/shard-thread.ts';
import { PROFILE_VARIABLE } from './bun-shard-file.ts';

/** Unit: microseconds. */
const INTERVAL_MICROS = 1000;

interface Jsc {
  startSamplingProfiler(directory?: string, intervalMicros?: number): void;
  samplingProfilerStackTraces(): unknown;
}

const module: string = 'bun:jsc';
const jsc = (await import(module)) as Jsc;
jsc.startSamplingProfiler(undefined, INTERVAL_MICROS);
// Before the shard hears of it: once it has closed, the thread is ended.
parentPort!.on('message', ({ kind }: ShardOrder) => {
  if (kind === 'close')
    writeFileSync(process.env[PROFILE_VARIABLE]!, JSON.stringify(jsc.samplingProfilerStackTraces()));
});
await import('../../../runtime/shard-worker.ts');
