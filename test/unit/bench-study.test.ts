/** The study's plan fits its time, and asks the suites for what they have. */
import { describe, expect, test } from 'vitest';
import { benchCommands } from '../../bench/command.ts';
import { QUICK, WHOLE } from '../../bench/study/plan.ts';
import { flagName } from '../../runtime/command/flags.ts';

test('all budgets together are less than 40 minutes, and none is below its estimate', () => {
  expect(WHOLE.reduce((sum, { minutesMax }) => sum + minutesMax, 0)).toBeLessThan(40);
  for (const { suite, minutes, minutesMax } of [...WHOLE, ...QUICK]) expect(minutesMax, suite).toBeGreaterThan(minutes);
});

test('every suite that compares servers is in it', () => {
  const others = ['study', 'report', 'compare', 'aa', 'engine', 'durability', 'beside'];
  const names = benchCommands.map(({ name }) => name).filter((name) => !others.includes(name));
  expect(WHOLE.map(({ suite }) => suite).sort()).toEqual([...names].sort());
});

describe.each([
  ['whole', WHOLE],
  ['quick', QUICK],
])('%s', (_, steps) => {
  test.each(steps)('$suite', ({ suite, flags: words }) => {
    const { flags } = benchCommands.find(({ name }) => name === suite)!;
    for (let at = 0; at < words.length; at++) {
      const flag = Object.entries(flags).find(([key]) => `--${flagName(key)}` === words[at])?.[1];
      expect(flag, `${suite} ${words[at]}`).toBeDefined();
      if (flag?.value !== undefined) expect(() => flag.parse(words[++at]!)).not.toThrow();
    }
    expect(flags).toHaveProperty('json');
  });
});
