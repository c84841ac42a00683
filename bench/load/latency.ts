/** Latency: a histogram while it is measured, its percentiles afterwards. */
import { build, decodeFromCompressedBase64, encodeIntoCompressedBase64, type Histogram } from 'hdr-histogram-js';

/** Longer ones count as this long. Unit: microseconds. */
const LATENCY_MICROS_MAX = 60_000_000;

/** Many latencies at once are told apart this finely: by a thousandth of their range. */
const SPREAD_STEPS = 1000;

/** Unit: microseconds. */
export interface Latency {
  readonly p50Micros: number;
  readonly p90Micros: number;
  readonly p99Micros: number;
  readonly p999Micros: number;
  readonly p9999Micros: number;
  readonly maxMicros: number;
}

/** Three digits are exact, from a nanosecond to a minute. */
export class LatencyHistogram {
  // It counts whole numbers, and an operation on a store takes less than a microsecond.
  readonly #nanos: Histogram = build({
    lowestDiscernibleValue: 1,
    highestTrackableValue: LATENCY_MICROS_MAX * 1000,
    numberOfSignificantValueDigits: 3,
    autoResize: false,
  });

  /** All that the encoded ones hold, as if one had recorded it. Throws an `Error` for what `encode` did not write. */
  static merged(encoded: readonly string[]): LatencyHistogram {
    const histogram = new LatencyHistogram();
    for (const text of encoded) histogram.#nanos.add(decodeFromCompressedBase64(text) as Histogram);
    return histogram;
  }

  /** All that these hold, as if one had recorded it. */
  static sum(histograms: readonly LatencyHistogram[]): LatencyHistogram {
    const sum = new LatencyHistogram();
    for (const one of histograms) sum.#nanos.add(one.#nanos);
    return sum;
  }

  record(millis: number): void {
    this.#nanos.recordValue(toNanos(millis));
  }

  /** Records `count` latencies, evenly spread from one to the other, both included. */
  recordSpread(fromMillis: number, toMillis: number, count: number): void {
    const steps = Math.min(count, SPREAD_STEPS);
    for (let step = 0; step < steps; step++) {
      const share = steps === 1 ? 0 : step / (steps - 1);
      const times = Math.floor(((step + 1) * count) / steps) - Math.floor((step * count) / steps);
      this.#nanos.recordValueWithCount(toNanos(fromMillis + share * (toMillis - fromMillis)), times);
    }
  }

  reset(): void {
    this.#nanos.reset();
  }

  /** HdrHistogram's own format (V2, compressed, base64), which its tools read. Unit of what it counts: nanoseconds. */
  encode(): string {
    return encodeIntoCompressedBase64(this.#nanos);
  }

  /** Mean and standard deviation, as exact as the histogram: three digits. Unit: microseconds. */
  moments(): { readonly meanMicros: number; readonly deviationMicros: number } {
    return { meanMicros: this.#nanos.mean / 1000, deviationMicros: this.#nanos.stdDeviation / 1000 };
  }

  /** The percentiles of what was recorded since the start or the last `reset`. */
  percentiles(): Latency {
    const maxNanos = this.#nanos.maxValue;
    // The histogram answers the end of a range, which may lie beyond the greatest value in it.
    const at = (percent: number): number => Math.min(this.#nanos.getValueAtPercentile(percent), maxNanos) / 1000;
    return {
      p50Micros: at(50),
      p90Micros: at(90),
      p99Micros: at(99),
      p999Micros: at(99.9),
      p9999Micros: at(99.99),
      maxMicros: maxNanos / 1000,
    };
  }
}

function toNanos(millis: number): number {
  return Math.min(Math.round(millis * 1e6), LATENCY_MICROS_MAX * 1000);
}

/** Of several histograms, merged. An encoded one has lost its exact maximum, which its own percentiles still tell. */
export function mergedPercentiles(
  parts: readonly { readonly latency: string; readonly percentiles: Latency }[],
): Latency {
  const percentiles = LatencyHistogram.merged(parts.map(({ latency }) => latency)).percentiles();
  const maxMicros = Math.max(...parts.map((part) => part.percentiles.maxMicros));
  const clipped = Object.entries(percentiles).map(([name, micros]) => [name, Math.min(micros, maxMicros)]);
  return { ...(Object.fromEntries(clipped) as unknown as Latency), maxMicros };
}
