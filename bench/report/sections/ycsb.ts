import { where } from '../cells.ts';
import { percentileCurves } from '../charts/curves.ts';
import { heatMap } from '../charts/heat-map.ts';
import type { SectionKind } from './section.ts';

export const ycsbSection: SectionKind = {
  title: 'YCSB',
  about:
    'A: half reads, half updates. B: 95 % reads. C: reads. D: reads of the latest, 5 % inserts. F: half read-modify-write.',
  charts: ({ cells }) => {
    const run = where(cells, { phase: 'run' });
    return [
      heatMap(run, {
        id: 'ycsb-heat',
        title: 'Workloads',
        about:
          'All operations of a workload together. Best row first; the darker, the further from the best of the column.',
        column: 'workload',
        figures: ['serverMicrosPerOp', 'opsPerSecond', 'generatorMicrosPerOp'],
      }),
      ...['read', 'update'].map((operation) =>
        percentileCurves(where(run, { workload: 'ycsb-a', operation }), {
          id: `ycsb-${operation}`,
          title: `Latency of ${operation === 'read' ? 'a read' : 'an update'} in workload A`,
          about: 'Half of its operations write.',
          panel: 'runtime',
        }),
      ),
    ];
  },
};
