/** Bars from cells. */
import type { ReportCell } from '../../results/report.ts';
import { type DimensionName, varying } from '../cells.ts';
import { describe, kindOf } from '../figures.ts';
import { formatValue, type Unit } from '../format.ts';
import type { BarChart } from '../model.ts';
import { split } from './panels.ts';
import { axisTitle, boundOf, type Head, tableOf } from './table.ts';

export interface BarOptions extends Head {
  /** What adds up to the bar; below zero counts as nothing. */
  readonly parts: readonly { readonly name: string; readonly value: (cell: ReportCell) => number }[];
  readonly xTitle: string;
  readonly unit: Unit;
  readonly panel?: DimensionName;
  /** For the table. */
  readonly figures: readonly string[];
}

/** A bar for each cell, shortest first. Undefined without cells. */
export function bars(cells: readonly ReportCell[], options: BarOptions): BarChart | undefined {
  const { parts, xTitle, unit, panel, figures, ...head } = options;
  if (cells.length === 0) return undefined;
  const own = panel === undefined ? [] : [panel];
  const names = varying(cells, own);
  const shown = names.length > 0 ? names : (['transport', 'runtime'] as const);
  const total = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0);
  return {
    kind: 'bars',
    ...head,
    x: { title: axisTitle(xTitle, unit), unit, scale: 'linear' },
    parts: parts.map(({ name }) => name),
    panels: split(cells, panel).map(({ title, own: panelCells }) => ({
      title,
      bars: panelCells
        .map((cell) => {
          const values = parts.map((part) => Math.max(0, part.value(cell)));
          const label = describe(cell.dimensions, shown);
          const shares = parts.map(({ name }, at) => `${name}: ${formatValue(values[at]!, unit)}`);
          const text = boundOf(cell, figures[0]!) + formatValue(total(values), unit);
          return { label, values, text, detail: [label, ...shares].join('\n') };
        })
        .sort((a, b) => total(a.values) - total(b.values)),
    })),
    table: tableOf(cells, { figures, own }),
  };
}

/** A bar for one figure of each cell that has it. */
export function figureBars(
  cells: readonly ReportCell[],
  figure: string,
  head: Head & { readonly panel?: DimensionName },
): BarChart | undefined {
  const { title, unit } = kindOf(figure);
  return bars(
    cells.filter(({ figures }) => figures[figure] !== undefined),
    {
      ...head,
      parts: [{ name: title, value: ({ figures }) => figures[figure]!.median }],
      xTitle: title,
      unit,
      figures: [figure],
    },
  );
}
