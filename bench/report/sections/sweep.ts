import { type DimensionName, valuesOf } from '../cells.ts';
import { curves } from '../charts/curves.ts';
import { titleOf } from '../figures.ts';
import type { SectionKind } from './section.ts';

/** What can be swept, and what it is counted in. */
const SWEPT: readonly (readonly [DimensionName, '' | 'B'])[] = [
  ['keys', ''],
  ['valueSize', 'B'],
  ['connections', ''],
  ['batch', ''],
  ['shards', ''],
];

export const sweepSection: SectionKind = {
  title: 'How cost grows',
  about: 'One thing varies over a range, everything else stays.',
  charts: ({ cells }) => {
    const [x, xUnit] = SWEPT.find(([name]) => valuesOf(cells, name).length > 1) ?? SWEPT[2]!;
    const along = { x, xUnit, xScale: 'log', yScale: 'log', panel: 'runtime' } as const;
    return [
      curves(cells, {
        ...along,
        id: 'sweep-cpu',
        title: `Server CPU per operation by ${titleOf(x)}`,
        about: 'CPU time of the whole server process.',
        figure: 'serverMicrosPerOp',
      }),
      curves(cells, {
        ...along,
        id: 'sweep-throughput',
        title: `Throughput by ${titleOf(x)}`,
        about: 'Operations whose replies were complete.',
        figure: 'opsPerSecond',
      }),
      curves(cells, {
        ...along,
        id: 'sweep-p99',
        title: `Latency by ${titleOf(x)}, p99`,
        about: 'Of a frame, in a closed loop.',
        figure: 'p99Micros',
      }),
    ];
  },
};
