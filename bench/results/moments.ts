/**
 * Mean, standard deviation, least and greatest of samples as they come, of the samples themselves and not of the ranges of a
 * histogram: B. P. Welford, "Note on a Method for Calculating Corrected Sums of Squares and Products", Technometrics 4,
 * 1962. It does not lose digits as the sum of squares does.
 */

export class Moments {
  #count = 0;
  #mean = 0;
  /** The sum of the squares of what the samples differ from their mean. */
  #squares = 0;
  #min = Number.POSITIVE_INFINITY;
  #max = Number.NEGATIVE_INFINITY;

  add(sample: number): void {
    this.#count++;
    const before = sample - this.#mean;
    this.#mean += before / this.#count;
    this.#squares += before * (sample - this.#mean);
    if (sample < this.#min) this.#min = sample;
    if (sample > this.#max) this.#max = sample;
  }

  get count(): number {
    return this.#count;
  }

  /** NaN, like the others, when there is no sample. */
  get mean(): number {
    return this.#count === 0 ? Number.NaN : this.#mean;
  }

  /** That of the population the samples were drawn from, by Bessel's correction; 0 of a single sample. */
  get standardDeviation(): number {
    if (this.#count < 2) return this.#count === 1 ? 0 : Number.NaN;
    return Math.sqrt(this.#squares / (this.#count - 1));
  }

  get min(): number {
    return this.#count === 0 ? Number.NaN : this.#min;
  }

  get max(): number {
    return this.#count === 0 ? Number.NaN : this.#max;
  }
}
