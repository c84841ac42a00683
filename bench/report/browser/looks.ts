/** How the series of a chart differ: a colour of the style sheet, a pattern of dashes and a marker, so that none has to be seen. */
import type { Look } from '../model.ts';

interface Appearance {
  /** Pattern of dashes of an SVG stroke; `none` is a solid line. */
  readonly dashes: string;
  /** Name of one of Plot's filled symbols. */
  readonly symbol: 'circle' | 'square' | 'triangle' | 'diamond' | 'star' | 'cross' | 'wye';
}

const APPEARANCES: readonly Appearance[] = [
  { dashes: 'none', symbol: 'circle' },
  { dashes: '6 3', symbol: 'square' },
  { dashes: '2 3', symbol: 'triangle' },
  { dashes: '9 3 2 3', symbol: 'diamond' },
  { dashes: '4 2', symbol: 'star' },
  { dashes: '1 2', symbol: 'cross' },
  { dashes: '12 4', symbol: 'wye' },
  { dashes: '3 3', symbol: 'square' },
  { dashes: '8 2 2 2 2 2', symbol: 'circle' },
  { dashes: '5 5', symbol: 'diamond' },
];

/** `page.css` has a colour `--look-N` for each. */
export function colorOf(look: Look): string {
  return `var(--look-${look % APPEARANCES.length})`;
}

export function appearanceOf(look: Look): Appearance {
  return APPEARANCES[look % APPEARANCES.length]!;
}

/** The parts of a bar are areas, so their colours are calmer; `page.css` has a `--part-N` and the page a `pattern-N` for each. */
const PARTS = 8;

export function partColor(part: number): string {
  return `var(--part-${part % PARTS})`;
}

export function partPattern(part: number): string {
  return `url(#pattern-${part % PARTS})`;
}
