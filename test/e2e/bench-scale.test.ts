/** The suite `scale` as a user runs it, small: every server works, figures add up, and crowded cells are marked. */
import { mkdtempSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { whyNoLoopback } from '../../bench/load/loopback.ts';
import { readReport } from '../../bench/results/validate.ts';
import type { ScaleReport } from '../../bench/suites/scale/scale.ts';
import { run } from '../support/command.ts';

const folder = mkdtempSync(join(tmpdir(), 'ringkv-scale-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test('scale measures servers × load generators', { timeout: 180_000 }, async () => {
  const file = join(folder, 'scale.json');
  const cell = ['--runtimes', 'node', '--transports', 'node', '--generator', 'node', '--keys', '1000'];
  const sizes = ['--servers', '1,2', '--generators', '1,2', '--connections', '4', '--rounds', '1', '--seconds', '0.3'];
  const { code, stdout, stderr } = await run(['bench', 'scale', ...cell, ...sizes, '--batch', '16', '--json', file]);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });

  const report = readReport(file) as ScaleReport;
  const order = report.cells.map(({ dimensions: { servers, generators } }) => [servers, generators]);
  expect(order).toEqual([1, 2].flatMap((servers) => [1, 2].map((generators) => [servers, generators])));
  const single = report.cells[0]!.figures;
  for (const { dimensions, figures, notes } of report.cells) {
    const of = (name: string): number => figures[name]!.median;
    const { servers = 0, generators = 0 } = dimensions;
    expect(of('opsPerServerCoreSecond') * of('serverCores')).toBeCloseTo(of('opsPerSecond'), 0);
    expect(of('opsPerCoreSecond') * (of('serverCores') + of('generatorCores'))).toBeCloseTo(of('opsPerSecond'), 0);
    expect(Number(notes!.efficiency)).toBeCloseTo(of('opsPerSecond') / (servers * single.opsPerSecond!.median), 2);
    expect(notes!.cores !== undefined).toBe(servers + generators > availableParallelism());
    // A process of Node has more than this.
    expect(of('serverPeakBytes')).toBeGreaterThan(servers * 20 * 2 ** 20);
    if (whyNoLoopback() !== undefined) continue;
    // A GET sends 19 bytes and gets its value of 100: so much goes over the wire in any case.
    expect(of('loopbackBytesPerOp')).toBeGreaterThan(100);
  }
  expect(stdout).toMatch(/^node on node, servers × load generators$/m);
  expect(stdout).toMatch(/^2 × 2 /m);
});

test('each generator needs a connection to each server', async () => {
  const { code, stdout, stderr } = await run(['bench', 'scale', '--connections', '15']);
  expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
  expect(stderr).toMatch(/--connections 15: expected at least 16, one of each generator to each server/);
});
