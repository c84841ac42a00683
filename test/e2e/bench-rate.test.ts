/** The suite `rate` as a user runs it, small: rates are kept, latencies grow, and what is too much is called so. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test, vi } from 'vitest';
import { readReport } from '../../bench/results/validate.ts';
import type { RateReport } from '../../bench/suites/rate/rate.ts';
import { run } from '../support/command.ts';

vi.setConfig({ testTimeout: 180_000 });

const folder = mkdtempSync(join(tmpdir(), 'ringkv-rate-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const CELL = ['--runtimes', 'node', '--transports', 'node', '--generator', 'node', '--keys', '2000'];

async function measure(name: string, args: readonly string[]) {
  const file = join(folder, `${name}.json`);
  const { code, stdout, stderr } = await run(['bench', 'rate', ...CELL, ...args, '--json', file]);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  return { stdout, report: readReport(file) as RateReport };
}

test('rates that are asked for are measured, and one that is too high is saturated', async () => {
  const sizes = ['--connections', '4', '--batches', '1,16', '--rounds', '1', '--seconds', '0.4', '--limit-ms', '10000'];
  const { stdout, report } = await measure('asked', [...sizes, '--rates', '50000000,500']);
  expect(report.workload).toMatch(/^[0-9a-f]{16}$/);
  const order = report.cells.map(({ dimensions: { batch, rate, phase } }) => [batch, phase ?? rate]);
  expect(order).toEqual([1, 16].flatMap((batch) => [null, 500, 5e7, 'highest'].map((rate) => [batch, rate])));
  for (const { dimensions, figures, percentiles } of report.rounds) {
    const { rate, phase, depth } = dimensions;
    expect(depth).toBe(rate === null ? 1 : 16);
    // The lower one meets a limit of ten seconds, the higher one is saturated. So short a measurement is off by a tenth when the
    // machine stalls for some milliseconds, and then nothing counts as kept; bench-rate-ladder.test.ts has the rule.
    if (phase === 'highest') {
      expect(figures).toEqual({ highestOpsPerSecond: expect.toBeOneOf([0, 500]) });
      continue;
    }
    expect(figures.opsPerSecond).toBeGreaterThan(0);
    expect(figures.serverMicrosPerOp).toBeGreaterThan(0);
    expect(percentiles!.p99Micros).toBeGreaterThanOrEqual(percentiles!.p50Micros);
    if (rate === null) expect(figures.generatorCores).toBeGreaterThan(0);
    else expect(figures.lateP99Micros).toBeGreaterThan(0);
    if (rate === 500) expect(figures.opsPerSecond).toBeLessThan(2500);
  }
  const tooHigh = report.cells.filter(({ dimensions }) => dimensions.rate === 5e7);
  for (const { notes, percentiles } of tooHigh) {
    expect(notes!.limit).toMatch(/^(server|generator)$/);
    // Almost nothing of what was due is answered: what waits counts with all the time it has waited.
    expect(percentiles!.p50Micros).toBeGreaterThan(100_000);
  }
  expect(stdout).toMatch(/^batch 1, node on node$/m);
  expect(stdout).toMatch(/^50\.0 M\/s (saturated|generator) /m);
  expect(stdout).toMatch(/^batch 16, the highest rates$/m);
});

test('the ladder climbs from a fraction of the closed loop to saturation', async () => {
  const sizes = ['--connections', '2', '--batches', '64', '--rounds', '1', '--seconds', '0.1', '--limit-ms', '10000'];
  const { report } = await measure('ladder', sizes);
  const rates = report.rounds.flatMap(({ dimensions: { rate } }) => rate ?? []);
  const closed = report.rounds.find(({ dimensions }) => dimensions.rate === null)!.figures.opsPerSecond!;
  expect(Math.min(...rates)).toBeLessThanOrEqual(closed / 20);
  expect(Math.max(...rates)).toBeGreaterThan(Math.min(...rates) * 2);
  const highest = report.cells.at(-1)!;
  expect(highest.dimensions.phase).toBe('highest');
  expect([0, ...rates]).toContain(highest.figures.highestOpsPerSecond!.median);
});

test('a rate that makes no sense is refused before anything is measured', async () => {
  const { code, stdout, stderr } = await run(['bench', 'rate', '--rates', '1000,0']);
  expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
  expect(stderr).toMatch(/--rates 1000,0: expected a whole number from 1 to 1000000000/);
});
