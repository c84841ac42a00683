import type { ReportCell } from '../../results/report.ts';
import { valuesOf, where } from '../cells.ts';
import { bars } from '../charts/bars.ts';
import { curves } from '../charts/curves.ts';
import { heatMap } from '../charts/heat-map.ts';
import type { SectionKind } from './section.ts';

const PREFIX = 'serverCallsPerOp.';

/** So many calls have a part of the bar of their own, the others are one. */
const NAMED_CALLS = 7;

export const syscallsSection: SectionKind = {
  title: 'System calls',
  about: 'What the server asks of the kernel for one operation after the other, each in a frame of its own.',
  charts: ({ cells }) => {
    const most = valuesOf(cells, 'operations').at(-1);
    const long = most === undefined ? cells : where(cells, { operations: Number(most) });
    return [
      callBars(long),
      heatMap(cells, {
        id: 'syscalls-heat',
        title: 'By the number of operations',
        about: 'What is done once, such as accepting a connection, counts less the more operations there are.',
        column: 'operations',
        figures: ['serverCallsPerOp', 'voluntarySwitchesPerOp', 'serverMicrosPerOp', 'elapsedMicrosPerOp'],
      }),
      valuesOf(cells, 'connections').length < 2
        ? undefined
        : curves(long, {
            id: 'syscalls-connections',
            title: 'Calls per operation by connections',
            about: 'What a turn of the event loop collects.',
            x: 'connections',
            xScale: 'log',
            figure: 'serverCallsPerOp',
            yScale: 'log',
            panel: 'runtime',
          }),
    ];
  },
};

/** The most frequent calls by name. */
function callBars(cells: readonly ReportCell[]) {
  const per = (cell: ReportCell, name: string): number => cell.figures[PREFIX + name]?.median ?? 0;
  const names = [
    ...new Set(
      cells.flatMap(({ figures }) =>
        Object.keys(figures)
          .filter((figure) => figure.startsWith(PREFIX))
          .map((figure) => figure.slice(PREFIX.length)),
      ),
    ),
  ];
  if (names.length === 0) return undefined;
  const inAll = (name: string): number => cells.reduce((sum, cell) => sum + per(cell, name), 0);
  const sorted = names.filter((name) => inAll(name) > 0).sort((a, b) => inAll(b) - inAll(a));
  const [named, rest] = [sorted.slice(0, NAMED_CALLS), sorted.slice(NAMED_CALLS)];
  return bars(cells, {
    id: 'syscalls-calls',
    title: 'System calls per operation',
    about: 'Of the server process, all its threads, by the name of the call.',
    parts: [
      ...named.map((name) => ({ name, value: (cell: ReportCell) => per(cell, name) })),
      ...(rest.length === 0
        ? []
        : [
            {
              name: 'others',
              value: (cell: ReportCell) => rest.reduce((sum, name) => sum + per(cell, name), 0),
            },
          ]),
    ],
    xTitle: 'system calls per operation',
    unit: '',
    figures: sorted.map((name) => PREFIX + name),
  });
}
