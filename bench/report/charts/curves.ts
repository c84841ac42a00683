/** Curves from cells: a figure along a dimension, or along another figure. */
import type { ReportCell } from '../../results/report.ts';
import { byName, type DimensionName, having, valuesOf, varying } from '../cells.ts';
import { describe, kindOf, titleOf } from '../figures.ts';
import { formatTick, formatValue, type Unit } from '../format.ts';
import { lookOf } from '../looks.ts';
import type { Axis, LineChart, Panel, Point, Series } from '../model.ts';
import { split } from './panels.ts';
import { axisTitle, detailOf, type Head, tableOf } from './table.ts';

export interface CurveOptions extends Head {
  /** The dimension along which the figure is drawn. */
  readonly x: DimensionName;
  readonly xScale: Axis['scale'];
  readonly xUnit?: Unit;
  /** Drawn instead of the dimension: what came out, along the dimension's values. */
  readonly xFigure?: string;
  readonly figure: string;
  readonly yScale: 'log' | 'linear';
  /** A panel for each of its values. */
  readonly panel?: DimensionName;
}

/** A line for each combination of the other dimensions that vary. Undefined without cells. */
export function curves(all: readonly ReportCell[], options: CurveOptions): LineChart | undefined {
  const { x, xScale, xFigure, figure, yScale, panel, id, title, about } = options;
  const wanted = [figure, ...(xFigure === undefined ? [] : [xFigure])];
  const cells = having(all, ...wanted)
    .filter(({ dimensions }) => dimensions[x] != null)
    .sort((a, b) => Number(a.dimensions[x]) - Number(b.dimensions[x]));
  if (cells.length === 0) return undefined;
  const { unit } = kindOf(figure);
  const xUnit = xFigure === undefined ? (options.xUnit ?? '') : kindOf(xFigure).unit;
  const names = varying(cells);
  const wordOf = (value: unknown): string => (typeof value === 'number' ? formatTick(value, xUnit) : String(value));
  const placeOf = (cell: ReportCell): number | string => {
    if (xFigure !== undefined) return cell.figures[xFigure]!.median;
    return xScale === 'band' ? wordOf(cell.dimensions[x]) : Number(cell.dimensions[x]);
  };
  const pointOf = (cell: ReportCell): Point => {
    const { median, low, high } = cell.figures[figure]!;
    const range = low < high ? { range: [low, high] as const } : {};
    return { x: placeOf(cell), y: median, ...range, detail: detailOf(cell, figure, names) };
  };
  return {
    kind: 'lines',
    id,
    title,
    about,
    x: {
      title: axisTitle(xFigure === undefined ? titleOf(x) : kindOf(xFigure).title, xUnit),
      unit: xUnit,
      scale: xScale,
      ...(xScale === 'band' ? { words: valuesOf(cells, x).map(wordOf) } : {}),
    },
    y: { title: axisTitle(kindOf(figure).title, unit), unit, scale: yScale },
    panels: panelsOf(cells, { panel, x }, (cell) => [pointOf(cell)]),
    table: tableOf(cells, { figures: [...wanted].reverse(), own: [x] }),
  };
}

/** The percentages at which latency is drawn, by their names in the JSON. */
const PERCENTILES = [
  ['p50Micros', 50],
  ['p90Micros', 90],
  ['p99Micros', 99],
  ['p999Micros', 99.9],
  ['p9999Micros', 99.99],
] as const;

/** Latency by percentile: the further to the right, the rarer. Undefined when no cell has a histogram. */
export function percentileCurves(
  all: readonly ReportCell[],
  { panel, ...head }: Head & { readonly panel?: DimensionName },
): LineChart | undefined {
  const cells = all.filter(({ percentiles }) => percentiles !== undefined);
  if (cells.length === 0) return undefined;
  const names = varying(cells);
  return {
    kind: 'lines',
    ...head,
    x: {
      title: 'percentile',
      unit: '',
      scale: 'log',
      ticks: PERCENTILES.map(([, percent]) => ({ value: rarity(percent), text: `p${percent}` })),
    },
    y: { title: 'latency (µs)', unit: 'µs', scale: 'log' },
    panels: panelsOf(cells, { panel }, ({ dimensions, percentiles }) =>
      PERCENTILES.map(([name, percent]) => ({
        x: rarity(percent),
        y: percentiles![name],
        detail: `${describe(dimensions, names)}\np${percent}: ${formatValue(percentiles![name], 'µs')}`,
      })),
    ),
    table: {
      columns: ['', ...PERCENTILES.map(([, percent]) => `p${percent}`), 'longest'],
      rows: cells.map(({ dimensions, percentiles }) => [
        describe(dimensions, names),
        ...[...PERCENTILES.map(([name]) => name), 'maxMicros' as const].map((name) => ({
          value: percentiles![name],
          text: formatValue(percentiles![name], 'µs'),
        })),
      ]),
    },
  };
}

/** One in how many is beyond a percentile. */
function rarity(percent: number): number {
  return Number((100 / (100 - percent)).toPrecision(6));
}

function panelsOf(
  cells: readonly ReportCell[],
  { panel, x }: { readonly panel: DimensionName | undefined; readonly x?: DimensionName },
  points: (cell: ReportCell) => readonly Point[],
): Panel[] {
  const used = [panel, x].filter((name) => name !== undefined);
  const names = varying(cells, used);
  return split(cells, panel).map(({ title, own }) => ({
    title,
    series: distinct(
      byName(own, names).map(([name, same], at) => ({
        name: name === '' ? describe(same[0]!.dimensions, ['transport', 'runtime']) : name,
        look: lookOf(same[0]!.dimensions, at),
        points: same.flatMap(points),
      })),
    ),
  }));
}

/** Where two would look the same, each gets the look of its place. */
function distinct(series: readonly Series[]): readonly Series[] {
  const looks = new Set(series.map(({ look }) => look));
  return looks.size === series.length ? series : series.map((one, look) => ({ ...one, look }));
}
