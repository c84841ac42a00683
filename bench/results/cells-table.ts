/** The cells of a report as a table for a terminal: a row for each, its intervals below. */
import { clientMark } from './clients.ts';
import type { ReportCell } from './report.ts';
import { BEST_MARK, BOUND_MARK, type Cell, type Column, formatInterval, renderTable } from './table.ts';

/** The figure that is a lower bound where the generator was the limit. */
const BOUNDED_FIGURE = 'opsPerSecond';

export interface FigureColumn extends Column {
  /** The figure or percentile that it shows; or what to make of a cell, undefined for nothing. */
  readonly figure: string | ((cell: ReportCell) => number | undefined);
  readonly format: (value: number) => string;
}

export interface CellsTable {
  /** The name of a row. Where the cells have several clients, each row names its own behind it. */
  readonly label: (cell: ReportCell) => string;
  readonly columns: readonly FigureColumn[];
  readonly cells: readonly ReportCell[];
  /** Which cells are compared with each other for the best of a column; default: all of them but the controls. */
  readonly compared?: (cell: ReportCell) => boolean;
  /** Which rows name their clients; default: all. */
  readonly namesClient?: (cell: ReportCell) => boolean;
}

/** The table, with a bar before the first column whose cells are compared. */
export function renderCells(table: CellsTable): string {
  const { label, columns, cells, compared = isNoControl, namesClient = () => true } = table;
  const clientOf = clientMark(cells);
  return renderTable(
    [{ title: '' }, ...columns],
    cells.flatMap((cell) => {
      const medians = columns.map((column) => medianCell(cell, column, compared(cell)));
      const intervals = columns.map((column) => ({ text: intervalText(cell, column) }));
      const row = [{ text: `${label(cell)}${namesClient(cell) ? clientOf(cell) : ''}` }, ...medians];
      return intervals.some(({ text }) => text !== '') ? [row, [{ text: '' }, ...intervals]] : [row];
    }),
  );
}

/** How to read what `renderCells` shows. */
export function explainCells(cells: readonly ReportCell[]): string {
  const intervals = cells.some(({ figures }) => Object.values(figures).some(({ low, high }) => low !== high));
  const limited = cells.some(({ generatorLimited }) => generatorLimited);
  return [
    `${BEST_MARK} best of its column.`,
    ...(intervals
      ? [
          'Medians over the rounds; below each, its 95 % confidence interval (bootstrap). Percentiles are of all rounds.',
        ]
      : []),
    ...(limited ? [`${BOUND_MARK} The generator had no CPU left: the server can do at least this much.`] : []),
  ]
    .map((line) => `${line}\n`)
    .join('');
}

/** The median of a figure, a percentile, or what the column makes of the cell. */
export function cellValue({ figures, percentiles }: ReportCell, name: string): number | undefined {
  return figures[name]?.median ?? (percentiles as Readonly<Record<string, number>> | undefined)?.[name];
}

function medianCell(cell: ReportCell, { figure, format }: FigureColumn, compared: boolean): Cell {
  const value = typeof figure === 'string' ? cellValue(cell, figure) : figure(cell);
  if (value === undefined) return { text: '' };
  const bound = cell.generatorLimited === true && figure === BOUNDED_FIGURE ? `${BOUND_MARK} ` : '';
  const text = `${bound}${format(value)}`;
  return compared ? { text, value } : { text };
}

function intervalText({ figures }: ReportCell, { figure, format, bar }: FigureColumn): string {
  const summary = typeof figure === 'string' ? figures[figure] : undefined;
  return summary === undefined || bar === true ? '' : formatInterval(summary, format);
}

function isNoControl({ dimensions }: ReportCell): boolean {
  return dimensions.control !== true;
}
