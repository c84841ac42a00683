/** How a figure grows with what is varied along a curve: by which factor for each tenfold of it. */
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
