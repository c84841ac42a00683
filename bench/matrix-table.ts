/** The suite `matrix` for people: one table per batch size, a row per cell. */
import { cellLabel } from './cell.ts';
import type { MatrixCell, MatrixFlags, MatrixReport } from './matrix.ts';
import type { Figures } from './plan.ts';
import { formatSkipped } from './survey.ts';
import { BEST_MARK, type Cell, type Column, formatNumber, formatRange, renderTable } from './table.ts';

/** Stands before a throughput that the generator limited. */
const BOUND_MARK = '≥';

interface FigureColumn {
  readonly title: string;
  readonly figure: keyof Figures;
  readonly best?: 'highest' | 'lowest';
  readonly format: (value: number) => string;
}

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

/** The tables, what was skipped and why, and how to read it all. */
export function formatMatrix(report: MatrixReport, flags: MatrixFlags): string {
  const { connections, depth, keys, valueSize, rounds, seconds, seed } = flags;
  const tables = [...new Set(report.cells.map(({ batch }) => batch))].map((batch) => {
    const cells = report.cells.filter((cell) => cell.batch === batch);
    return `\nbatch ${batch}\n${formatBatch(cells, rounds)}`;
  });
  const limited = report.cells.some(({ generatorLimited }) => generatorLimited);
  return [
    `YCSB-B, ${keys} keys, values of ${valueSize} bytes, ${connections} connections with ${depth} frame${depth === 1 ? '' : 's'} in flight; `,
    `workload ${report.workload}, seed ${seed}\n`,
    `${rounds} round${rounds === 1 ? '' : 's'} of ${seconds} s, load generator on ${report.generator}\n`,
    ...tables,
    ...(report.skipped.length === 0 ? [] : [`\n${formatSkipped(report.skipped)}`]),
    `\n${BEST_MARK} best of its column. Latency is per frame. Server and generator: CPU time per operation.\n`,
    ...(rounds > 1 ? [`Medians over the rounds; below each, the least and the greatest.\n`] : []),
    ...(limited ? [`${BOUND_MARK} The generator had no CPU left: the server can do at least this much.\n`] : []),
  ].join('');
}

function formatBatch(cells: readonly MatrixCell[], rounds: number): string {
  const head: Column[] = [{ title: '' }, ...columns.map(({ title, best }) => (best ? { title, best } : { title }))];
  const rows = cells.flatMap((cell) => (rounds > 1 ? [medianRow(cell), rangeRow(cell)] : [medianRow(cell)]));
  return renderTable(head, rows);
}

function medianRow({ transport, runtime, generatorLimited, figures }: MatrixCell): Cell[] {
  return [
    { text: cellLabel(transport, runtime) },
    ...columns.map(({ figure, format }) => {
      const value = figures[figure].median;
      const bound = generatorLimited && figure === 'opsPerSecond' ? `${BOUND_MARK} ` : '';
      return { text: `${bound}${format(value)}`, value };
    }),
  ];
}

function rangeRow({ figures }: MatrixCell): Cell[] {
  return [
    { text: '' },
    ...columns.map(({ figure, format }) => {
      return { text: formatRange(figures[figure], format) };
    }),
  ];
}

/** Microseconds without a unit: whole ones, unless there are few. */
function formatBareMicros(micros: number): string {
  return micros < 100 ? micros.toFixed(1) : String(Math.round(micros));
}
