/** How a figure grows with what is varied along a curve: by which factor for each tenfold of it. */
import { cellKey, type Dimensions, type Measured, type ReportCell } from './report.ts';
import { bootstrapInterval } from './statistics.ts';

/** One measurement on a curve. Both are above 0. */
export interface CurvePoint {
  readonly x: number;
  readonly y: number;
}

export interface Growth {
  /** What `y` is multiplied with when `x` is multiplied with ten; 1 is no change. */
  readonly factorPerTenfold: number;
  /** The factor's confidence interval, bootstrapped over the points. */
  readonly low: number;
  readonly high: number;
}

/**
 * Fits a straight line to the logarithms of both by least squares: a power law, whose exponent is the line's slope. Undefined
 * when all points have the same `x`.
 */
export function growth(points: readonly CurvePoint[]): Growth | undefined {
  const logs = points.map(({ x, y }) => ({ x: Math.log10(x), y: Math.log10(y) }));
  const all = slope(logs);
  if (all === undefined) return undefined;
  const numbers = logs.map((_, at) => at);
  // Draws that have a single `x` say nothing of a slope; such a draw counts as the whole.
  const { low, high } = bootstrapInterval((draw) => slope(Array.from(draw(numbers), (at) => logs[at]!)) ?? all);
  return { factorPerTenfold: 10 ** all, low: 10 ** low, high: 10 ** high };
}

function slope(points: readonly CurvePoint[]): number | undefined {
  const meanX = points.reduce((sum, { x }) => sum + x, 0) / points.length;
  const meanY = points.reduce((sum, { y }) => sum + y, 0) / points.length;
  let products = 0;
  let squares = 0;
  for (const { x, y } of points) {
    products += (x - meanX) * (y - meanY);
    squares += (x - meanX) ** 2;
  }
  return squares === 0 ? undefined : products / squares;
}

/** A curve of a report: how one figure of cells grows that differ in one dimension alone. */
export interface Curve extends Growth {
  /** Those that its cells have in common. */
  readonly dimensions: Dimensions;
  readonly over: keyof Dimensions;
  readonly figure: string;
}

/** The curves of a figure over a dimension whose values are numbers. A curve needs two points that differ in it. */
export function curvesOf(measured: readonly Measured[], over: keyof Dimensions, figure: string): readonly Curve[] {
  const lines = new Map<string, { readonly dimensions: Dimensions; readonly points: CurvePoint[] }>();
  for (const { dimensions, figures } of measured) {
    const common = without(dimensions, over);
    const key = cellKey(common);
    const line = lines.get(key) ?? { dimensions: common, points: [] };
    lines.set(key, line);
    line.points.push({ x: Number(dimensions[over]), y: figures[figure]! });
  }
  return [...lines.values()].flatMap(({ dimensions, points }) => {
    const fitted = growth(points);
    return fitted === undefined ? [] : [{ dimensions, over, figure, ...fitted }];
  });
}

/** The curve that a cell is on, of those of a figure. */
export function curveOf({ dimensions }: ReportCell, curves: readonly Curve[], figure: string): Curve | undefined {
  return curves.find(
    (one) => one.figure === figure && cellKey(one.dimensions) === cellKey(without(dimensions, one.over)),
  );
}

/** `× 1.13 (1.08 to 1.20)`. */
export function formatGrowth({ factorPerTenfold, low, high }: Growth): string {
  const [factor, from, to] = [factorPerTenfold, low, high].map((one) => one.toFixed(2));
  return `× ${factor} (${from} to ${to})`;
}

function without(dimensions: Dimensions, over: keyof Dimensions): Dimensions {
  return Object.fromEntries(Object.entries(dimensions).filter(([name]) => name !== over));
}
