import { curves } from '../charts/curves.ts';
import { heatMap } from '../charts/heat-map.ts';
import type { SectionKind } from './section.ts';

export const scaleSection: SectionKind = {
  title: 'Scale-out',
  about: 'So many servers and so many load generators on this machine together, YCSB-B in batches.',
  charts: ({ cells }) => [
    curves(cells, {
      id: 'scale-throughput',
      title: 'Throughput by servers',
      about: 'All servers together. Beyond the cores of the machine they share what there is.',
      x: 'servers',
      xScale: 'band',
      figure: 'opsPerSecond',
      yScale: 'linear',
      panel: 'generators',
    }),
    heatMap(cells, {
      id: 'scale-heat',
      title: 'Servers by load generators',
      about: 'The darker, the further from the best of the column.',
      column: 'generators',
      figures: [
        'opsPerSecond',
        'opsPerCoreSecond',
        'serverMicrosPerOp',
        'serverCores',
        'serverPeakBytes',
        'loopbackBytesPerSecond',
      ],
    }),
  ],
};
