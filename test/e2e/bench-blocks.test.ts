/** The suite `blocks` as a user runs it, small: every length from every client, its controls, and what it is bound by. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { readReport } from '../../bench/results/validate.ts';
import { PART_NAMES } from '../../bench/suites/blocks/conclude.ts';
import { run } from '../support/command.ts';

const folder = mkdtempSync(join(tmpdir(), 'ringkv-blocks-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test('blocks tells of every length how fast it is, and what that is bound by', { timeout: 180_000 }, async () => {
  const file = join(folder, 'blocks.json');
  const args = ['--runtimes', 'node', '--transports', 'node', '--generator', 'node', '--client-transports', 'node'];
  const sizes = ['--sizes', '100,4m', '--keys', '2', '--rounds', '1', '--seconds', '0.3', '--json', file];
  const { code, stdout, stderr } = await run(['bench', 'blocks', ...args, ...sizes]);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });

  const report = readReport(file);
  const keysOf = (control: boolean): string[] =>
    report.cells
      .filter(({ dimensions }) => dimensions.control === control)
      .map(({ dimensions }) => `${dimensions.workload} ${dimensions.valueSize}`);
  expect(keysOf(false).sort()).toEqual(['get 100', 'get 4194304', 'set 100', 'set 4194304']);
  expect(keysOf(true).sort()).toEqual(['get 1', 'get 100', 'get 4194304', 'set 1', 'set 100', 'set 4194304']);
  for (const { dimensions, figures, percentiles } of report.rounds) {
    const { operations, opsPerSecond, seconds, sendMeanMicros, sendDeviationMicros } = figures;
    expect(opsPerSecond).toBeCloseTo(operations! / seconds!, 5);
    expect(figures.valueBytesPerSecond).toBeCloseTo(opsPerSecond! * dimensions.valueSize!, 0);
    // One at a time: an operation takes no longer than there are seconds for all of them, and no less than the CPU time of none.
    expect(sendMeanMicros).toBeGreaterThan(0);
    expect(sendMeanMicros).toBeLessThanOrEqual(percentiles!.maxMicros * 1.01);
    expect(sendDeviationMicros).toBeGreaterThanOrEqual(0);
    expect(figures.serverMicrosPerOp).toBeCloseTo(figures.serverUserMicrosPerOp! + figures.serverSystemMicrosPerOp!, 6);
    expect(figures.copyBytesPerSecond).toBeGreaterThan(1e6);
  }
  for (const { dimensions, notes } of report.cells) {
    if (dimensions.control === true) continue;
    expect(Object.values(PART_NAMES)).toContain(notes!.bound);
    expect(notes!.attribution).toMatch(/^bound by .*; [\d.]+ GB\/s of the bare echo's [\d.]+ \(\d+ %\)/);
  }
  expect(stdout).toMatch(/^get of 4m$/m);
  expect(stdout).toMatch(/^node on node < node on node +≥? ?[\d.]+/m);
});

test('blocks refuses what makes no sense before anything is measured', async () => {
  for (const [args, message] of [
    [['--sizes', '5m'], /--sizes 5m: expected a size from 1 to 4m/],
    [['--operations', 'del'], /--operations del: expected set or get/],
    [['--keys', '65'], /--keys 65: expected a whole number from 1 to 64/],
  ] as const) {
    const outcome = await run(['bench', 'blocks', ...args]);
    expect(outcome).toMatchObject({ code: 2, stdout: '' });
    expect(outcome.stderr).toMatch(message);
  }
});
