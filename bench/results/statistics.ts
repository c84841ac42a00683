/** What is said of several measurements of the same thing. */

/** The middle, and how far the measurements lie apart. */
export interface Summary {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

/** Throws `RangeError` when there is nothing to summarize. */
export function summarize(samples: readonly number[]): Summary {
  if (samples.length === 0) throw new RangeError('no samples to summarize');
  const sorted = [...samples].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const median = sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
  return { median, min: sorted[0]!, max: sorted.at(-1)! };
}

/** Each figure of several measurements, summarized by its name. All of them have the same figures. */
export function summarizeFigures<Name extends string>(
  measurements: readonly Readonly<Record<Name, number>>[],
): Record<Name, Summary> {
  const names = Object.keys(measurements[0] ?? {}) as Name[];
  const summaries = names.map((name) => [name, summarize(measurements.map((one) => one[name]))]);
  return Object.fromEntries(summaries) as Record<Name, Summary>;
}
