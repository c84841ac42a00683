import { servers, valuesOf, where } from '../cells.ts';
import { curves } from '../charts/curves.ts';
import { heatMap, wordGrid } from '../charts/heat-map.ts';
import type { SectionKind } from './section.ts';

const along = { x: 'valueSize', xScale: 'log', xUnit: 'B', panel: 'runtime' } as const;
const across = { column: 'valueSize', columnUnit: 'B' } as const;

export const blocksSection: SectionKind = {
  title: 'Block sizes',
  about: 'What a block of 64 bytes to 4 MiB costs, and what it is bound by.',
  charts: ({ cells }) => {
    const blocks = servers(cells);
    const operations = valuesOf(blocks, 'workload').map(String);
    return operations.flatMap((workload) => {
      const own = where(blocks, { workload });
      const id = `blocks-${workload}`;
      return [
        curves(own, {
          ...along,
          id: `${id}-throughput`,
          title: `Bytes of values per second, ${workload}`,
          about: 'Where a curve becomes flat, something other than the number of requests is the limit.',
          figure: 'valueBytesPerSecond',
          yScale: 'log',
        }),
        wordGrid(own, {
          ...across,
          id: `${id}-bound`,
          title: `What each size is bound by, ${workload}`,
          about:
            'Derived from the measured CPU shares and the bare echo; pointing at a cell tells the numbers behind it.',
          note: 'bound',
          detail: 'attribution',
        }),
        heatMap(own, {
          ...across,
          id: `${id}-times`,
          title: `Times and costs of a block, ${workload}`,
          about: 'Best row first. The darker, the further from the best of the column.',
          figures: [
            'sendMeanMicros',
            'sendDeviationMicros',
            'p50Micros',
            'p99Micros',
            'serverMicrosPerOp',
            'generatorMicrosPerOp',
          ],
        }),
      ];
    });
  },
};
