/** From the cells of a report to what their blocks are bound by, in numbers and in words. */
import { cellKey, type ReportCell } from '../../results/report.ts';
import { formatNumber } from '../../results/table.ts';
import { type Attribution, attribute, type Costs, PARTS, type Part } from './attribution.ts';

/** What the parts are called. */
export const PART_NAMES: Readonly<Record<Part, string>> = {
  systemCalls: 'system calls',
  copies: 'memory copies',
  server: 'the server',
  client: 'the client',
};

/** Every cell that has controls gets the notes `bound` and `attribution`. */
export function withAttributions(cells: readonly ReportCell[]): readonly ReportCell[] {
  return cells.map((cell) => {
    const found = attributionOf(cell, cells);
    if (found === undefined) return cell;
    return {
      ...cell,
      notes: { ...cell.notes, bound: PART_NAMES[found.bound], attribution: describe(found, cell, cells) },
    };
  });
}

/** What a cell is bound by; undefined for a control, and for a cell without its controls. */
export function attributionOf(cell: ReportCell, cells: readonly ReportCell[]): Attribution | undefined {
  if (cell.dimensions.control === true) return undefined;
  const echo = controlOf(cell, cells);
  const smallest = smallestControlOf(cell, cells);
  if (echo === undefined || smallest === undefined) return undefined;
  const copyMicros = (cell.dimensions.valueSize! / cell.figures.copyBytesPerSecond!.median) * 1e6;
  return attribute(costsOf(cell), costsOf(echo), costsOf(smallest), copyMicros);
}

/** The bare echo of as many bytes. */
export function controlOf({ dimensions }: ReportCell, cells: readonly ReportCell[]): ReportCell | undefined {
  const key = cellKey({ ...dimensions, control: true });
  return cells.find((one) => cellKey(one.dimensions) === key);
}

/** The bare echo of the least bytes that there is. */
function smallestControlOf({ dimensions }: ReportCell, cells: readonly ReportCell[]): ReportCell | undefined {
  const key = cellKey({ ...dimensions, control: true, valueSize: 0 });
  return cells
    .filter((one) => cellKey({ ...one.dimensions, valueSize: 0 }) === key)
    .toSorted((a, b) => a.dimensions.valueSize! - b.dimensions.valueSize!)[0];
}

function costsOf({ figures }: ReportCell): Costs {
  return {
    elapsedMicros: 1e6 / figures.opsPerSecond!.median,
    serverUserMicros: figures.serverUserMicrosPerOp!.median,
    serverSystemMicros: figures.serverSystemMicrosPerOp!.median,
    clientUserMicros: figures.clientUserMicrosPerOp!.median,
    clientSystemMicros: figures.clientSystemMicrosPerOp!.median,
  };
}

/** One line: what it is bound by, and the numbers behind that. */
function describe(found: Attribution, cell: ReportCell, cells: readonly ReportCell[]): string {
  const { bound, closeTo, shares, waitingShare, full, echoShare, plainCopies } = found;
  const echo = controlOf(cell, cells)!;
  const percent = (share: number): string => `${Math.round(share * 100)} %`;
  const gigabytes = ({ figures }: ReportCell): string => formatNumber(figures.valueBytesPerSecond!.median / 1e9);
  const parts = PARTS.map((part) => `${PART_NAMES[part]} ${percent(shares[part])}`).join(', ');
  return [
    `bound by ${PART_NAMES[bound]}${closeTo === undefined ? '' : `, closely before ${PART_NAMES[closeTo]}`}: ${parts}`,
    `of the system calls ${percent(waitingShare)} is waiting to be woken`,
    ...(full === undefined ? [] : [`only the parts of the ${full} count, whose core is full`]),
    `${gigabytes(cell)} GB/s of the bare echo's ${gigabytes(echo)} (${percent(echoShare)})`,
    `the copies take as long as ${formatNumber(plainCopies)} plain ones at ${formatNumber(cell.figures.copyBytesPerSecond!.median / 1e9)} GB/s`,
  ].join('; ');
}
