/** The suite `matrix` for people: one table per batch size, a row per cell. */

import type { Figures } from '../../load/plan.ts';
import { BEST_MARK, type Cell, type Column, formatNumber, formatRange, renderTable } from '../../results/table.ts';
import { CONTROL_MARK, cellLabel } from '../../servers/cell.ts';
import { formatSkipped } from '../../servers/survey.ts';
import type { MatrixCell, MatrixFlags, MatrixReport } from './matrix.ts';

/** Stands before a throughput that the generator limited. */
const BOUND_MARK = '≥';

interface FigureColumn {
  readonly title: string;
  readonly figure: keyof Figures;
  readonly best?: 'highest' | 'lowest';
  readonly format: (value: number) => string;
}

/** Values of this length or more are told in bytes per second, too. */
const LONG_VALUE_BYTES = 4096;

const columns: readonly FigureColumn[] = [
  { title: 'ops/s', figure: 'opsPerSecond', best: 'highest', format: formatNumber },
  { title: 'p50 µs', figure: 'p50Micros', best: 'lowest', format: formatBareMicros },
  { title: 'p99 µs', figure: 'p99Micros', best: 'lowest', format: formatBareMicros },
  { title: 'p99.9 µs', figure: 'p999Micros', best: 'lowest', format: formatBareMicros },
  { title: 'server µs/op', figure: 'serverMicrosPerOp', best: 'lowest', format: formatNumber },
  { title: 'user', figure: 'serverUserMicrosPerOp', format: formatNumber },
  { title: 'system', figure: 'serverSystemMicrosPerOp', format: formatNumber },
  { title: 'generator µs/op', figure: 'generatorMicrosPerOp', format: formatNumber },
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

/** The tables, what was skipped and why, and how to read it all. */
export function formatMatrix(report: MatrixReport, flags: MatrixFlags): string {
  const { connections, depth, keys, valueSize, rounds, seconds, seed } = flags;
  const shown = valueSize < LONG_VALUE_BYTES ? columns : columns.toSpliced(1, 0, valuesColumn);
  const tables = [...new Set(report.cells.map(({ batch }) => batch))].map((batch) => {
    const cells = report.cells.filter((cell) => cell.batch === batch);
    return `\nbatch ${batch}\n${formatBatch(cells, shown, rounds)}`;
  });
  const limited = report.cells.some(({ generatorLimited }) => generatorLimited);
  const controls = report.cells.some(({ control }) => control);
  return [
    `YCSB-B, ${keys} keys, values of ${valueSize} bytes, ${connections} connections with ${depth} frame${depth === 1 ? '' : 's'} in flight; `,
    `workload ${report.workload}, seed ${seed}\n`,
    `${rounds} round${rounds === 1 ? '' : 's'} of ${seconds} s, load generator on ${report.generator} over ${report.clientTransport}\n`,
    ...tables,
    ...(report.skipped.length === 0 ? [] : [`\n${formatSkipped(report.skipped)}`]),
    `\n${BEST_MARK} best of its column. Latency is per frame. Server and generator: CPU time per operation.\n`,
    ...(rounds > 1 ? [`Medians over the rounds; below each, the least and the greatest.\n`] : []),
    ...(controls
      ? [`${CONTROL_MARK}the same transport without engine and protocol. What these add: server µs/op less that.\n`]
      : []),
    ...(limited ? [`${BOUND_MARK} The generator had no CPU left: the server can do at least this much.\n`] : []),
  ].join('');
}

function formatBatch(cells: readonly MatrixCell[], shown: readonly FigureColumn[], rounds: number): string {
  const controls = cells.filter(({ control }) => control);
  const head: Column[] = [
    { title: '' },
    ...shown.map(({ title, best }) => (best ? { title, best } : { title })),
    ...(controls.length === 0 ? [] : [{ title: 'added µs/op' }]),
  ];
  const rows = cells.flatMap((cell) => {
    const own = controls.find(({ runtime, transport }) => runtime === cell.runtime && transport === cell.transport);
    const added = own === undefined ? [] : [{ text: cell.control ? '' : formatAdded(cell, own) }];
    const range = own === undefined ? [] : [{ text: '' }];
    return [[...medianRow(cell, shown), ...added], ...(rounds > 1 ? [[...rangeRow(cell, shown), ...range]] : [])];
  });
  return renderTable(head, rows);
}

/** What the cell costs beyond its control. */
function formatAdded(cell: MatrixCell, control: MatrixCell): string {
  return formatNumber(cell.figures.serverMicrosPerOp.median - control.figures.serverMicrosPerOp.median);
}

/** Controls are not compared: they do no work. */
function medianRow(
  { transport, runtime, control, generatorLimited, figures }: MatrixCell,
  shown: readonly FigureColumn[],
): Cell[] {
  return [
    { text: `${control ? CONTROL_MARK : ''}${cellLabel(transport, runtime)}` },
    ...shown.map(({ figure, format }): Cell => {
      const value = figures[figure].median;
      const bound = generatorLimited && figure === 'opsPerSecond' ? `${BOUND_MARK} ` : '';
      const text = `${bound}${format(value)}`;
      return control ? { text } : { text, value };
    }),
  ];
}

function rangeRow({ figures }: MatrixCell, shown: readonly FigureColumn[]): Cell[] {
  return [
    { text: '' },
    ...shown.map(({ figure, format }) => {
      return { text: formatRange(figures[figure], format) };
    }),
  ];
}

/** Microseconds without a unit: whole ones, unless there are few. */
function formatBareMicros(micros: number): string {
  return micros < 100 ? micros.toFixed(1) : String(Math.round(micros));
}
