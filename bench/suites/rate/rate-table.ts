/** The suite `rate` for people: the curve of each cell, a row per rate, and what all of them come to. */
import { cellValue, type FigureColumn, renderCells } from '../../results/cells-table.ts';
import { clientMark } from '../../results/clients.ts';
import type { ReportCell } from '../../results/report.ts';
import { BEST_MARK, BOUND_MARK, formatMicros, formatNumber } from '../../results/table.ts';
import { cellLabel } from '../../servers/cell.ts';
import { HIGHEST_PHASE, type RateFlags, type RateReport } from './rate.ts';
import { SATURATED_SHARE } from './rate-plan.ts';

const curveColumns: readonly FigureColumn[] = [
  { title: 'ops/s', figure: 'opsPerSecond', format: formatNumber },
  { title: 'p50', figure: 'p50Micros', format: formatMicros },
  { title: 'p99', figure: 'p99Micros', format: formatMicros },
  { title: 'p99.9', figure: 'p999Micros', format: formatMicros },
  { title: 'p99.99', figure: 'p9999Micros', format: formatMicros },
  { title: 'late p99', figure: 'lateP99Micros', format: formatMicros },
  { title: 'server µs/op', figure: 'serverMicrosPerOp', format: formatNumber },
  { title: 'cores', figure: 'serverCores', format: formatNumber },
];

/** Stands behind a rate that was not reached, and behind a server for whose highest rate the generator may be to blame. */
const LIMITS: Readonly<Record<string, string>> = { server: ' saturated', generator: ' generator' };

export function formatRate({ cells, workload }: RateReport, flags: RateFlags): string {
  const { connections, depth, keys, valueSize, rounds, seconds, limitMs } = flags;
  const rated = cells.filter(({ dimensions }) => dimensions.phase !== HIGHEST_PHASE);
  const clientOf = clientMark(rated);
  const curveTitle = (cell: ReportCell): string =>
    `batch ${cell.dimensions.batch}, ${serverLabel(cell)}${clientOf(cell)}`;
  const curves = [...new Set(rated.map(curveTitle))];
  return [
    `YCSB-B, ${keys} keys, values of ${valueSize} bytes, ${connections} connections, at most ${depth} frames in flight on each; `,
    `workload ${workload}\n${rounds} round${rounds === 1 ? '' : 's'}, ${seconds} s at each of its rates\n`,
    ...curves.map((title) => {
      const same = rated.filter((cell) => curveTitle(cell) === title);
      return `\n${title}\n${renderCells({ label: rateLabel, columns: curveColumns, cells: same })}`;
    }),
    ...flags.batches.map((batch) => formatHighest(cells, batch, limitMs)),
    '\nRates are of all connections together. Latency counts from the time a frame was due, in the closed loop from its being sent; ',
    'late: how long\nafter that the generator found it due. saturated: less than ',
    `${SATURATED_SHARE * 100} % of what was due was answered, so latency is that of a queue that grows.\n`,
    'generator: its lateness is more than half of the latency, which says nothing of the server then; behind a highest rate: so it was at\n',
    'the next rate above, and the server may be good for more.\n',
    `${BEST_MARK} best of its column. ${BOUND_MARK} The generator had no CPU left.\n`,
    ...(rounds > 1 ? ['Medians over the rounds, below each its 95 % interval; percentiles are of all rounds.\n'] : []),
  ].join('');
}

function serverLabel({ dimensions: { transport, runtime } }: ReportCell): string {
  return cellLabel(transport!, runtime!);
}

function rateLabel(cell: ReportCell): string {
  const { rate } = cell.dimensions;
  if (rate === null || rate === undefined) return 'closed loop';
  return `${formatNumber(rate)}/s${limitMark(cell)}`;
}

function limitMark({ notes }: ReportCell): string {
  return LIMITS[notes?.limit ?? ''] ?? '';
}

function formatHighest(cells: readonly ReportCell[], batch: number, limitMs: number): string {
  const same = cells.filter(({ dimensions }) => dimensions.batch === batch);
  const closed = (cell: ReportCell): number | undefined => {
    const found = same.find(({ dimensions }) => dimensions.rate === null && isOf(dimensions, cell));
    return found && cellValue(found, 'opsPerSecond');
  };
  const columns: readonly FigureColumn[] = [
    {
      title: `ops/s at p99 < ${limitMs} ms`,
      figure: 'highestOpsPerSecond',
      format: (opsPerSecond) => (opsPerSecond === 0 ? 'none' : formatNumber(opsPerSecond)),
    },
    { title: '', figure: 'highestOpsPerSecond', bar: true, format: formatNumber },
    { title: 'closed loop', figure: closed, best: 'highest', format: formatNumber },
  ];
  const table = renderCells({
    label: (cell) => `${serverLabel(cell)}${limitMark(cell)}`,
    columns,
    cells: same.filter(({ dimensions }) => dimensions.phase === HIGHEST_PHASE),
  });
  return `\nbatch ${batch}, the highest rates\n${table}`;
}

function isOf(dimensions: ReportCell['dimensions'], cell: ReportCell): boolean {
  return dimensions.transport === cell.dimensions.transport && dimensions.runtime === cell.dimensions.runtime;
}
