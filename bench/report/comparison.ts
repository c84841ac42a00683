/** Whether two cells of a report differ, by the rule for pairs. */
import { judgeRatios, type Verdict } from '../results/compare.ts';
import { cellKey, type Report, type ReportCell } from '../results/report.ts';
import { kindOf } from './figures.ts';

export interface Difference {
  /** How many times as much of the figure the second has. */
  readonly ratio: number;
  /** Of the second. */
  readonly verdict: Verdict;
}

export type Compare = (a: ReportCell, b: ReportCell, figure: string) => Difference;

/** Compares cells by the rounds in which both were measured, one shortly after the other. */
export function comparerOf({ rounds }: Report): Compare {
  const byCell = new Map<string, Map<number, Readonly<Record<string, number>>>>();
  for (const { dimensions, round, figures } of rounds) {
    const key = cellKey(dimensions);
    const own = byCell.get(key);
    if (own === undefined) byCell.set(key, new Map([[round, figures]]));
    else own.set(round, figures);
  }
  return (a, b, figure) => {
    const [ofA, ofB] = [a, b].map(({ dimensions }) => byCell.get(cellKey(dimensions)));
    const ratios = [...(ofA ?? [])].flatMap(([round, { [figure]: valueA }]) => {
      const valueB = ofB?.get(round)?.[figure];
      return valueA === undefined || valueB === undefined || valueA <= 0 || valueB <= 0 ? [] : [valueB / valueA];
    });
    if (ratios.length > 0) return judgeRatios(ratios);
    return { ratio: b.figures[figure]!.median / a.figures[figure]!.median, verdict: 'too few rounds' };
  };
}

/** The cells from the best to the worst by the medians of a figure. */
export function ranked(cells: readonly ReportCell[], figure: string): readonly ReportCell[] {
  const sign = kindOf(figure).best === 'highest' ? -1 : 1;
  return [...cells].sort((a, b) => sign * (a.figures[figure]!.median - b.figures[figure]!.median));
}
