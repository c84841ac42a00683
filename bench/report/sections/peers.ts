import { curves } from '../charts/curves.ts';
import { heatMap } from '../charts/heat-map.ts';
import type { SectionKind } from './section.ts';

export const peersSection: SectionKind = {
  title: 'Beside other servers',
  about:
    'The same keys, sizes, distribution and pipeline depth, the same generator speaking each protocol, measured in turns.',
  charts: ({ cells }) => [
    heatMap(cells, {
      id: 'peers-heat',
      title: 'Who needs what',
      about: 'Best row first. The darker, the further from the best of the column.',
      column: 'batch',
      figures: ['serverMicrosPerOp', 'opsPerSecond', 'p99Micros'],
    }),
    curves(cells, {
      id: 'peers-cpu',
      title: 'Server CPU per operation',
      about: 'By operations per frame, or commands per pipeline.',
      x: 'batch',
      xScale: 'log',
      figure: 'serverMicrosPerOp',
      yScale: 'log',
    }),
  ],
};
