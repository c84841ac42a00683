import { curves } from '../charts/curves.ts';
import type { SectionKind } from './section.ts';

const along = { x: 'rate', xScale: 'linear', xFigure: 'opsPerSecond', yScale: 'log', panel: 'runtime' } as const;

export const rateSection: SectionKind = {
  title: 'Latency at a load',
  about: 'An open loop at fixed rates: latency counts from when an operation was due, whenever it was really sent.',
  charts: ({ cells }) => {
    const rated = cells.filter(({ dimensions }) => typeof dimensions.rate === 'number');
    return [
      curves(rated, {
        ...along,
        id: 'rate-p99',
        title: 'Latency against throughput, p99',
        about: 'Where a curve turns upwards the server is saturated.',
        figure: 'p99Micros',
      }),
      curves(rated, {
        ...along,
        id: 'rate-p50',
        title: 'Latency against throughput, p50',
        about: 'What half of the operations waited at most.',
        figure: 'p50Micros',
      }),
    ];
  },
};
