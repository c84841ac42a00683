/** What the benchmark makes of its measurements, and how it shows them. */
import { describe, expect, test } from 'vitest';
import { LatencyHistogram, mergedPercentiles } from '../../bench/load/latency.ts';
import { Random } from '../../bench/load/random.ts';
import { renderCells } from '../../bench/results/cells-table.ts';
import { studentQuantile, summarize, summarizeFigures } from '../../bench/results/statistics.ts';
import { formatInterval, formatMicros, formatNumber, renderTable } from '../../bench/results/table.ts';

describe('statistics', () => {
  test('are median and range', () => {
    expect(summarize([3])).toEqual({ median: 3, low: 3, high: 3, min: 3, max: 3 });
    expect(summarize([10, 9, 100])).toEqual({ median: 10, low: 9, high: 100, min: 9, max: 100 });
    expect(summarize([4, 1, 3, 2])).toMatchObject({ median: 2.5, min: 1, max: 4 });
    expect(() => summarize([])).toThrow(RangeError);
  });

  test('keep figures apart by name', () => {
    const figures = summarizeFigures([
      { cpu: 1, ops: 30 },
      { cpu: 2, ops: 10 },
      { cpu: 9, ops: 20 },
    ]);
    expect(figures).toMatchObject({ cpu: { median: 2, min: 1, max: 9 }, ops: { median: 20, min: 10, max: 30 } });
  });
});

describe('the bootstrap', () => {
  test('draws the same every time', () => {
    const samples = [5, 1, 4, 2, 3, 9, 7];
    expect(summarize(samples)).toEqual(summarize(samples));
  });

  test('gives the interval that the resampled median has exactly', () => {
    // P(Binomial(11, k / 11) >= 6) is how often the resampled median is at most the k-th of 11: it passes 2.5 % at the third.
    const samples = Array.from({ length: 11 }, (_, i) => (i + 1) * 10);
    expect(summarize(samples)).toMatchObject({ median: 60, low: 30, high: 90 });
  });

  test('holds the true median about as often as it promises', () => {
    const random = new Random(7);
    let held = 0;
    for (let run = 0; run < 400; run++) {
      const { low, high } = summarize(Array.from({ length: 15 }, () => random.fraction() ** 3));
      if (low <= 0.125 && 0.125 <= high) held++;
    }
    expect(held / 400).toBeGreaterThan(0.9);
    expect(held / 400).toBeLessThan(0.99);
  });
});

test("the quantiles of Student's distribution are those of its tables", () => {
  const tables: readonly (readonly [degreesOfFreedom: number, quantile: number])[] = [
    [4, 4.6041],
    [5, 4.0321],
    [10, 3.1693],
    [30, 2.75],
    [1000, 2.5808],
  ];
  for (const [degreesOfFreedom, quantile] of tables) {
    expect(studentQuantile(2.575829, degreesOfFreedom) / quantile).toBeCloseTo(1, 2);
  }
});

describe('latency', () => {
  test('has percentiles of what was recorded since the reset', () => {
    const histogram = new LatencyHistogram();
    histogram.record(5000);
    histogram.reset();
    // 1 to 1000 microseconds, and one that is far out.
    for (let micros = 1; micros <= 1000; micros++) histogram.record(micros / 1000);
    histogram.record(250);
    const { p50Micros, p99Micros, p999Micros, maxMicros } = histogram.percentiles();
    expect(p50Micros / 501).toBeCloseTo(1, 2);
    expect(p99Micros / 991).toBeCloseTo(1, 2);
    expect(p999Micros / 1000).toBeCloseTo(1, 2);
    expect(maxMicros / 250_000).toBeCloseTo(1, 2);
  });

  test('has no percentile above the greatest', () => {
    const histogram = new LatencyHistogram();
    histogram.record(5.2332);
    expect(histogram.percentiles()).toEqual({
      p50Micros: 5233.2,
      p90Micros: 5233.2,
      p99Micros: 5233.2,
      p999Micros: 5233.2,
      p9999Micros: 5233.2,
      maxMicros: 5233.2,
    });
  });

  test('of several histograms is as if one had recorded all', () => {
    const [odd, even, all] = [new LatencyHistogram(), new LatencyHistogram(), new LatencyHistogram()];
    for (let micros = 1; micros <= 20_000; micros++) {
      (micros % 2 === 1 ? odd : even).record(micros / 1000);
      all.record(micros / 1000);
    }
    const merged = LatencyHistogram.merged([odd.encode(), even.encode()]);
    expect(merged.percentiles().p99Micros).toBeCloseTo(19_800, -2);
    expect(merged.encode()).toBe(all.encode());
    const rounds = [odd, even].map((one) => ({ latency: one.encode(), percentiles: one.percentiles() }));
    expect(mergedPercentiles(rounds)).toEqual(all.percentiles());
    expect(() => LatencyHistogram.merged(['bm8gaGlzdG9ncmFt'])).toThrow();
  });

  test('counts what is longer than a minute as a minute', () => {
    const histogram = new LatencyHistogram();
    histogram.record(120_000);
    expect(histogram.percentiles().maxMicros / 60_000_000).toBeCloseTo(1, 2);
  });
});

describe('tables', () => {
  test('align columns and mark the best of each', () => {
    const table = renderTable(
      [{ title: '' }, { title: 'ops/s', best: 'highest' }, { title: 'p50', best: 'lowest' }, { title: 'note' }],
      [
        [{ text: 'a' }, { text: '5.0 M', value: 5 }, { text: '12', value: 12 }, { text: 'x' }],
        [{ text: 'longer' }, { text: '700 k', value: 0.7 }, { text: '9', value: 9 }, { text: '' }],
        [{ text: '' }, { text: '1–2 M' }, { text: '-' }, { text: 'yy' }],
      ],
    );
    expect(table).toBe(
      [
        '        ops/s   p50   note',
        'a       5.0 M*   12      x',
        'longer  700 k     9*',
        '        1–2 M     -     yy',
        '',
      ].join('\n'),
    );
  });

  test('mark nothing where there is nothing to compare, and all that are equally good', () => {
    const columns = [{ title: '' }, { title: 'n', best: 'highest' as const }];
    expect(renderTable(columns, [[{ text: 'a' }, { text: '1', value: 1 }]])).not.toContain('*');
    const equal = [
      [{ text: 'a' }, { text: '1', value: 1 }],
      [{ text: 'b' }, { text: '1', value: 1 }],
    ];
    expect(renderTable(columns, equal).match(/1\*/g)).toHaveLength(2);
  });

  test('name the client of each row where there are several', () => {
    const cell = (transport: string, clientTransport: string) => ({
      dimensions: { transport, runtime: 'bun', clientTransport, clientRuntime: 'bun' },
      figures: {},
    });
    const rows = (...cells: readonly ReturnType<typeof cell>[]): readonly string[] =>
      renderCells({ label: ({ dimensions }) => `${dimensions.transport}`, columns: [], cells })
        .trim()
        .split('\n');
    expect(rows(cell('node', 'uring'), cell('bun', 'uring'))).toEqual(['node', 'bun']);
    expect(rows(cell('node', 'uring'), cell('bun-ws', 'bun-ws'))).toEqual([
      'node < uring on bun',
      'bun-ws < bun-ws on bun',
    ]);
  });

  test('draw bars from 0 to the greatest of a column', () => {
    const columns = [{ title: '' }, { title: 'rate', bar: true }];
    const rows = [8, 4, 0.001, 0].map((value) => [{ text: String(value) }, { text: '', value }]);
    expect(renderTable(columns, [...rows, [{ text: '-' }, { text: '' }]])).toBe(
      ['       rate', '8      ████████████', '4      ██████', '0.001  ▏', '0', '-', ''].join('\n'),
    );
  });

  test('refuse a row that does not fit', () => {
    expect(() => renderTable([{ title: 'a' }], [[{ text: '1' }, { text: '2' }]])).toThrow(RangeError);
  });

  test('show three digits that count', () => {
    const shown = [0, 0.0123, 0.1424, 1, 9.876, 87.65, 512.4, 1000, 52_100, 873_400, 5_210_000, 12_345_678, 3e9];
    expect(shown.map(formatNumber)).toEqual([
      '0.00',
      '0.0123',
      '0.142',
      '1.00',
      '9.88',
      '87.7',
      '512',
      '1.00 k',
      '52.1 k',
      '873 k',
      '5.21 M',
      '12.3 M',
      '3.00 G',
    ]);
    expect([85.24, 1204, 3_050_000].map(formatMicros)).toEqual(['85.2 µs', '1.20 ms', '3.05 s']);
    expect(formatInterval({ low: 1, high: 3 }, formatNumber)).toBe('1.00–3.00');
    expect(formatInterval({ low: 2, high: 2 }, formatNumber)).toBe('');
  });
});
