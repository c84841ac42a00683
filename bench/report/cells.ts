/** Choosing among the cells of a report. */
import type { Dimensions, ReportCell } from '../results/report.ts';
import { describe } from './figures.ts';

export type DimensionName = keyof Dimensions;
export type DimensionValue = Dimensions[DimensionName];

/** The different values of a dimension: numbers in order, words as they first come. Cells without it have none. */
export function valuesOf(cells: readonly ReportCell[], name: DimensionName): readonly NonNullable<DimensionValue>[] {
  const values = [...new Set(cells.flatMap(({ dimensions }) => dimensions[name] ?? []))];
  return values.every((value) => typeof value === 'number') ? values.sort((a, b) => Number(a) - Number(b)) : values;
}

/** These tell cells apart before others do: what follows from them, like the client's transport, need not be told. */
const TOLD_FIRST: readonly DimensionName[] = [
  'peer',
  'transport',
  'runtime',
  'control',
  'store',
  'engine',
  'workload',
  'phase',
  'batch',
  'keys',
  'valueSize',
];

/**
 * The dimensions that tell the cells apart, besides the named ones. One that follows from others is not among them, except
 * that transport and runtime go together.
 */
export function varying(
  cells: readonly ReportCell[],
  besides: readonly DimensionName[] = [],
): readonly DimensionName[] {
  const all = new Set([
    ...TOLD_FIRST,
    ...cells.flatMap(({ dimensions }) => Object.keys(dimensions) as DimensionName[]),
  ]);
  const found: DimensionName[] = [];
  for (const name of all) {
    if (besides.includes(name)) continue;
    const alike = grouped(cells, ({ dimensions }) =>
      JSON.stringify([...besides, ...found].map((one) => dimensions[one])),
    );
    if (alike.some(([, own]) => new Set(own.map(({ dimensions }) => dimensions[name])).size > 1)) found.push(name);
  }
  const server: readonly DimensionName[] = ['transport', 'runtime'];
  const partners = server.filter(
    (name) =>
      !found.includes(name) &&
      !besides.includes(name) &&
      cells.every(({ dimensions }) => dimensions[name] !== undefined),
  );
  return found.some((name) => server.includes(name)) ? [...found, ...partners] : found;
}

/** The cells whose dimensions are as given. */
export function where(cells: readonly ReportCell[], dimensions: Dimensions): readonly ReportCell[] {
  const wanted = Object.entries(dimensions) as [DimensionName, DimensionValue][];
  return cells.filter((cell) => wanted.every(([name, value]) => cell.dimensions[name] === value));
}

/** Those that have a figure. */
export function having(cells: readonly ReportCell[], ...figures: readonly string[]): readonly ReportCell[] {
  return cells.filter((cell) => figures.every((figure) => cell.figures[figure] !== undefined));
}

/** The ringkv servers among them: neither controls nor other servers. */
export function servers(cells: readonly ReportCell[]): readonly ReportCell[] {
  return cells.filter(({ dimensions: { control, peer } }) => control !== true && (peer ?? null) === null);
}

/** The batch size that one is shown or spoken of when one has to do: 128 where it was measured, else the nearest. */
export function mainBatch(cells: readonly ReportCell[]): number | undefined {
  const distance = (batch: number): number => Math.abs(Math.log(batch / 128));
  return valuesOf(cells, 'batch')
    .map(Number)
    .sort((a, b) => distance(a) - distance(b))[0];
}

/** The cells by a key, in the order in which the keys first come. */
export function grouped(
  cells: readonly ReportCell[],
  key: (cell: ReportCell) => string,
): readonly (readonly [string, readonly ReportCell[]])[] {
  const groups = new Map<string, ReportCell[]>();
  for (const cell of cells) {
    const name = key(cell);
    const group = groups.get(name);
    if (group === undefined) groups.set(name, [cell]);
    else group.push(cell);
  }
  return [...groups];
}

/** Groups by what the cells are called, by some of their dimensions. */
export function byName(cells: readonly ReportCell[], names: readonly DimensionName[]) {
  return grouped(cells, ({ dimensions }) => describe(dimensions, names));
}
