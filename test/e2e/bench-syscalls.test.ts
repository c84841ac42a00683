/** The suite `syscalls` as a user runs it, small: what is counted is what these operations take, no more and no less. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { readReport } from '../../bench/results/validate.ts';
import { perfTracer } from '../../bench/suites/syscalls/perf-tracer.ts';
import { straceTracer } from '../../bench/suites/syscalls/strace-tracer.ts';
import type { SyscallsReport } from '../../bench/suites/syscalls/syscalls.ts';
import { run } from '../support/command.ts';

const folder = mkdtempSync(join(tmpdir(), 'ringkv-syscalls-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const OPERATIONS = 1000;

const tracers = { perf: await perfTracer(), strace: await straceTracer() };

describe.each(['perf', 'strace'] as const)('counted by %s', (tool) => {
  const tracer = tracers[tool];
  const reason = 'problem' in tracer ? ` (skipped: ${tool} ${tracer.problem})` : '';

  test.skipIf(reason !== '')(`syscalls tells what each operation takes${reason}`, { timeout: 180_000 }, async () => {
    const file = join(folder, `${tool}.json`);
    const sizes = ['--operations', `200,${OPERATIONS}`, '--keys', '500', '--orders', 'random,sequential'];
    const cells = ['--runtimes', 'node', '--transports', 'node,uring', '--generator', 'node', '--rounds', '1'];
    const { code, stdout, stderr } = await run([
      'bench',
      'syscalls',
      '--tool',
      tool,
      ...cells,
      ...sizes,
      '--json',
      file,
    ]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });

    const report = readReport(file) as SyscallsReport;
    expect(report).toMatchObject({ suite: 'syscalls', tool, flags: { operations: [200, OPERATIONS], keys: 500 } });
    expect(report.versions[tool]).toMatch(/^\d/);
    const transports = ['node', 'uring'].filter(
      (name) => !report.skipped.some(({ label }) => label === `${name} on node`),
    );
    expect(report.rounds).toHaveLength(transports.length * 2 * 2);
    for (const { dimensions, figures } of report.rounds) {
      const { transport, operations } = dimensions;
      const perOp = (name: string): number => figures[`serverCallsPerOp.${name}`]!;
      expect(figures.elapsedMicrosPerOp! * operations!).toBeCloseTo(figures.elapsedMicros!, 3);
      expect(figures.serverMicrosPerOp).toBeGreaterThan(0);
      expect(figures.tracedSlowdown).toBeGreaterThan(0);
      expect(perOp('read') * operations!).toBeCloseTo(figures['serverCalls.read']!, 6);
      const named = Object.entries(figures).filter(([name]) => name.startsWith('serverCalls.'));
      expect(named.reduce((sum, [, calls]) => sum + calls, 0)).toBe(figures.serverCalls);
      // One connection with one operation in flight: the server waits for each.
      expect(figures.voluntarySwitchesPerOp! + figures.involuntarySwitchesPerOp!).toBeGreaterThan(0);
      if (transport === 'node') {
        for (const name of ['read', 'write']) {
          expect(perOp(name)).toBeGreaterThanOrEqual(1);
          expect(perOp(name)).toBeLessThan(1.1);
        }
        expect(perOp('io_uring_enter')).toBe(0);
      } else {
        // The ring: one call hands over the reply and waits for what comes next. More are time-outs, two a second.
        expect(perOp('io_uring_enter')).toBeGreaterThan(0.9);
        expect(perOp('io_uring_enter')).toBeLessThan(1.2);
        for (const name of ['recvfrom', 'recvmsg', 'sendto', 'sendmsg']) expect(perOp(name)).toBe(0);
        expect(perOp('read') + perOp('write')).toBeLessThan(0.2);
      }
      expect(figures['clientCallsPerOp.write']).toBeGreaterThanOrEqual(1);
    }
    expect(stdout).toContain(`\n${OPERATIONS} operations, sequential, 1 connection\n`);
    expect(stdout).toMatch(/^node on node +[\d.]+/m);
    expect(stdout).toMatch(new RegExp(`in a second run, by ${tool}, in which operations took [\\d.]+`));
  });
});

test('syscalls refuses what makes no sense before anything is measured', async () => {
  const refusals: readonly [args: readonly string[], message: RegExp][] = [
    [['--operations', '0'], /--operations 0: expected a whole number from 1/],
    [['--orders', 'zipf'], /--orders zipf: expected random or sequential/],
    [['--tool', 'gdb'], /--tool gdb: expected perf or strace/],
  ];
  for (const [args, message] of refusals) {
    const outcome = await run(['bench', 'syscalls', ...args]);
    expect(outcome).toMatchObject({ code: 2, stdout: '' });
    expect(outcome.stderr).toMatch(message);
  }
  const nothing = await run(['bench', 'syscalls'], { env: { PATH: folder } });
  expect(nothing).toMatchObject({ code: 2, stdout: '' });
  expect(nothing.stderr).toMatch(/perf: is not here; .*linux-perf; strace: is not here; .*strace/);
});
