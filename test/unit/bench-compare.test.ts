/** What `bench compare` and `bench aa` decide, on measurements whose truth is known. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { Random } from '../../bench/load/random.ts';
import { betterWay, compareSeries, judgeRatios, type Verdict } from '../../bench/results/compare.ts';
import {
  type Report,
  type ReportRound,
  SCHEMA_VERSION,
  summarizeRounds,
  writeReport,
} from '../../bench/results/report.ts';
import { decide } from '../../bench/suites/aa/aa.ts';
import { compare, compareReports, isWorseBy } from '../../bench/suites/compare/compare.ts';

const folder = mkdtempSync(join(tmpdir(), 'ringkv-compare-'));

afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Measurements around 1, as a machine gives them: most close together, few far too high. */
function noisy(random: Random, count: number, factor = 1): number[] {
  return Array.from({ length: count }, () => {
    const sum = random.fraction() + random.fraction() + random.fraction() - 1.5;
    return factor * (1 + 0.05 * sum + (random.fraction() < 0.02 ? random.fraction() : 0));
  });
}

function report(rounds: readonly Omit<ReportRound, 'round'>[], more: Partial<Report> = {}): Report {
  const numbered = rounds.map((one, at) => ({ round: at + 1, ...one }));
  return {
    schema: 'ringkv-bench',
    schemaVersion: SCHEMA_VERSION,
    suite: 'matrix',
    startedAt: '2026-01-01T00:00:00.000Z',
    ringkv: '0.1.0',
    git: null,
    machine: { cpu: 'x', cpus: 2, governor: null, memoryBytes: 1, platform: 'linux/x64', kernel: '6' },
    versions: {},
    flags: { rounds: numbered.length, seed: 1 },
    skipped: [],
    interrupted: false,
    rounds: numbered,
    cells: summarizeRounds(numbered),
    ...more,
  };
}

describe('two series', () => {
  const RUNS = 150;
  const verdicts = (rounds: number, factor: number): Map<Verdict, number> => {
    const random = new Random(11);
    const counts = new Map<Verdict, number>();
    for (let run = 0; run < RUNS; run++) {
      const { verdict } = compareSeries(noisy(random, rounds), noisy(random, rounds, factor));
      counts.set(verdict, (counts.get(verdict) ?? 0) + 1);
    }
    return counts;
  };

  test.each([5, 7, 11])('of the same thing differ in less than one of a hundred, by %i rounds', (rounds) => {
    expect(verdicts(rounds, 1).get('no difference')).toBeGreaterThan(RUNS * 0.99);
  });

  test.each([5, 7, 11])('a fifth apart are found, by %i rounds', (rounds) => {
    expect(verdicts(rounds, 1.2).get('higher')).toBeGreaterThan(RUNS * 0.85);
    expect(verdicts(rounds, 1 / 1.2).get('lower')).toBeGreaterThan(RUNS * 0.85);
  });

  test('say nothing with too few rounds, however far apart', () => {
    expect(compareSeries([1, 1, 1, 1], [9, 9, 9, 9]).verdict).toBe('too few rounds');
    expect(compareSeries([1, 1, 1, 1, 1], [9, 9, 9, 9, 9])).toEqual({ ratio: 9, low: 9, high: 9, verdict: 'higher' });
  });

  test('that differ for sure, but by little, do not differ', () => {
    const samples = [1, 1.001, 1.002, 0.999, 0.998, 1, 1];
    const little = samples.map((one) => one * 1.04);
    const { low, verdict } = compareSeries(samples, little);
    expect(low).toBeGreaterThan(1);
    expect(verdict).toBe('no difference');
  });

  test('of pairs, what disturbs both falls out', () => {
    const random = new Random(3);
    const load = Array.from({ length: 7 }, () => 1 + 3 * random.fraction());
    expect(judgeRatios(load.map((one) => (one * 1.2) / one)).verdict).toBe('higher');
    expect(
      compareSeries(
        load,
        load.map((one) => one * 1.2),
      ).verdict,
    ).toBe('no difference');
  });
});

describe('pairs', () => {
  const RUNS = 2000;

  /** Of one round: normally distributed logarithms, and some rounds in which something else took the machine. */
  function* rounds(random: Random, deviation: number, disturbed: number): Generator<number> {
    for (;;) {
      const normal = Math.sqrt(-2 * Math.log(1 - random.fraction())) * Math.cos(2 * Math.PI * random.fraction());
      yield Math.exp(deviation * normal) * (random.fraction() < disturbed ? 1 + 4 * random.fraction() : 1);
    }
  }

  /** How often B, which takes `factor` times as long, is called another than A. */
  function found(count: number, factor: number, deviation: number, disturbed = 0): number {
    const measured = rounds(new Random(17), deviation, disturbed);
    const next = (): number => measured.next().value!;
    const verdicts = Array.from(
      { length: RUNS },
      () => judgeRatios(Array.from({ length: count }, () => (factor * next()) / next())).verdict,
    );
    return verdicts.filter((verdict) => verdict !== 'no difference').length / RUNS;
  }

  test.each([5, 7, 11, 20])('of the same thing differ in about one of a hundred, by %i rounds', (count) => {
    for (const deviation of [0.05, 0.1, 0.3]) {
      expect(found(count, 1, deviation)).toBeLessThan(0.015);
      expect(found(count, 1, deviation, 0.1)).toBeLessThan(0.015);
    }
  });

  test('a fifth apart are found', () => {
    expect(found(5, 1.2, 0.03)).toBeGreaterThan(0.95);
    expect(found(5, 1.2, 0.05)).toBeGreaterThan(0.7);
    expect(found(7, 1 / 1.2, 0.05)).toBeGreaterThan(0.95);
  });
});

describe('reports', () => {
  const cell = (batch: number, cpu: number, ops: number, p99Micros: number) => ({
    dimensions: { runtime: 'bun', batch },
    figures: { serverMicrosPerOp: cpu, opsPerSecond: ops, serverPeakBytes: 5 },
    percentiles: { p50Micros: 1, p90Micros: 1, p99Micros, p999Micros: 1000, p9999Micros: 1000, maxMicros: 1000 },
  });
  const before = report(
    noisy(new Random(1), 8).flatMap((noise) => [cell(1, noise, 100 / noise, 7), cell(16, 1, 9, 8)]),
  );
  const after = report(
    noisy(new Random(2), 8).flatMap((noise) => [cell(16, 1, 9, 4), cell(1, 1.3 * noise, 100 / noise, 7)]),
  );

  test('are compared cell by cell, whatever the order', () => {
    const { compared } = compareReports(before, after, undefined);
    const named = compared.map(({ dimensions, figure, outcome }) => `${dimensions.batch} ${figure} ${outcome}`);
    expect(named).toEqual([
      '1 serverMicrosPerOp worse',
      '16 serverMicrosPerOp no difference',
      '1 opsPerSecond no difference',
      '16 opsPerSecond no difference',
      '1 p99Micros no difference',
      '16 p99Micros better',
    ]);
    const [planted, same] = compared;
    expect(planted!.comparison.ratio).toBeCloseTo(1.3, 1);
    expect([20, 50].map((percent) => isWorseBy(planted!, percent))).toEqual([true, false]);
    expect(isWorseBy(same!, 0)).toBe(false);
  });

  test('the same report twice has no difference', () => {
    const { compared } = compareReports(before, before, [
      'serverMicrosPerOp',
      'opsPerSecond',
      'serverPeakBytes',
      'p99Micros',
    ]);
    expect(compared).toHaveLength(8);
    expect(new Set(compared.map(({ comparison }) => comparison.verdict))).toEqual(new Set(['no difference']));
  });

  test('are refused with a figure that one of them has not, by its name', async () => {
    const [a, b] = ['a.json', 'b.json'].map((name) => join(folder, name)) as [string, string];
    writeReport(a, before);
    writeReport(
      b,
      report(Array.from({ length: 5 }, () => ({ ...cell(1, 1, 1, 1), figures: { serverMicrosPerOp: 1 } }))),
    );
    const compared = (...figures: string[]) => compare(a, b, { figures, failAbove: undefined });
    await expect(compared('serverMicrosPerOp', 'bogus')).rejects.toThrow(
      `${a} has no figure bogus; there are serverMicrosPerOp, opsPerSecond, serverPeakBytes, p50Micros, `,
    );
    await expect(compared('opsPerSecnd')).rejects.toThrow(`${a} has no figure opsPerSecnd, did you mean opsPerSecond?`);
    await expect(compared('opsPerSecond')).rejects.toThrow(`${b} has no figure opsPerSecond; there are serverMicros`);
  });

  /** A figure that was the same in five rounds of A, and another in those of B. */
  const changed = (figure: string, from: number, to: number) => {
    const [a, b] = [from, to].map((value) =>
      report(Array.from({ length: 5 }, () => ({ dimensions: { batch: 1 }, figures: { [figure]: value } }))),
    ) as [Report, Report];
    return compareReports(a, b, [figure]);
  };

  test('half as many operations per second are worse by a hundred percent', () => {
    const [slow] = changed('opsPerSecond', 100, 50).compared;
    expect([99, 101].map((percent) => isWorseBy(slow!, percent))).toEqual([true, false]);
  });

  test('what falls to nothing, or comes of nothing, is worse by any percent', () => {
    for (const [figure, from, to] of [
      ['highestOpsPerSecond', 50_000, 0],
      ['lossRate', 0, 0.1],
    ] as const) {
      const { compared, incomparable } = changed(figure, from, to);
      expect(compared.map((one) => isWorseBy(one, 1000))).toEqual([true]);
      expect(incomparable).toEqual([]);
    }
  });

  test('a figure that has no better way is never worse, however it changes', () => {
    for (const to of [50, 200]) {
      const [one] = changed('seconds', 100, to).compared;
      expect(one!.outcome).toBe(to > 100 ? 'higher' : 'lower');
      expect(isWorseBy(one!, 10)).toBe(false);
    }
  });

  test('what has no ratio is named, with the reason', () => {
    expect(changed('lossRate', 0, 0)).toEqual({
      compared: [],
      incomparable: [{ dimensions: { batch: 1 }, figure: 'lossRate', why: 'both files have a round with 0' }],
    });
    expect(changed('slowdown', 0.1, -0.1).incomparable[0]!.why).toBe('a round is below 0');
  });

  test('figures tell by their names which way is better', () => {
    const ways = (...figures: readonly string[]) => [...new Set(figures.map(betterWay))];
    expect(ways('opsPerSecond', 'highestOpsPerSecond', 'valueBytesPerSecond')).toEqual(['higher']);
    expect(ways('serverMicrosPerOp', 'p999Micros', 'lateP99Micros', 'readyMillis', 'bytesPerConnection')).toEqual([
      'lower',
    ]);
    expect(ways('serverCallsPerOp', 'voluntarySwitchesPerOp', 'slowTurnShare', 'lossRate', 'timesAlone')).toEqual([
      'lower',
    ]);
    expect(ways('serverUserMicrosPerOp', 'serverCallsPerOp.read', 'operations', 'seconds')).toEqual([undefined]);
  });
});

describe('a cell against itself', () => {
  const SLICES = 9;

  /** Rounds on a machine whose load differs from slice to slice. */
  function rounds(decisions: number, roundsEach: number, planted: number): Report['rounds'] {
    const random = new Random(5);
    return Array.from({ length: decisions * roundsEach }, (_, at) => at + 1).flatMap((round) =>
      Array.from({ length: SLICES }, () => 1 + random.fraction()).flatMap((load) =>
        Object.entries({ A: 1, B: 1, slowed: 1 + planted }).map(([side, factor]) => ({
          round,
          dimensions: { side },
          figures: { serverMicrosPerOp: load * factor * noisy(random, 1)[0]! },
        })),
      ),
    );
  }

  test('is the same, and slower when it was made so, in ten of ten decisions', () => {
    const decisions = decide({ rounds: rounds(10, 7, 0.2) }, 7);
    expect(decisions.map(({ same, slowed }) => `${same.verdict}, ${slowed.verdict}`)).toEqual(
      Array.from({ length: 10 }, () => 'no difference, higher'),
    );
  });

  test('nothing is found where nothing was planted', () => {
    const decisions = decide({ rounds: rounds(10, 7, 0) }, 7);
    expect(decisions.map(({ slowed }) => slowed.verdict)).not.toContain('higher');
  });

  test('decides by whole sets of rounds alone', () => {
    expect(decide({ rounds: rounds(2, 7, 0.2).filter(({ round }) => round < 14) }, 7)).toHaveLength(1);
    expect(decide({ rounds: [] }, 7)).toEqual([]);
  });
});
