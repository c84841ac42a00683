/** What is said of several measurements of the same thing. */
import { Random } from '../load/random.ts';

/** The middle, how sure it is, and how far the measurements lie apart. */
export interface Summary {
  readonly median: number;
  /** The median's confidence interval, `CONFIDENCE` of it: see `bootstrapInterval`. */
  readonly low: number;
  readonly high: number;
  readonly min: number;
  readonly max: number;
}

/** An interval, both ends included. */
export interface Interval {
  readonly low: number;
  readonly high: number;
}

/** How often an interval shall hold the true value. */
export const CONFIDENCE = 0.95;

/** How often is drawn: the ends of a 95 % interval then differ by little from draw to draw. */
const RESAMPLES = 2000;

/** The draws are the same in every run, so that the same measurements always get the same interval. */
const RESAMPLING_SEED = 0x5eed;

/** The median with its interval. Throws `RangeError` when there is nothing to summarize. */
export function summarize(samples: readonly number[]): Summary {
  if (samples.length === 0) throw new RangeError('no samples to summarize');
  const sorted = [...samples].sort((a, b) => a - b);
  return {
    median: medianOfSorted(sorted),
    ...bootstrapInterval((draw) => medianOfSorted(draw(samples).sort())),
    min: sorted[0]!,
    max: sorted.at(-1)!,
  };
}

/** The middle one, or the mean of the two in the middle. Throws `RangeError` when there is none. */
export function median(samples: ArrayLike<number>): number {
  if (samples.length === 0) throw new RangeError('no samples to summarize');
  return medianOfSorted(new Float64Array(samples).sort());
}

function medianOfSorted(sorted: ArrayLike<number>): number {
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** Draws from samples, with replacement and as many as there are. */
export type Draw = (samples: readonly number[]) => Float64Array;

/**
 * The bootstrap's percentile interval of a statistic, which computes it from what it draws: the middle of what it says in many
 * draws, by default 95 % (Efron, "Bootstrap Methods: Another Look at the Jackknife", Annals of Statistics 7, 1979; Efron and
 * Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13).
 *
 * With few samples it promises too much. That of a median never reaches beyond the least and the greatest, and these hold the
 * true median of n samples only with the probability 1 - 2^(1-n): 75 % for 3 and 94 % for 5. From 6 samples on it can be
 * taken by its word.
 */
export function bootstrapInterval(statistic: (draw: Draw) => number, confidence = CONFIDENCE): Interval {
  const random = new Random(RESAMPLING_SEED);
  const draw: Draw = (samples) => {
    const drawn = new Float64Array(samples.length);
    for (let i = 0; i < drawn.length; i++) drawn[i] = samples[Math.floor(random.fraction() * samples.length)]!;
    return drawn;
  };
  const statistics = Float64Array.from({ length: RESAMPLES }, () => statistic(draw)).sort();
  const tail = (1 - confidence) / 2;
  return {
    low: statistics[Math.floor(tail * (RESAMPLES - 1))]!,
    high: statistics[Math.ceil((1 - tail) * (RESAMPLES - 1))]!,
  };
}

/**
 * What Student's distribution with so many degrees of freedom has where the normal one has `z`: the first terms of a series
 * (Abramowitz and Stegun, "Handbook of Mathematical Functions", 1964, 26.7.5). From 4 degrees of freedom on it is right to 0.3 %
 * for a `z` of 2.6.
 */
export function studentQuantile(z: number, degreesOfFreedom: number): number {
  const terms = [
    (z ** 3 + z) / 4,
    (5 * z ** 5 + 16 * z ** 3 + 3 * z) / 96,
    (3 * z ** 7 + 19 * z ** 5 + 17 * z ** 3 - 15 * z) / 384,
    (79 * z ** 9 + 776 * z ** 7 + 1482 * z ** 5 - 1920 * z ** 3 - 945 * z) / 92_160,
  ];
  return terms.reduce((sum, term, at) => sum + term / degreesOfFreedom ** (at + 1), z);
}

/** Each figure of several measurements, summarized by its name. All of them have the same figures. */
export function summarizeFigures(
  measurements: readonly Readonly<Record<string, number>>[],
): Readonly<Record<string, Summary>> {
  const names = Object.keys(measurements[0] ?? {});
  return Object.fromEntries(names.map((name) => [name, summarize(measurements.map((one) => one[name]!))]));
}
