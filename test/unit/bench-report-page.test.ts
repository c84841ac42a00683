/** The page: which files are shown, what its sections have, and that nothing in a file gets out of its place. */
import { describe, expect, test } from 'vitest';
import { chooseFiles, type ReportFile } from '../../bench/report/files.ts';
import { formatTick, formatValue } from '../../bench/report/format.ts';
import { embeddedJson, html } from '../../bench/report/html.ts';
import type { Chart, TableCell } from '../../bench/report/model.ts';
import { SUITE_ORDER, sectionOf } from '../../bench/report/sections.ts';
import type { Dimensions, Report } from '../../bench/results/report.ts';
import { around, type Made, reportOf } from '../support/reports.ts';

const file = (path: string, suite: string, startedAt: string): ReportFile => ({
  path,
  report: reportOf(suite, [{ dimensions: { runtime: 'bun' }, figures: { readyMillis: [1] } }], { startedAt }),
});

describe('files', () => {
  test('of several of a suite the latest is shown, and all others are named', () => {
    const [old, late, other] = [
      file('old.json', 'matrix', '2026-01-01T00:00:00.000Z'),
      file('late.json', 'matrix', '2026-01-02T00:00:00.000Z'),
      file('start.json', 'start', '2025-01-01T00:00:00.000Z'),
    ];
    expect(chooseFiles([late, old, other])).toEqual({ shown: [late, other], others: [old] });
    expect(chooseFiles([old, other, late])).toEqual({ shown: [late, other], others: [old] });
  });

  test('the order is that of the page, unknown suites last', () => {
    const time = '2026-01-01T00:00:00.000Z';
    const files = ['zebra', 'start', 'aardvark', 'matrix'].map((suite) => file(`${suite}.json`, suite, time));
    expect(chooseFiles(files).shown.map(({ report }) => report.suite)).toEqual([
      'matrix',
      'start',
      'aardvark',
      'zebra',
    ]);
  });
});

describe('sections', () => {
  const servers: readonly Dimensions[] = [
    { transport: 'uring', runtime: 'bun', control: false },
    { transport: 'node', runtime: 'node', control: false },
    { transport: 'bun-ws', runtime: 'bun', control: false, clientTransport: 'bun-ws' },
  ];
  const matrix = reportOf(
    'matrix',
    servers.flatMap((server, at) =>
      [1, 128].map(
        (batch): Made => ({
          dimensions: { clientTransport: 'bun', ...server, batch },
          figures: {
            serverMicrosPerOp: around((6 + at) / batch),
            opsPerSecond: around((1e5 * batch) / (1 + at)),
            p99Micros: around(700 + at),
            generatorCores: around(at === 0 ? 0.99 : 0.5),
          },
        }),
      ),
    ),
  );

  test('the figures of charts and tables are those of the cells', () => {
    const { charts, table } = sectionOf(matrix);
    const cpu = charts.find(({ id }) => id === 'matrix-cpu')!;
    const heat = charts.find(({ id }) => id === 'matrix-heat')!;
    const medians = matrix.cells.map(({ figures }) => figures.serverMicrosPerOp!.median).sort();
    expect(valuesOf(cpu).sort()).toEqual(medians);
    expect(numbersIn(cpu.table.rows).sort()).toEqual(medians);
    if (heat.kind !== 'heat' || cpu.kind !== 'lines') throw new Error('other kinds of charts');
    expect(heat.views.map(({ title }) => title)).toEqual([
      'server CPU per operation',
      'operations per second',
      'latency p99',
    ]);
    expect(heat.rows).toEqual(['uring on Bun', 'node on Node', 'bun-ws on Bun']);
    expect(heat.columns).toEqual(['1', '128']);
    // What the generator limited is marked, where it says something of the server.
    expect(heat.views[1]!.cells.find(({ row, column }) => row === 'uring on Bun' && column === '1')?.text).toBe(
      '≥ 100 k',
    );
    expect(heat.views[0]!.cells[0]!.text).not.toContain('≥');
    expect(cpu.panels.map(({ title, series }) => [title, series.map(({ name }) => name)])).toEqual([
      ['Bun', ['uring', 'bun-ws']],
      ['Node', ['node']],
    ]);
    const all = matrix.cells.flatMap(({ figures }) => Object.values(figures).map(({ median }) => median));
    expect(numbersIn(table.rows).sort()).toEqual(all.sort());
  });

  test('who is reached by another client than most is named, unless the names of the cells tell it', () => {
    const { notes } = sectionOf(matrix);
    expect(notes).toContain(
      'Reached by another client, bun-ws in the place of bun: bun-ws on Bun. What it takes is part of their figures.',
    );
    const crossed = ['bun', 'uring'].map((clientTransport): Made => {
      return { dimensions: { ...servers[0]!, clientTransport }, figures: { serverMicrosPerOp: around(1) } };
    });
    expect(sectionOf(reportOf('matrix', crossed)).notes).toEqual([]);
  });

  test('percentiles are not called medians', () => {
    const percentiles = { p50Micros: 1, p90Micros: 2, p99Micros: 3, p999Micros: 4, p9999Micros: 5, maxMicros: 6 };
    const { cells } = matrix;
    expect(sectionOf(matrix).about).not.toContain('Percentiles');
    const timed = { ...matrix, cells: cells.map((cell) => ({ ...cell, percentiles })) };
    expect(sectionOf(timed).about).toContain('Percentiles are no medians but those of all rounds together');
  });

  test('a rate at which the generator was late is not blamed on the server', () => {
    const made = (rate: number, limit?: string): Made => ({
      dimensions: { transport: 'uring', runtime: 'bun', rate },
      figures: { opsPerSecond: around(rate), p99Micros: around(rate / 10), p50Micros: around(rate / 20) },
      ...(limit === undefined ? {} : { notes: { limit } }),
    });
    const highest = { dimensions: { transport: 'uring', runtime: 'bun', phase: 'highest' } };
    const section = sectionOf(
      reportOf('rate', [
        made(1000),
        made(2000, 'generator'),
        made(3000, 'server'),
        { ...highest, figures: { highestOpsPerSecond: around(1000) }, notes: { limit: 'generator' } },
      ]),
    );
    const [p99] = section.charts;
    if (p99?.kind !== 'lines') throw new Error('another kind of chart');
    expect(p99.panels[0]!.series[0]!.points.map(({ detail }) => detail.split('\n').at(-1))).toEqual([
      expect.stringContaining('95 % interval'),
      'the load generator was the limit, not the server',
      'the server was saturated',
    ]);
    expect(section.notes).toEqual([
      expect.stringMatching(/^At 1 of 3 points the load generator was the limit/),
      expect.stringMatching(/^The highest rate \(marked ≥\) of uring on Bun /),
    ]);
  });

  test('an interrupted run, a single round and what was skipped are told', () => {
    const section = sectionOf(
      reportOf('matrix', [{ dimensions: { ...servers[0]!, batch: 1 }, figures: { serverMicrosPerOp: [1] } }], {
        interrupted: true,
        skipped: [{ label: 'bun on node', reason: 'it needs Bun' }],
      }),
    );
    expect(section.notes).toContain('The run was interrupted: shown is what was measured until then.');
    expect(section.about).toMatch(/Measured once/);
    expect(section.skipped).toEqual(['bun on node: it needs Bun']);
  });

  test.each([...SUITE_ORDER, 'tomorrow', 'constructor'])('%s, without the figures it hopes for', (suite) => {
    const made = { dimensions: { runtime: 'bun', tomorrow: 7 } as Dimensions, figures: { weighsKilos: around(1) } };
    const section = sectionOf(reportOf(suite, [made]));
    expect(numbersIn(section.table.rows)).toHaveLength(1);
  });

  test('a suite that is not known gets a chart, too', () => {
    const along = (x: number): Made => ({
      dimensions: { runtime: 'bun', floors: x } as Dimensions,
      figures: { heightMillis: around(x) },
    });
    const [chart] = sectionOf(reportOf('tomorrow', [along(1), along(2)])).charts;
    expect(chart).toMatchObject({ kind: 'lines', x: { title: 'floors' }, y: { title: 'height (ms)', unit: 'ms' } });
  });

  test('charts have ids of their own', () => {
    const reports: readonly Report[] = [matrix, { ...matrix, suite: 'ycsb' }, { ...matrix, suite: 'peers' }];
    const ids = reports.flatMap((report) => sectionOf(report).charts.map(({ id }) => id));
    expect(new Set(ids).size).toBe(ids.length);
  });
});

function valuesOf(chart: Chart): number[] {
  if (chart.kind !== 'lines') throw new Error(`${chart.id} has no lines`);
  return chart.panels.flatMap(({ series }) => series.flatMap(({ points }) => points.map(({ y }) => y)));
}

function numbersIn(rows: readonly (readonly TableCell[])[]): number[] {
  return rows.flat().flatMap((one) => (typeof one === 'string' ? [] : [one.value]));
}

describe('what comes from files', () => {
  test('is escaped', () => {
    const hostile = `</script><script>alert("1")</script>&'`;
    expect(html`<p title="${hostile}">${hostile}</p>`.text).toBe(
      '<p title="&#60;/script&#62;&#60;script&#62;alert(&#34;1&#34;)&#60;/script&#62;&#38;&#39;">' +
        '&#60;/script&#62;&#60;script&#62;alert(&#34;1&#34;)&#60;/script&#62;&#38;&#39;</p>',
    );
    expect(html`${[html`<b>${'<'}</b>`, '<']}`.text).toBe('<b>&#60;</b>&#60;');
  });

  test('cannot end the data that is embedded', () => {
    const value = { a: '</script><!--', b: ['<'] };
    const { text } = embeddedJson(value);
    expect(text).not.toContain('<');
    expect(JSON.parse(text)).toEqual(value);
  });
});

test('numbers', () => {
  expect([formatValue(0.1416, 'µs'), formatValue(1500, 'µs'), formatValue(5.213e6, '/s')]).toEqual([
    '0.142 µs',
    '1.50 ms',
    '5.21 M/s',
  ]);
  expect([formatValue(65536, 'B'), formatValue(1.5 * 2 ** 20, 'B'), formatValue(1.5e9, 'B/s')]).toEqual([
    '64 KiB',
    '1.50 MiB',
    '1.50 GB/s',
  ]);
  expect([formatValue(0.25, '%'), formatValue(2, '×')]).toEqual(['25.0 %', '2.00×']);
  expect([formatTick(10_000, ''), formatTick(0.3, 'µs'), formatTick(1024, 'B'), formatTick(2.5e6, '/s')]).toEqual([
    '10k',
    '0.3',
    '1 KiB',
    '2.5M',
  ]);
});
