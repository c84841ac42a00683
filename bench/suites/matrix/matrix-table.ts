/** The suite `matrix` for people: a table for each batch size, number of connections and client, a row per cell. */
import { explainCells, type FigureColumn, renderCells } from '../../results/cells-table.ts';
import { clientLabel } from '../../results/clients.ts';
import type { ReportCell } from '../../results/report.ts';
import { formatNumber } from '../../results/table.ts';
import { CONTROL_MARK, cellLabel } from '../../servers/cell.ts';
import type { MatrixFlags, MatrixReport } from './matrix.ts';

/** Values of this length or more are told in bytes per second, too. */
const LONG_VALUE_BYTES = 4096;

const columns: readonly FigureColumn[] = [
  { title: 'ops/s', figure: 'opsPerSecond', best: 'highest', format: formatNumber },
  { title: '', figure: 'opsPerSecond', bar: true, format: formatNumber },
  { title: 'p50 µs', figure: 'p50Micros', best: 'lowest', format: formatBareMicros },
  { title: 'p99 µs', figure: 'p99Micros', best: 'lowest', format: formatBareMicros },
  { title: 'p99.9 µs', figure: 'p999Micros', best: 'lowest', format: formatBareMicros },
  { title: 'p99.99 µs', figure: 'p9999Micros', best: 'lowest', format: formatBareMicros },
  { title: 'server µs/op', figure: 'serverMicrosPerOp', best: 'lowest', format: formatNumber },
  { title: 'user', figure: 'serverUserMicrosPerOp', format: formatNumber },
  { title: 'system', figure: 'serverSystemMicrosPerOp', format: formatNumber },
  { title: 'client µs/op', figure: 'generatorMicrosPerOp', format: formatNumber },
  {
    title: 'peak MiB',
    figure: 'serverPeakBytes',
    best: 'lowest',
    format: (bytes) => String(Math.round(bytes / 2 ** 20)),
  },
];

const valuesColumn: FigureColumn = {
  title: 'values GB/s',
  figure: 'valueBytesPerSecond',
  best: 'highest',
  format: (bytes) => formatNumber(bytes / 1e9),
};

/** The tables, and how to read them. */
export function formatMatrix(report: MatrixReport, flags: MatrixFlags): string {
  const { depth, keys, valueSize, rounds, seconds, generators } = flags;
  const shown = valueSize < LONG_VALUE_BYTES ? columns : columns.toSpliced(2, 0, valuesColumn);
  const controls = report.cells.some(({ dimensions }) => dimensions.control);
  const titles = [...new Set(report.cells.map(groupTitle))];
  return [
    `YCSB-B, ${keys} keys, values of ${valueSize} bytes, ${depth} frame${depth === 1 ? '' : 's'} in flight per connection; `,
    `workload ${report.workload}\n`,
    `${rounds} round${rounds === 1 ? '' : 's'} of ${seconds} s${generators === 1 ? '' : `, ${generators} load generators`}\n`,
    ...titles.map((title) => {
      const cells = report.cells.filter((cell) => groupTitle(cell) === title);
      return `\n${title}\n${formatGroup(cells, shown, controls)}`;
    }),
    '\nLatency is per frame. Server and client: CPU time per operation, the client being the load generator.\n',
    explainCells(report.cells),
    ...(controls
      ? [`${CONTROL_MARK}the same transport without engine and protocol. What these add: server µs/op less that.\n`]
      : []),
  ].join('');
}

/** Cells that can be compared stand in one table. Servers that are reached by WebSocket are among those of any client. */
function groupTitle({ dimensions }: ReportCell): string {
  const { batch, connections } = dimensions;
  return `batch ${batch}, ${connections} connection${connections === 1 ? '' : 's'}`;
}

function formatGroup(cells: readonly ReportCell[], shown: readonly FigureColumn[], controls: boolean): string {
  const added: FigureColumn = {
    title: 'added µs/op',
    figure: (cell) => addedMicrosPerOp(cell, cells),
    format: formatNumber,
  };
  return renderCells({
    label: serverLabel,
    columns: controls ? [...shown, added] : shown,
    cells,
  });
}

/** What the cell costs beyond its control, of the medians. */
function addedMicrosPerOp(cell: ReportCell, cells: readonly ReportCell[]): number | undefined {
  if (cell.dimensions.control === true) return undefined;
  const control = cells.find((one) => one.dimensions.control === true && rowLabel(one) === rowLabel(cell));
  if (control === undefined) return undefined;
  return cell.figures.serverMicrosPerOp!.median - control.figures.serverMicrosPerOp!.median;
}

function rowLabel(cell: ReportCell): string {
  const { transport, runtime } = cell.dimensions;
  return `${cellLabel(transport!, runtime!)} < ${clientLabel(cell)}`;
}

function serverLabel({ dimensions }: ReportCell): string {
  const { transport, runtime, control } = dimensions;
  return `${control === true ? CONTROL_MARK : ''}${cellLabel(transport!, runtime!)}`;
}

/** Microseconds without a unit: whole ones, unless there are few. */
function formatBareMicros(micros: number): string {
  return micros < 100 ? micros.toFixed(1) : String(Math.round(micros));
}
