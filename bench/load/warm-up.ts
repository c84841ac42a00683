/**
 * A young process runs code that no compiler has optimized yet, and a short measurement would show that. So the first one of a
 * server is preceded by as many frames as it takes for the compilers of both sides to be done, however short it is itself.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { orFailure } from './load.ts';
import type { MeasuredRun } from './window.ts';

/** So many frames have to be answered, by each server. */
export const WARMUP_FRAMES_MIN = 20_000;

/** Where frames take long, it ends after this: then they are long too, and what is compiled is little of what they cost. */
export const WARMUP_SECONDS_MAX = 3;

const LOOK_EVERY_MS = 5;

/** What can be sent without an end. */
interface ClosedLoad<Pools> {
  endless(pools: Pools): MeasuredRun & { stop(): void };
}

/**
 * Sends frames in a closed loop until that is enough for so many servers, which share them evenly. Rejects as the run's `finished`
 * does.
 */
export async function warmUp<Pools>(load: ClosedLoad<Pools>, pools: Pools, servers = 1): Promise<void> {
  const run = load.endless(pools);
  await orFailure(
    run,
    untilWarm(() => run.framesDone, servers),
  );
  run.stop();
  await run.finished;
}

/** Waits until as many frames are answered as it takes, or too much time has passed. */
export async function untilWarm(framesDone: () => number, servers = 1): Promise<void> {
  const endMs = performance.now() + WARMUP_SECONDS_MAX * 1000;
  const frames = WARMUP_FRAMES_MIN * servers;
  while (framesDone() < frames && performance.now() < endMs) await sleep(LOOK_EVERY_MS);
}
