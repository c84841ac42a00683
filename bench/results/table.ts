/** Tables for a terminal: columns aligned, the best of a column marked. */
import type { Summary } from './statistics.ts';

export interface Column {
  readonly title: string;
  /** Which number is the best of the column; undefined when none is, as in a column of names. */
  readonly best?: 'highest' | 'lowest';
}

export interface Cell {
  readonly text: string;
  /** What counts for being the best. Cells without one never are. */
  readonly value?: number;
}

/** Stands behind the best of a column. */
export const BEST_MARK = '*';

/**
 * The table as text, a line feed after each line. The first column is aligned to the left, the others to the right. Throws
 * `RangeError` when a row has not as many cells as there are columns.
 */
export function renderTable(columns: readonly Column[], rows: readonly (readonly Cell[])[]): string {
  for (const row of rows) {
    if (row.length !== columns.length) throw new RangeError(`a row of ${row.length} cells, ${columns.length} columns`);
  }
  const best = columns.map((column, at) =>
    bestValue(
      column,
      rows.map((row) => row[at]!),
    ),
  );
  const lines = [
    columns.map((column) => `${column.title}${column.best === undefined ? '' : ' '}`),
    ...rows.map((row) =>
      row.map((cell, at) => {
        if (columns[at]!.best === undefined) return cell.text;
        return `${cell.text}${cell.value !== undefined && cell.value === best[at] ? BEST_MARK : ' '}`;
      }),
    ),
  ];
  const widths = columns.map((_, at) => Math.max(...lines.map((line) => line[at]!.length)));
  return lines
    .map((line) =>
      line.map((text, at) => (at === 0 ? text.padEnd(widths[at]!) : text.padStart(widths[at]!))).join('  '),
    )
    .map((line) => `${line.trimEnd()}\n`)
    .join('');
}

/** The best value of a column; undefined when it has none, or nothing to compare it with. */
function bestValue(column: Column, cells: readonly Cell[]): number | undefined {
  const values = cells.flatMap((cell) => cell.value ?? []);
  if (column.best === undefined || values.length < 2) return undefined;
  return column.best === 'highest' ? Math.max(...values) : Math.min(...values);
}

const SCALES: readonly (readonly [number, string])[] = [
  [1e9, ' G'],
  [1e6, ' M'],
  [1e3, ' k'],
];

/** A number with three digits that count: `5.21 M`, `873 k`, `0.142`. */
export function formatNumber(value: number): string {
  const [scale, unit] = SCALES.find(([one]) => Math.abs(value) >= one) ?? [1, ''];
  const scaled = value / scale;
  const magnitude = scaled === 0 ? 0 : Math.floor(Math.log10(Math.abs(scaled)));
  return `${scaled.toFixed(Math.min(4, Math.max(0, 2 - magnitude)))}${unit}`;
}

/** A time with three digits that count: `85.2 µs`, `1.20 ms`, `3.05 s`. */
export function formatMicros(micros: number): string {
  if (micros >= 1e6) return `${formatNumber(micros / 1e6)} s`;
  return micros >= 1e3 ? `${formatNumber(micros / 1e3)} ms` : `${formatNumber(micros)} µs`;
}

/** From the least to the greatest; nothing when they are the same, as of a single measurement. */
export function formatRange({ min, max }: Summary, format: (value: number) => string): string {
  return min === max ? '' : `${format(min)}–${format(max)}`;
}
