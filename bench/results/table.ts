/** Tables for a terminal: columns aligned, the best of a column marked, bars. */
import { formatTable } from '../../runtime/command/table.ts';
import type { Interval } from './statistics.ts';

export interface Column {
  readonly title: string;
  /** Which number is the best of the column; undefined when none is, as in a column of names. */
  readonly best?: 'highest' | 'lowest';
  /** Draws the values of the column as bars from 0 to the greatest of them, instead of the texts. */
  readonly bar?: boolean;
}

export interface Cell {
  readonly text: string;
  /** What counts for being the best, and how long a bar is. Cells without one never are, and have no bar. */
  readonly value?: number;
}

/** Stands behind the best of a column. */
export const BEST_MARK = '*';

/** Stands before a throughput that the generator limited, here and on the page. */
export const BOUND_MARK = '≥';

/** The longest bar. Unit: characters. */
const BAR_WIDTH = 12;

/** Bars by eighths of a character. */
const BAR_PARTS = ['', '▏', '▎', '▍', '▌', '▋', '▊', '▉'];

/**
 * The table as text, a line feed after each line. The first column and bars are aligned to the left, the others to the right.
 * Throws `RangeError` when a row has not as many cells as there are columns.
 */
export function renderTable(columns: readonly Column[], rows: readonly (readonly Cell[])[]): string {
  for (const row of rows) {
    if (row.length !== columns.length) throw new RangeError(`a row of ${row.length} cells, ${columns.length} columns`);
  }
  const shown = columns.map((column, at) =>
    columnTexts(
      column,
      rows.map((row) => row[at]!),
    ),
  );
  const lines = Array.from({ length: rows.length + 1 }, (_, line) => shown.map((texts) => texts[line]!));
  return formatTable(
    lines,
    columns.map(({ bar }, at) => (at === 0 || bar === true ? 'left' : 'right')),
  );
}

/** The title, then what stands in each row. */
function columnTexts(column: Column, cells: readonly Cell[]): readonly string[] {
  if (column.bar === true) {
    const longest = Math.max(...cells.map(({ value = 0 }) => value));
    return [column.title, ...cells.map(({ value }) => (value === undefined ? '' : drawBar(value / longest)))];
  }
  if (column.best === undefined) return [column.title, ...cells.map(({ text }) => text)];
  const best = bestValue(column, cells);
  return [
    `${column.title} `,
    ...cells.map(({ text, value }) => `${text}${value !== undefined && value === best ? BEST_MARK : ' '}`),
  ];
}

/** A bar for a share of the longest, 0 to 1. What is above 0 has a bar in any case. */
function drawBar(share: number): string {
  if (!(share > 0)) return '';
  const eighths = Math.max(1, Math.round(share * BAR_WIDTH * 8));
  return '█'.repeat(Math.floor(eighths / 8)) + BAR_PARTS[eighths % 8]!;
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

/** The ends of an interval; nothing when they are the same, as of a single measurement. */
export function formatInterval({ low, high }: Interval, format: (value: number) => string): string {
  return low === high ? '' : `${format(low)}–${format(high)}`;
}
