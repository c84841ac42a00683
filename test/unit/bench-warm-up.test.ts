/** Nothing is measured on a process that is too young, and nothing waits for ever for it to get older. */
import { expect, test } from 'vitest';
import { WARMUP_FRAMES_MIN, WARMUP_SECONDS_MAX, warmUp } from '../../bench/load/warm-up.ts';

/** A load whose run has so many more replies each time it is looked at. */
function loadOf(framesPerLook: number, failure?: Error) {
  const seen = { framesDone: 0, stopped: false };
  const run = {
    pool: {} as never,
    finished: failure === undefined ? new Promise<void>(() => {}) : Promise.reject(failure),
    get framesDone() {
      seen.framesDone += framesPerLook;
      return seen.framesDone;
    },
    startRecording() {},
    stop() {
      seen.stopped = true;
      run.finished = Promise.resolve();
    },
  };
  run.finished.catch(() => {});
  return { seen, load: { endless: () => run } };
}

test('a warm-up ends when as many frames are answered as it takes, and stops its run', async () => {
  const { load, seen } = loadOf(WARMUP_FRAMES_MIN / 4);
  await warmUp(load, undefined);
  expect(seen).toEqual({ framesDone: WARMUP_FRAMES_MIN, stopped: true });
});

test('of several servers each gets as many', async () => {
  const { load, seen } = loadOf(WARMUP_FRAMES_MIN);
  await warmUp(load, undefined, 4);
  expect(seen).toEqual({ framesDone: 4 * WARMUP_FRAMES_MIN, stopped: true });
});

test('a warm-up whose frames take long ends after its time', async () => {
  const { load, seen } = loadOf(1);
  const startMs = performance.now();
  await warmUp(load, undefined);
  const seconds = (performance.now() - startMs) / 1000;
  expect(seconds).toBeGreaterThan(WARMUP_SECONDS_MAX * 0.9);
  expect(seconds).toBeLessThan(WARMUP_SECONDS_MAX * 3);
  expect(seen.stopped).toBe(true);
});

test('a warm-up fails with its run', async () => {
  const { load } = loadOf(0, new Error('a wrong reply'));
  await expect(warmUp(load, undefined)).rejects.toThrow('a wrong reply');
});
