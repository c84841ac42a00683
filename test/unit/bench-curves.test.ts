/** What the benchmark says of samples and of curves: moments, growth, and the points of a curve. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { loading, mixed, only } from '../../bench/load/workload.ts';
import { curveOf, curvesOf, growth } from '../../bench/results/growth.ts';
import { Moments } from '../../bench/results/moments.ts';
import { spacedPoints, swept } from '../../bench/suites/sweep/points.ts';

describe('moments', () => {
  it('are those of the samples, by the definition', () => {
    fc.assert(
      fc.property(fc.array(fc.double({ min: -1e6, max: 1e6, noNaN: true }), { minLength: 2 }), (samples) => {
        const moments = new Moments();
        for (const sample of samples) moments.add(sample);
        const mean = samples.reduce((sum, one) => sum + one, 0) / samples.length;
        const squares = samples.reduce((sum, one) => sum + (one - mean) ** 2, 0);
        expect(moments.count).toBe(samples.length);
        expect(moments.mean).toBeCloseTo(mean, 6);
        expect(moments.standardDeviation / (1 + Math.sqrt(squares / (samples.length - 1)))).toBeCloseTo(
          Math.sqrt(squares / (samples.length - 1)) / (1 + Math.sqrt(squares / (samples.length - 1))),
          6,
        );
        expect([moments.min, moments.max]).toEqual([Math.min(...samples), Math.max(...samples)]);
      }),
    );
  });

  it('keep their digits far from zero, where the sum of squares loses them', () => {
    const moments = new Moments();
    for (const sample of [1e9 + 4, 1e9 + 7, 1e9 + 13, 1e9 + 16]) moments.add(sample);
    expect(moments.mean).toBe(1e9 + 10);
    expect(moments.standardDeviation).toBeCloseTo(Math.sqrt(30), 9);
  });

  it('of few samples are what can be said of them', () => {
    const moments = new Moments();
    expect([moments.mean, moments.standardDeviation, moments.min, moments.max]).toEqual([NaN, NaN, NaN, NaN]);
    moments.add(3);
    expect([moments.mean, moments.standardDeviation, moments.min, moments.max]).toEqual([3, 0, 3, 3]);
  });
});

describe('growth', () => {
  it('of a power law is its exponent', () => {
    const points = [1, 10, 100, 1000].map((x) => ({ x, y: 0.3 * x ** 0.05 }));
    const { factorPerTenfold, low, high } = growth(points)!;
    for (const factor of [factorPerTenfold, low, high]) expect(factor).toBeCloseTo(10 ** 0.05, 9);
  });

  it('has an interval that holds the truth under noise', () => {
    const noise = [0.97, 1.02, 1.01, 0.99, 1.03, 0.98];
    const points = [1e3, 1e4, 1e5].flatMap((x) => noise.map((by) => ({ x, y: by * 2 * x ** 0.1 })));
    const { low, high } = growth(points)!;
    expect(low).toBeLessThan(10 ** 0.1);
    expect(high).toBeGreaterThan(10 ** 0.1);
    expect(high - low).toBeLessThan(0.1);
  });

  it('is nothing where nothing grows', () => {
    expect(growth([{ x: 5, y: 1 }])).toBeUndefined();
    expect(growth([5, 5].map((x) => ({ x, y: x })))).toBeUndefined();
  });

  it('is told for each line of cells that differ in one dimension alone', () => {
    const measured = ['node', 'bun'].flatMap((runtime, at) =>
      [10, 100].map((keys) => ({ dimensions: { runtime, keys }, figures: { cost: keys ** at } })),
    );
    const curves = curvesOf(measured, 'keys', 'cost');
    expect(curves.map(({ dimensions }) => dimensions)).toEqual([{ runtime: 'node' }, { runtime: 'bun' }]);
    expect(curves.map(({ factorPerTenfold }) => factorPerTenfold)).toEqual([1, 10]);
    const cell = { dimensions: { keys: 100, runtime: 'bun' }, figures: {} };
    expect(curveOf(cell, curves, 'cost')).toBe(curves[1]);
    expect(curveOf(cell, curves, 'other')).toBeUndefined();
  });
});

describe('the points of a curve', () => {
  it('are evenly spaced by their ratio, ends included', () => {
    expect(spacedPoints(1000, 10_000_000, 5)).toEqual([1000, 10_000, 100_000, 1_000_000, 10_000_000]);
    expect(spacedPoints(1, 1024, 11)).toEqual([1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024]);
    expect(spacedPoints(1, 3, 10)).toEqual([1, 2, 3]);
    expect(spacedPoints(7, 7, 4)).toEqual([7]);
    expect(spacedPoints(7, 70, 1)).toEqual([7]);
  });

  it('are read in the units of what they count', () => {
    expect(swept.keys.parse('10k')).toBe(10_000);
    expect(swept['value-size'].parse('10k')).toBe(10_240);
    expect(() => swept.connections.parse('11k')).toThrow('from 1 to 10000');
    expect(() => swept.shards.parse('0')).toThrow('from 1 to 64');
    for (const { from, to } of Object.values(swept)) expect(from).toBeLessThan(to);
  });
});

describe('mixes', () => {
  it('that only write, on all keys alike', () => {
    const { keyNumbers, versions } = mixed(50_000, 20, 1, { readShare: 0, distribution: 'uniform' });
    expect(versions.every((version) => version >= 1 && version <= 9)).toBe(true);
    const counts = new Uint32Array(20);
    for (const key of keyNumbers) counts[key]!++;
    // Five standard deviations of 1/20 of 50,000.
    for (const count of counts) expect(Math.abs(count - 2500)).toBeLessThan(5 * Math.sqrt(2500 * 0.95));
  });

  it('can be parted by keys, and nothing gets lost', () => {
    const all = loading(0, 1000);
    const [even, odd] = [0, 1].map((rest) => only(all, (key) => key % 2 === rest));
    expect(even!.versions.length + odd!.versions.length).toBe(1000);
    expect(even!.keyNumbers.every((key) => key % 2 === 0)).toBe(true);
    expect([...odd!.keyNumbers.subarray(0, 3)]).toEqual([1, 3, 5]);
  });
});
