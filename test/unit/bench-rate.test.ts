/** What the suite `rate` concludes from its rates: whether the server or the load generator was the limit. */
import { expect, test } from 'vitest';
import type { ReportCell } from '../../bench/results/report.ts';
import { concludeRates, HIGHEST_PHASE, type RateFlags } from '../../bench/suites/rate/rate.ts';
import { formatRate } from '../../bench/suites/rate/rate-table.ts';
import { around, type Made, reportOf } from '../support/reports.ts';

const server = { runtime: 'bun', transport: 'uring', batch: 1, connections: 50 };

/** A rate, what was answered of it, and how late the generator was, in microseconds. */
function rated(rate: number, opsPerSecond: number, p99Micros: number, lateP99Micros: number): Made {
  const figures = { opsPerSecond, p99Micros, lateP99Micros, seconds: 1 };
  return {
    dimensions: { ...server, rate },
    figures: Object.fromEntries(Object.entries(figures).map(([name, value]) => [name, around(value)])),
  };
}

function highest(opsPerSecond: number): Made {
  return { dimensions: { ...server, phase: HIGHEST_PHASE }, figures: { highestOpsPerSecond: around(opsPerSecond) } };
}

const calm = rated(1000, 1000, 300, 20);
const lateAbove = [calm, rated(1580, 900, 5000, 4900), rated(2510, 900, 90_000, 100), highest(1000)];
const saturatedAbove = [calm, rated(1580, 900, 5000, 100), rated(2510, 900, 90_000, 89_000), highest(1000)];

function concluded(made: readonly Made[]): readonly ReportCell[] {
  return concludeRates(reportOf('rate', made).cells);
}

test('a highest rate is a bound where the generator, not the server, ended the climb', () => {
  expect(concluded(lateAbove).map(({ notes }) => notes?.limit)).toEqual([
    undefined,
    'generator',
    'server',
    'generator',
  ]);
  expect(concluded(lateAbove).at(-1)).toMatchObject({ generatorLimited: true });
  expect(concluded(saturatedAbove).map(({ notes }) => notes?.limit)).toEqual([
    undefined,
    'server',
    'generator',
    undefined,
  ]);
  expect(concluded([calm, highest(1000)]).at(-1)!.notes).toBeUndefined();
});

test('the table of the highest rates says so', () => {
  const flags = { batches: [1], limitMs: 1, rounds: 1, seconds: 1 } as Partial<RateFlags> as RateFlags;
  const table = (made: readonly Made[]): string => {
    const report = { ...reportOf('rate', made), cells: concluded(made), workload: 'abc' };
    return formatRate(report, flags).split('the highest rates\n')[1]!;
  };
  expect(table(lateAbove)).toMatch(/^uring on bun generator /m);
  expect(table(saturatedAbove)).toMatch(/^uring on bun {2,}/m);
});
