import type { ReportCell } from '../../results/report.ts';
import { having, mainBatch, servers, varying, where } from '../cells.ts';
import { bars } from '../charts/bars.ts';
import { curves, percentileCurves } from '../charts/curves.ts';
import { heatMap } from '../charts/heat-map.ts';
import type { SectionKind } from './section.ts';

export const matrixSection: SectionKind = {
  title: 'The matrix',
  about: 'YCSB-B over loopback: each transport in each runtime, by the number of operations per frame.',
  charts: ({ cells }) => {
    const own = servers(cells);
    const batch = mainBatch(own);
    return [
      heatMap(own, {
        id: 'matrix-heat',
        title: 'The whole matrix',
        about: 'Best row first. The darker, the further from the best of the column.',
        column: 'batch',
        figures: ['serverMicrosPerOp', 'opsPerSecond', 'p99Micros'],
      }),
      curves(own, {
        id: 'matrix-cpu',
        title: 'Server CPU per operation',
        about:
          'CPU time of the whole server process, user and system; it can be compared even where the generator is the limit.',
        x: 'batch',
        xScale: 'log',
        figure: 'serverMicrosPerOp',
        yScale: 'log',
        panel: 'runtime',
      }),
      curves(own, {
        id: 'matrix-throughput',
        title: 'Throughput',
        about:
          'Server and generator on this machine together: where the generator was the limit, the server can do more.',
        x: 'batch',
        xScale: 'log',
        figure: 'opsPerSecond',
        yScale: 'log',
        panel: 'runtime',
      }),
      addedBars(cells),
      batch === undefined
        ? undefined
        : percentileCurves(where(own, { batch }), {
            id: 'matrix-percentiles',
            title: `Latency of a frame of ${batch}`,
            about: 'In a closed loop: latency at the throughput that each reached.',
            panel: 'runtime',
          }),
      clientTransports(own),
    ];
  },
};

/** What the bare echo costs, and what engine and protocol add to it. Only cells that have a control are in it. */
function addedBars(cells: readonly ReportCell[]) {
  const controls = new Map(
    having(cells, 'serverMicrosPerOp')
      .filter(({ dimensions }) => dimensions.control === true)
      .map((cell) => [partnerKey(cell), cell.figures.serverMicrosPerOp!.median]),
  );
  const paired = having(servers(cells), 'serverMicrosPerOp').filter((cell) => controls.has(partnerKey(cell)));
  const echo = (cell: ReportCell): number => Math.min(controls.get(partnerKey(cell))!, total(cell));
  const total = (cell: ReportCell): number => cell.figures.serverMicrosPerOp!.median;
  return bars(paired, {
    id: 'matrix-added',
    title: 'Where the CPU time goes',
    about:
      'The bare echo is the same transport without engine and protocol; what the server needs beyond it is what these add. Each panel has its own scale.',
    parts: [
      { name: 'bare echo', value: (cell) => echo(cell) },
      { name: 'engine and protocol', value: (cell) => total(cell) - echo(cell) },
    ],
    xTitle: 'server CPU per operation',
    unit: 'µs',
    panel: 'batch',
    figures: ['serverMicrosPerOp'],
  });
}

/** The same for a cell and its control. */
function partnerKey({ dimensions: { control: _, ...rest } }: ReportCell): string {
  return JSON.stringify(Object.entries(rest).sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** Shown when more than one was asked for. */
function clientTransports(cells: readonly ReportCell[]) {
  const batch = mainBatch(cells);
  if (batch === undefined || !varying(cells).includes('clientTransport')) return undefined;
  return heatMap(where(cells, { batch }), {
    id: 'matrix-clients',
    title: `Client transport by server, batch ${batch}`,
    about: 'How the same server fares when the generator uses another transport.',
    column: 'clientTransport',
    figures: ['serverMicrosPerOp', 'opsPerSecond', 'generatorMicrosPerOp', 'p99Micros'],
  });
}
