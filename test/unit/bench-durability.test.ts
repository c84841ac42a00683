/** When the suite `durability` says that a promise was broken, and what the suite `log` keeps out of its figures. */
import { expect, test } from 'vitest';
import { brokenPromises } from '../../bench/suites/durability/durability.ts';
import type { Death, Policy } from '../../bench/suites/durability/trial.ts';
import { logFlags } from '../../bench/suites/log/log.ts';
import { size } from '../../runtime/command/flags.ts';

function broken(policy: Policy, death: Death, acknowledged: number, lost: number, lostSpanMillis = 0): string[] {
  const dimensions = { runtime: 'node', transport: 'node', fsync: policy };
  const figures = { acknowledged, lost, lostSpanMillis };
  return brokenPromises({ rounds: [{ round: 1, dimensions, figures }], cells: [{ dimensions, figures: {} }] }, death);
}

test.each<Policy>(['always', 'everysec', 'no'])('%s must lose nothing to a kill', (policy) => {
  expect(broken(policy, 'kill', 100, 0)).toEqual([]);
  expect(broken(policy, 'kill', 100, 1, 3)).toEqual([
    `node on node, ${policy}, test 1: 1 acknowledged writes are lost, the first of them 3 ms old`,
  ]);
});

test('a loss of power may take nothing of always, 1.1 s of everysec, and all of no', () => {
  expect(broken('always', 'power-loss', 100, 1, 0)).toHaveLength(1);
  expect(broken('everysec', 'power-loss', 100, 50, 1100)).toEqual([]);
  expect(broken('everysec', 'power-loss', 100, 50, 1101)).toHaveLength(1);
  expect(broken('no', 'power-loss', 100, 100, 60_000)).toEqual([]);
});

test('a server without a log must lose all, or the test has looked at something else', () => {
  expect(broken('none', 'kill', 100, 100, 5000)).toEqual([]);
  expect(broken('none', 'kill', 100, 99, 5000)).toEqual([
    'node on node, none, test 1: 1 writes are there although nothing kept them',
  ]);
});

test('log has no snapshot made in the middle of what it measures', () => {
  const flags = logFlags('everysec', '/data');
  const maxLog = flags[flags.indexOf('--max-log') + 1]!;
  expect(size(0, Number.MAX_SAFE_INTEGER)(maxLog)).toBeGreaterThan(2 ** 49);
  expect(flags[flags.indexOf('--snapshot-every') + 1]).toBe('0');
  expect(logFlags('none', '/data')).toEqual([]);
});
