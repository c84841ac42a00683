/** The suite `flame` as a user runs it, small: the profile has the thread that does the work, and the files can be opened. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { readReport } from '../../bench/results/validate.ts';
import { runtimes } from '../support/children.ts';
import { run } from '../support/command.ts';

const folder = mkdtempSync(join(tmpdir(), 'ringkv-flame-test-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test.each(runtimes().map(({ name }) => name))(
  'flame profiles the servers of %s',
  { timeout: 300_000 },
  async (runtime) => {
    const file = join(folder, `${runtime}.json`);
    const args = [
      '--runtimes',
      runtime,
      '--profilers',
      'runtime',
      '--seconds',
      '0.5',
      '--keys',
      '1000',
      '--connections',
      '4',
    ];
    const { code, stdout, stderr } = await run([
      'bench',
      'flame',
      ...args,
      '--out',
      join(folder, runtime),
      '--json',
      file,
    ]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const report = readReport(file);
    const ring = report.skipped.some(({ label }) => label === `uring on ${runtime}`) ? [] : ['uring'];
    expect(report.cells.map(({ dimensions }) => dimensions.transport).sort()).toEqual([runtime, ...ring].sort());
    for (const { dimensions, figures, notes } of report.cells) {
      expect(figures.samples!.median).toBeGreaterThan(0);
      expect(figures.sampledSeconds!.median).toBeGreaterThan(0);
      expect(stdout).toContain(`${dimensions.transport} on ${runtime}, by the runtime's profiler: ${notes!.top}`);
      const { shared, profiles } = JSON.parse(readFileSync(notes!.speedscope!, 'utf8'));
      expect(profiles.length).toBeGreaterThan(0);
      // The ring's work is in a thread of its own, which no other profile of the process has functions of.
      if (dimensions.transport === 'uring') {
        const files = shared.frames.map(({ file = '' }: { readonly file?: string }) => basename(dirname(file)));
        expect({ profiles: profiles.map(({ name }: { readonly name: string }) => name), files }).toMatchObject({
          files: expect.arrayContaining(['uring']),
        });
      }
      const svg = readFileSync(notes!.svg!, 'utf8');
      expect(svg).toMatch(/^<svg xmlns/);
      expect(svg.trimEnd()).toMatch(/<\/svg>$/);
    }
  },
);

test('flame says what it can not do before it measures', async () => {
  const nowhere = await run(['bench', 'flame', '--out', '/dev/null/x']);
  expect(nowhere).toMatchObject({ code: 1, stdout: '' });
  expect(nowhere.stderr).toMatch(/--out \/dev\/null\/x: ENOTDIR/);
  const unknown = await run(['bench', 'flame', '--profilers', 'gprof']);
  expect(unknown).toMatchObject({ code: 2, stdout: '' });
  expect(unknown.stderr).toMatch(/--profilers gprof: expected runtime or perf/);
});
