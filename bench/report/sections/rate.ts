import type { ReportCell } from '../../results/report.ts';
import { having } from '../cells.ts';
import { curves } from '../charts/curves.ts';
import { list, namingOf } from '../words.ts';
import type { SectionKind } from './section.ts';

const along = { x: 'rate', xScale: 'linear', xFigure: 'opsPerSecond', yScale: 'log', panel: 'runtime' } as const;

export const rateSection: SectionKind = {
  title: 'Latency at a load',
  about: 'An open loop at fixed rates: latency counts from when an operation was due, whenever it was really sent.',
  charts: ({ cells }) => {
    const rated = ratedOf(cells);
    return [
      curves(rated, {
        ...along,
        id: 'rate-p99',
        title: 'Latency against throughput, p99',
        about:
          'Where a curve turns upwards the server is saturated, or the load generator was late: pointing at it says which.',
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
  notes: ({ cells }) => [...lateNotes(ratedOf(cells)), ...highestNotes(having(cells, 'highestOpsPerSecond'))],
};

function ratedOf(cells: readonly ReportCell[]): readonly ReportCell[] {
  return cells.filter(({ dimensions }) => typeof dimensions.rate === 'number');
}

/** Latency at these rates says nothing of the servers. */
function lateNotes(rated: readonly ReportCell[]): readonly string[] {
  const late = rated.filter(isLimited);
  if (late.length === 0) return [];
  const counts = `${late.length} of ${rated.length} points`;
  return [`At ${counts} the load generator was the limit, not the server: it was late itself, and latency shows that.`];
}

function highestNotes(highest: readonly ReportCell[]): readonly string[] {
  const bounds = highest.filter(isLimited);
  if (bounds.length === 0) return [];
  const names = list(bounds.map(namingOf(highest)), bounds.length);
  return [
    `The highest rate (marked ≥) of ${names} was found where the load generator became the limit: the server may be good for more.`,
  ];
}

function isLimited({ notes }: ReportCell): boolean {
  return notes?.limit === 'generator';
}
