/** Latency: a histogram while it is measured, its percentiles afterwards. */
import { build, type Histogram } from 'hdr-histogram-js';

/** Longer ones count as this long. Unit: microseconds. */
const LATENCY_MICROS_MAX = 60_000_000;

/** Unit: microseconds. */
export interface Latency {
  readonly p50Micros: number;
  readonly p99Micros: number;
  readonly p999Micros: number;
  readonly maxMicros: number;
}

/** Three digits are exact, from a tenth of a microsecond to a minute. */
export class LatencyHistogram {
  // Tenths of microseconds: an engine's turn takes only a few microseconds, and whole numbers are what it counts.
  readonly #tenths: Histogram = build({
    lowestDiscernibleValue: 1,
    highestTrackableValue: LATENCY_MICROS_MAX * 10,
    numberOfSignificantValueDigits: 3,
    autoResize: false,
  });

  record(millis: number): void {
    this.#tenths.recordValue(Math.min(Math.round(millis * 10_000), LATENCY_MICROS_MAX * 10));
  }

  reset(): void {
    this.#tenths.reset();
  }

  /** The percentiles of what was recorded since the start or the last `reset`. */
  percentiles(): Latency {
    const maxTenths = this.#tenths.maxValue;
    // The histogram answers the end of a range, which may lie beyond the greatest value in it.
    const at = (percent: number): number => Math.min(this.#tenths.getValueAtPercentile(percent), maxTenths) / 10;
    return { p50Micros: at(50), p99Micros: at(99), p999Micros: at(99.9), maxMicros: maxTenths / 10 };
  }
}
