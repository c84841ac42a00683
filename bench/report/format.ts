/** Numbers as the page shows them. Runs in the page, too. */
import { formatMicros, formatNumber } from '../results/table.ts';

/** What a figure is counted in; empty for a plain number. */
export type Unit = '' | 'µs' | 'ms' | '/s' | 'B' | 'B/s' | '×' | '%';

const BINARY: readonly (readonly [number, string])[] = [
  [2 ** 30, ' GiB'],
  [2 ** 20, ' MiB'],
  [2 ** 10, ' KiB'],
];

/** With three digits that count and its unit: `5.21 M/s`, `0.142 µs`, `64 KiB`, `1.50×`. */
export function formatValue(value: number, unit: Unit): string {
  if (unit === 'µs') return formatMicros(value);
  if (unit === 'ms') return formatMicros(value * 1000);
  if (unit === 'B') return formatBytes(value);
  if (unit === '%') return `${formatNumber(value * 100)} %`;
  return `${formatNumber(value)}${unit}`;
}

/** In the greatest binary unit that leaves one or more: `64 KiB`, `1.50 MiB`. */
function formatBytes(bytes: number): string {
  const [scale, unit] = BINARY.find(([one]) => Math.abs(bytes) >= one) ?? [1, ' B'];
  const scaled = bytes / scale;
  return `${Number.isInteger(scaled) ? scaled : formatNumber(scaled)}${unit}`;
}

/** Short, for an axis: `10k`, `0.5`, `64 KiB`. */
export function formatTick(value: number, unit: Unit): string {
  if (unit === 'B') return formatBytes(value);
  if (unit === '%') return `${trim(value * 100)} %`;
  const [scale, letter] = [[1e9, 'G'] as const, [1e6, 'M'] as const, [1e3, 'k'] as const].find(
    ([one]) => Math.abs(value) >= one,
  ) ?? [1, ''];
  return `${trim(value / scale)}${letter}${unit === '×' ? '×' : ''}`;
}

/** Without zeros that say nothing. */
function trim(value: number): string {
  return String(Number(value.toPrecision(3)));
}
