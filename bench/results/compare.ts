/**
 * Whether two series of measurements differ, and by how much. The rule is made to say "no difference" too often rather than to
 * find one that isn't there; `docs/bench.md` states it, and `bench aa` tries it on the machine it runs on.
 */
import { Moments } from './moments.ts';
import { bootstrapInterval, type Interval, median, studentQuantile } from './statistics.ts';

/** How often the interval shall hold the true ratio. Files have hundreds of cells and figures: 95 % would cry wolf in each. */
export const RATIO_CONFIDENCE = 0.99;

/** So many standard deviations around its mean, the normal distribution has `RATIO_CONFIDENCE` of all. */
const RATIO_DEVIATIONS = 2.575829;

/** Fewer rounds than this on a side never make a difference: ranges of 4 part by chance in 1 of 35 cases. */
export const ROUNDS_MIN = 5;

/** A ratio closer to 1 than this is no difference, however sure it is: machines and memory layouts differ by as much. */
export const EFFECT_MIN = 0.05;

/** What B is against A. */
export interface Comparison extends Interval {
  /** Of B to A; `low` and `high` are the ends of its interval. */
  readonly ratio: number;
  readonly verdict: Verdict;
}

export type Verdict = 'higher' | 'lower' | 'no difference' | 'too few rounds';

/** Series that were measured at different times: the ratio of the medians, each side resampled by itself. */
export function compareSeries(a: readonly number[], b: readonly number[]): Comparison {
  const interval = bootstrapInterval((draw) => median(draw(b)) / median(draw(a)), RATIO_CONFIDENCE);
  return judge(median(b) / median(a), interval, Math.min(a.length, b.length));
}

/**
 * Ratios of what was measured side by side, one of each round: what disturbs a round disturbs both, and falls out. Compared with
 * 1, by their median. None of them is 0 or less.
 *
 * The interval is Student's, of the ratios' logarithms ("The Probable Error of a Mean", Biometrika 6, 1908). Of two that do the
 * same, these are as often above 0 as below, whatever the noise is like; it holds what it promises when they are distributed
 * normally, and more when a few of them lie far out. A bootstrap of few pairs is no more than the least and the greatest, and 5
 * are on the same side of 1 by chance in 1 of 16 cases.
 */
export function judgeRatios(ratios: readonly number[]): Comparison {
  return judge(median(ratios), ratioInterval(ratios), ratios.length);
}

/** Of too few rounds, the least and the greatest. */
function ratioInterval(ratios: readonly number[]): Interval {
  const logs = new Moments();
  for (const ratio of ratios) logs.add(Math.log(ratio));
  if (logs.count < ROUNDS_MIN) return { low: Math.exp(logs.min), high: Math.exp(logs.max) };
  const width = (studentQuantile(RATIO_DEVIATIONS, logs.count - 1) * logs.standardDeviation) / Math.sqrt(logs.count);
  return { low: Math.exp(logs.mean - width), high: Math.exp(logs.mean + width) };
}

function judge(ratio: number, interval: Interval, rounds: number): Comparison {
  return { ratio, ...interval, verdict: verdictOf(ratio, interval, rounds) };
}

function verdictOf(ratio: number, { low, high }: Interval, rounds: number): Verdict {
  if (rounds < ROUNDS_MIN) return 'too few rounds';
  if (low > 1 && ratio >= 1 + EFFECT_MIN) return 'higher';
  if (high < 1 && ratio <= 1 / (1 + EFFECT_MIN)) return 'lower';
  return 'no difference';
}

/** Endings of figures, and whole names, that are better the lower they are. */
const LOWER_IS_BETTER =
  /(Micros|MicrosPerOp|Millis|Cores|Bytes|BytesPerKey|CallsPerOp|SwitchesPerOp)$|^(bytesPerConnection|lost|lossRate|lostPerReadModifyWrite|slowTurnShare|slowdown|timesAlone)$/;

/** Which way of a figure is the better one, told by its name; undefined where there is none, or it is a part of another. */
export function betterWay(figure: string): 'higher' | 'lower' | undefined {
  if (/^server(User|System)Micros|\./.test(figure)) return undefined;
  if (/PerSecond$/.test(figure)) return 'higher';
  return LOWER_IS_BETTER.test(figure) ? 'lower' : undefined;
}
