/** Heat maps from cells: rows are what varies besides the column. */
import type { ReportCell } from '../../results/report.ts';
import { byName, type DimensionName, having, valuesOf, varying } from '../cells.ts';
import { describe, kindOf, titleOf } from '../figures.ts';
import { formatTick, formatValue, type Unit } from '../format.ts';
import type { HeatMap } from '../model.ts';
import { boundOf, detailOf, type Head, tableOf } from './table.ts';

export interface HeatOptions extends Head {
  readonly column: DimensionName;
  readonly columnUnit?: Unit;
  /** Each is a view; the order of the rows is that of the first. */
  readonly figures: readonly string[];
}

/** What is this many times worse than the best of its column has the darkest shade, and all beyond it. */
const DARKEST_RATIO = 2.5;

/** The best row first, by the geometric mean of how far it is from the best of each column. Undefined without cells. */
export function heatMap(all: readonly ReportCell[], options: HeatOptions): HeatMap | undefined {
  const { column, columnUnit = '', figures, ...head } = options;
  const cells = having(all, ...figures.slice(0, 1)).filter(({ dimensions }) => dimensions[column] != null);
  if (cells.length === 0) return undefined;
  const names = varying(cells, [column]);
  const everything = varying(cells);
  const nameOf = ({ dimensions }: ReportCell): string =>
    describe(dimensions, names.length > 0 ? names : ['transport', 'runtime']);
  const columnOf = ({ dimensions }: ReportCell): string => {
    const value = dimensions[column];
    return typeof value === 'number' ? formatTick(value, columnUnit) : String(value);
  };
  const best = bestOfColumns(cells, column);
  const ratioOf = (cell: ReportCell, figure: string): number => {
    const [a, b] = [cell.figures[figure]!.median, best(cell, figure)];
    return kindOf(figure).best === 'highest' ? b / a : a / b;
  };
  const rank = (own: readonly ReportCell[]): number =>
    own.reduce((sum, cell) => sum + Math.log(ratioOf(cell, figures[0]!)), 0) / own.length;
  const rows = byName(cells, names)
    .map(([, own]) => ({ name: nameOf(own[0]!), rank: rank(own) }))
    .sort((a, b) => a.rank - b.rank)
    .map(({ name }) => name);
  return {
    kind: 'heat',
    ...head,
    rows,
    columns: valuesOf(cells, column).map((value) => columnOf({ dimensions: { [column]: value }, figures: {} })),
    columnTitle: titleOf(column),
    views: figures
      .filter((figure) => having(cells, figure).length > 0)
      .map((figure) => ({
        title: kindOf(figure).title,
        cells: having(cells, figure).map((cell) => {
          const ratio = ratioOf(cell, figure);
          const place = ratio > 1 ? `${formatValue(ratio, '×')} the best of its column` : 'the best of its column';
          return {
            row: nameOf(cell),
            column: columnOf(cell),
            text: boundOf(cell, figure) + formatValue(cell.figures[figure]!.median, shortUnit(kindOf(figure).unit)),
            shade: Math.min(1, Math.log(ratio) / Math.log(DARKEST_RATIO)),
            detail: `${detailOf(cell, figure, everything)}\n${place}`,
          };
        }),
      })),
    table: tableOf(cells, { figures, own: [column] }),
  };
}

/** The best median of a figure in a cell's column. */
function bestOfColumns(cells: readonly ReportCell[], column: DimensionName) {
  return ({ dimensions }: ReportCell, figure: string): number => {
    const same = having(cells, figure).filter((one) => one.dimensions[column] === dimensions[column]);
    const medians = same.map((one) => one.figures[figure]!.median);
    return kindOf(figure).best === 'highest' ? Math.max(...medians) : Math.min(...medians);
  };
}

/** The view's title says it, so a rate needs no unit. */
function shortUnit(unit: Unit): Unit {
  return unit === '/s' ? '' : unit;
}

export interface GridOptions extends Omit<HeatOptions, 'figures'> {
  /** The note that is shown. */
  readonly note: string;
  /** The note that explains it; pointing at a cell shows it. */
  readonly detail: string;
}

/** Words in a grid: what a suite concludes of each cell. All of a word have the same shade. Undefined without any. */
export function wordGrid(all: readonly ReportCell[], options: GridOptions): HeatMap | undefined {
  const { column, columnUnit = '', note, detail, ...head } = options;
  const cells = all.filter(({ dimensions, notes }) => dimensions[column] != null && notes?.[note] !== undefined);
  if (cells.length === 0) return undefined;
  const names = varying(cells, [column]);
  const nameOf = ({ dimensions }: ReportCell): string =>
    describe(dimensions, names.length > 0 ? names : ['transport', 'runtime']);
  const words = [...new Set(cells.map(({ notes }) => notes![note]!))];
  const columnOf = (value: unknown): string =>
    typeof value === 'number' ? formatTick(value, columnUnit) : String(value);
  return {
    kind: 'heat',
    ...head,
    rows: [...new Set(cells.map(nameOf))],
    columns: valuesOf(cells, column).map(columnOf),
    columnTitle: titleOf(column),
    views: [
      {
        title: note,
        cells: cells.map((cell) => {
          const word = cell.notes![note]!;
          const place = `${nameOf(cell)}, ${columnOf(cell.dimensions[column])}`;
          return {
            row: nameOf(cell),
            column: columnOf(cell.dimensions[column]),
            text: word,
            shade: words.length === 1 ? 0 : words.indexOf(word) / (words.length - 1),
            detail: [place, ...(cell.notes![detail] ?? word).split('; ')].join('\n'),
          };
        }),
      },
    ],
    table: {
      columns: ['', titleOf(column), note, detail],
      rows: cells.map((cell) => [
        nameOf(cell),
        columnOf(cell.dimensions[column]),
        cell.notes![note]!,
        cell.notes![detail] ?? '',
      ]),
    },
  };
}
