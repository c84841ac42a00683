/** The suite `ycsb` for people: a table for the load phase and one for each workload, a row per server and operation. */
import type { TransportName } from '../../../transports/transport.ts';
import { explainCells, type FigureColumn, renderCells } from '../../results/cells-table.ts';
import type { ReportCell } from '../../results/report.ts';
import { formatMicros, formatNumber } from '../../results/table.ts';
import { cellLabel } from '../../servers/cell.ts';
import type { WorkloadName } from './workload-names.ts';
import { workloads } from './workloads.ts';
import { ALL_OPERATIONS, workloadLabel, type YcsbFlags, type YcsbReport } from './ycsb.ts';

const columns: readonly FigureColumn[] = [
  { title: 'ops/s', figure: 'opsPerSecond', best: 'highest', format: formatNumber },
  { title: '', figure: ofAll('opsPerSecond'), bar: true, format: formatNumber },
  { title: 'server µs/op', figure: 'serverMicrosPerOp', best: 'lowest', format: formatNumber },
  { title: 'client µs/op', figure: 'generatorMicrosPerOp', format: formatNumber },
  { title: 'mean', figure: 'meanMicros', format: formatMicros },
  { title: 'deviation', figure: 'standardDeviationMicros', format: formatMicros },
  { title: 'p50', figure: 'p50Micros', format: formatMicros },
  { title: 'p99', figure: 'p99Micros', format: formatMicros },
  { title: 'p99.9', figure: 'p999Micros', format: formatMicros },
  { title: 'p99.99', figure: 'p9999Micros', format: formatMicros },
  { title: 'max', figure: 'maxMicros', format: formatMicros },
];

const lostColumn: FigureColumn = {
  title: 'lost CAS/op',
  figure: 'lostPerReadModifyWrite',
  format: formatNumber,
};

/** The tables, and how to read them. */
export function formatYcsb({ cells, drawn }: YcsbReport, flags: YcsbFlags): string {
  const { records, fields, fieldSize, connections, rounds, seconds } = flags;
  return [
    `${records} records of ${fields} × ${fieldSize} bytes, ${connections} connections with one operation in flight; `,
    `${rounds} × ${seconds} s\n`,
    ...[null, ...flags.workloads].map((workload) => {
      const shown = cells.filter(({ dimensions }) => dimensions.workload === workloadLabel(workload));
      const table = renderCells({
        label: rowLabel,
        columns: workload === 'F' && flags.writeBack === 'cas' ? [...columns, lostColumn] : columns,
        cells: shown,
        compared: isOfAll,
        namesClient: isOfAll,
      });
      return `\n${title(workload, flags, workload === null ? undefined : drawn[workload])}\n${table}`;
    }),
    '\nIn the first row of a server: all its operations, and CPU time for each, the client being the load generator. Below it,\n',
    'latency of each kind. Mean and deviation are of the samples themselves (Welford), percentiles of their histogram.\n',
    ...(flags.workloads.includes('F')
      ? ['The requests of a read-modify-write count as read and update, too, as in YCSB.\n']
      : []),
    explainCells(cells),
  ].join('');
}

function title(workload: WorkloadName | null, { distribution }: YcsbFlags, drawn: string | undefined): string {
  if (workload === null) return 'load phase: every record is inserted';
  const { about, shares, distribution: own } = workloads[workload];
  const parts = Object.entries(shares).map(([operation, share]) => `${share * 100} % ${wordsOf(operation)}`);
  return `workload ${workload}, ${about}: ${parts.join(', ')}; ${distribution ?? own}${drawn === undefined ? '' : `, drawn ${drawn}`}`;
}

function rowLabel({ dimensions }: ReportCell): string {
  const { operation, transport, runtime } = dimensions;
  if (operation === ALL_OPERATIONS) return cellLabel(transport as TransportName, runtime!);
  return `  ${wordsOf(operation!)}`;
}

/** `readModifyWrite` as people write it. */
function wordsOf(operation: string): string {
  return operation.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

function isOfAll({ dimensions }: ReportCell): boolean {
  return dimensions.operation === ALL_OPERATIONS;
}

function ofAll(figure: string): (cell: ReportCell) => number | undefined {
  return (cell) => (isOfAll(cell) ? cell.figures[figure]?.median : undefined);
}
