/** Cells in panels beside each other, by a dimension. */
import type { ReportCell } from '../../results/report.ts';
import { type DimensionName, valuesOf } from '../cells.ts';
import { describe } from '../figures.ts';

/** A title and the cells of each panel; one without a title where there is no dimension for it. */
export function split(
  cells: readonly ReportCell[],
  panel: DimensionName | undefined,
): readonly { readonly title: string; readonly own: readonly ReportCell[] }[] {
  if (panel === undefined) return [{ title: '', own: cells }];
  return valuesOf(cells, panel).map((value) => ({
    title: describe({ [panel]: value }, [panel]),
    own: cells.filter((cell) => cell.dimensions[panel] === value),
  }));
}
