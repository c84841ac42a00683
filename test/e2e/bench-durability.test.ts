/** `bench durability` as a user runs it, small. That it sees a loss is shown by a server that keeps nothing. */
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { readReport } from '../../bench/results/validate.ts';
import { run } from '../support/command.ts';
import { temporaryDirectory } from '../support/data.ts';

const folder = temporaryDirectory();

test('durability kills servers, tells what is left of their writes, and finds every promise kept', {
  timeout: 120_000,
}, async () => {
  const file = join(folder, 'durability.json');
  const cell = ['--runtimes', 'node', '--transports', 'node', '--policies', 'always,everysec,none'];
  const { code, stdout, stderr } = await run([
    'bench',
    'durability',
    ...cell,
    ...['--writes', '500', '--tests', '2', '--json', file],
  ]);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  const { rounds } = readReport(file);
  expect(rounds.map(({ dimensions }) => dimensions.fsync).sort()).toEqual([
    'always',
    'always',
    'everysec',
    'everysec',
    'none',
    'none',
  ]);
  for (const { dimensions, figures } of rounds) {
    const { acknowledged, persisted, lost, lossRate, writtenMillis, lostSpanMillis } = figures;
    expect(acknowledged).toBeGreaterThan(0);
    expect([persisted, lost, lossRate]).toEqual(
      dimensions.fsync === 'none' ? [0, acknowledged, 1] : [acknowledged, 0, 0],
    );
    expect(lostSpanMillis).toBe(dimensions.fsync === 'none' ? writtenMillis : 0);
  }
  expect(stdout).toMatch(/^2 tests each of up to 500 writes, ended by SIGKILL at a random one$/m);
  expect(stdout).toMatch(/^node on node, none +\d+ +0 +\d+ +100\.00 % /m);
  expect(stdout).toMatch(/^Every promise was kept\.$/m);
});
