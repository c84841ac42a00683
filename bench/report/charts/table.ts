/** The tables behind the charts, and how figures are written in all of them. */
import type { ReportCell } from '../../results/report.ts';
import type { Summary } from '../../results/statistics.ts';
import { BOUND_MARK } from '../../results/table.ts';
import { type DimensionName, having, varying } from '../cells.ts';
import { describe, kindOf, titleOf } from '../figures.ts';
import { formatValue, type Unit } from '../format.ts';
import type { Table, TableCell } from '../model.ts';

/** What the suite `rate` concludes of a rate that was not reached, in words. */
const LIMITS: Readonly<Record<string, string>> = {
  server: 'the server was saturated',
  generator: 'the load generator was the limit, not the server',
};

/** What every chart has. */
export interface Head {
  readonly id: string;
  readonly title: string;
  readonly about: string;
}

export interface TableOptions {
  readonly figures: readonly string[];
  /** Dimensions that get a column of their own. */
  readonly own?: readonly DimensionName[];
  /** Whether the intervals are shown. Default: true. */
  readonly ranges?: boolean;
}

/** A row for each cell: what tells it from the others, then its figures. */
export function tableOf(cells: readonly ReportCell[], { figures, own = [], ranges = true }: TableOptions): Table {
  const names = varying(cells, own);
  const shown = figures.filter((figure) => having(cells, figure).length > 0);
  return {
    columns: [
      ...(names.length > 0 ? [''] : []),
      ...own.map(titleOf),
      ...shown.map((figure) => axisTitle(kindOf(figure).title, kindOf(figure).unit)),
    ],
    rows: cells.map((cell) => [
      ...(names.length > 0 ? [describe(cell.dimensions, names)] : []),
      ...own.map((name) => String(cell.dimensions[name] ?? '')),
      ...shown.map((figure) => figureCell(cell, figure, ranges)),
    ]),
  };
}

function figureCell(cell: ReportCell, figure: string, ranges: boolean): TableCell {
  const summary = cell.figures[figure];
  if (summary === undefined) return '';
  const { unit } = kindOf(figure);
  return {
    value: summary.median,
    text: boundOf(cell, figure) + formatValue(summary.median, unit),
    ...(ranges && summary.low < summary.high ? { range: rangeText(summary, unit) } : {}),
  };
}

function rangeText({ low, high }: Summary, unit: Unit): string {
  return `${formatValue(low, unit)} to ${formatValue(high, unit)}`;
}

/** What is told of a figure when it is pointed at; `names` are the dimensions that tell the cell from others. */
export function detailOf(cell: ReportCell, figure: string, names: readonly DimensionName[]): string {
  const { unit, title } = kindOf(figure);
  const summary = cell.figures[figure]!;
  const range = summary.low < summary.high ? `\n95 % interval ${rangeText(summary, unit)}` : '';
  const value = boundOf(cell, figure) + formatValue(summary.median, unit);
  const limit = cell.notes?.limit === undefined ? '' : `\n${LIMITS[cell.notes.limit] ?? cell.notes.limit}`;
  return `${describe(cell.dimensions, names)}\n${title}: ${value}${range}${limit}`;
}

/** Throughput that the load generator limited is a lower bound. */
export function boundOf({ generatorLimited }: ReportCell, figure: string): string {
  return generatorLimited === true && kindOf(figure).unit.endsWith('/s') ? `${BOUND_MARK} ` : '';
}

/** With its unit, where that does not follow from the title. */
export function axisTitle(title: string, unit: Unit): string {
  const shown = unit === 'µs' || unit === 'ms' || unit === '%' ? unit : '';
  return shown === '' ? title : `${title} (${shown})`;
}
