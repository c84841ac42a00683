/** Turning comparisons into English. */
import { ROUNDS_MIN } from '../results/compare.ts';
import type { ReportCell } from '../results/report.ts';
import { type DimensionName, varying } from './cells.ts';
import { type Compare, type Difference, ranked } from './comparison.ts';
import { describe, kindOf } from './figures.ts';
import { formatValue } from './format.ts';

/** `a`, `a and b`, `a, b and c`; of many, the first ones and how many more there are. */
export function list(words: readonly string[], max = 5): string {
  const shown = words.length > max ? [...words.slice(0, max - 1), `${words.length - max + 1} more`] : words;
  return shown.length < 2 ? shown.join('') : `${shown.slice(0, -1).join(', ')} and ${shown.at(-1)}`;
}

/** How many times, as one says it: `1.4 times`, `12 times`. Never below 1: the other way round is another word. */
export function times(ratio: number): string {
  const factor = ratio < 1 ? 1 / ratio : ratio;
  return `${factor < 10 ? factor.toFixed(factor < 1.095 ? 2 : 1) : String(Math.round(factor))} times`;
}

/** A cell's figure with its unit; a bound is told as one. */
export function amount(cell: ReportCell, figure: string): string {
  const { unit } = kindOf(figure);
  const bound = cell.generatorLimited === true && unit.endsWith('/s') ? 'at least ' : '';
  return bound + formatValue(cell.figures[figure]!.median, unit === '/s' ? '' : unit);
}

export function percent(share: number): string {
  return `${Math.round(share * 100)} %`;
}

/** Names for cells that are told from each other. */
export type Naming = (cell: ReportCell) => string;

/** By what varies among them besides some dimensions; always by transport and runtime where there are. */
export function namingOf(cells: readonly ReportCell[], besides: readonly DimensionName[] = []): Naming {
  const names = [...new Set<DimensionName>([...varying(cells, besides), 'transport', 'runtime'])].filter(
    (name) => !besides.includes(name),
  );
  return ({ dimensions }) => describe(dimensions, names);
}

export interface Standing {
  /** When and where it holds: `On this machine, at batch 128`. */
  readonly where: string;
  readonly figure: string;
  /** What a cell does with the figure: `needs 0.14 µs of server CPU per operation`. */
  readonly says: (text: string) => string;
  readonly naming: Naming;
  readonly compare: Compare;
  /** What is compared, in the plural: `servers`. */
  readonly kind: string;
}

/**
 * Who is best, with whom there is no difference, who is next and who last. Nothing is said of an order among those that do
 * not differ.
 */
export function standing(cells: readonly ReportCell[], options: Standing): string {
  const { where, figure, says, naming, compare, kind } = options;
  const [best, ...rest] = ranked(cells, figure);
  if (best === undefined) return '';
  const lead = `${where}, ${naming(best)} ${says(amount(best, figure))}`;
  if (rest.length === 0) return `${lead}; nothing was measured beside it.`;
  const superlative = kindOf(figure).best === 'highest' ? 'most' : 'least';
  const compared = rest.map((cell) => ({ cell, ...compare(best, cell, figure) }));
  const same = compared.filter(({ verdict }) => verdict === 'no difference');
  const different = compared.filter(({ verdict }) => verdict !== 'no difference');
  // By the medians it is behind, by most of the rounds ahead.
  const isTurned = ({ ratio }: Difference): boolean => (superlative === 'least' ? ratio < 1 : ratio > 1);
  const [turned, others] = [different.filter(isTurned), different.filter((one) => !isTurned(one))];
  const behind = (one: (typeof others)[number]): string =>
    `${times(one.ratio)} ${superlative === 'least' ? 'less' : 'more'} than ${naming(one.cell)} (${amount(one.cell, figure)})`;
  const far = [...new Set([...others.slice(0, 1), ...others.slice(-1)])].map(behind).join(' and ');
  const tie = (ones: typeof compared, what: string): string =>
    ones.length === 0 ? '' : ` Between it and ${list(ones.map(({ cell }) => naming(cell)))} ${what}.`;
  const ties = tie(same, 'there is no difference') + tie(turned, 'no order can be told');
  const unsure = different.some(({ verdict }) => verdict === 'too few rounds') ? UNSURE : '';
  if (ties === '') return `${lead}, the ${superlative} of ${cells.length} ${kind}: ${far}.${unsure}`;
  return `${lead}${far === '' ? '' : `, ${far}`}.${ties}${unsure}`;
}

/** Follows what is said of cells of which there are too few rounds. */
export const UNSURE = ` With fewer than ${ROUNDS_MIN} rounds it may be noise.`;

/** The same, of all that was said. */
export const ALL_UNSURE = `There were fewer than ${ROUNDS_MIN} rounds, so all of this may be noise.`;
