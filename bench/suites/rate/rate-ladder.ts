/**
 * Which rates are measured. All lie on one ladder, whatever the cell and the round, so that they can be compared: the
 * preferred numbers of ISO 3, 40 to a decade (R40). Rung n is 10^(n/40) operations per second.
 */

/** The step from one rung to the next is 10^(1/40), 5.9 %: how exactly the highest rate is found. */
export const RUNGS_PER_DECADE = 40;

/** The climb takes so many rungs at once, a factor of 1.58 (R5). A power of two, for halving it then comes to single rungs. */
export const CLIMB_RUNGS = 8;

/** The climb begins at this share of what a closed loop reaches, or below. */
const FIRST_SHARE = 1 / 20;

/** The climb ends behind so many saturated rates in a row: a single one may have been disturbed by something else. */
const SATURATED_IN_A_ROW = 2;

/** The climb ends here even if nothing is saturated: the closed loop was disturbed then. A share likewise. */
const LAST_SHARE = 4;

/** Where the first rate is already too high, so many further steps are taken down. */
const STEPS_DOWN_MAX = 5;

/** What one rate came to. */
export interface Verdict {
  /** The server, or the generator, did not keep up. */
  readonly saturated: boolean;
  /** Latency stayed below the limit, and nothing was saturated. */
  readonly met: boolean;
}

/** Measures one rate. Unit: operations per second. */
export type MeasureRate = (rate: number) => Promise<Verdict>;

/** Three digits of it. Unit: operations per second. */
export function rateOfRung(rung: number): number {
  return Number((10 ** (rung / RUNGS_PER_DECADE)).toPrecision(3));
}

/** The greatest rung of the climb that is not above a rate. */
export function climbRungBelow(rate: number): number {
  return Math.floor((Math.log10(rate) * RUNGS_PER_DECADE) / CLIMB_RUNGS) * CLIMB_RUNGS;
}

/**
 * Climbs until the server is saturated, then halves the step above the highest rate that met the limit until it is one rung.
 * `capacity` is what a closed loop reaches. Resolves to the highest rate that met the limit; null when none did.
 */
export async function climb(capacity: number, measure: MeasureRate): Promise<number | null> {
  const first = climbRungBelow(capacity * FIRST_SHARE);
  const last = climbRungBelow(capacity * LAST_SHARE);
  const met = async (rung: number): Promise<boolean> => (await measure(rateOfRung(rung))).met;
  let highest: number | undefined;
  let saturatedInARow = 0;
  for (let rung = first; rung <= last && saturatedInARow < SATURATED_IN_A_ROW; rung += CLIMB_RUNGS) {
    const verdict = await measure(rateOfRung(rung));
    if (verdict.met) highest = rung;
    saturatedInARow = verdict.saturated ? saturatedInARow + 1 : 0;
  }
  for (let steps = 1; highest === undefined && steps <= STEPS_DOWN_MAX; steps++) {
    const rung = first - steps * CLIMB_RUNGS;
    if (await met(rung)) highest = rung;
  }
  if (highest === undefined) return null;
  for (let step = CLIMB_RUNGS / 2; step >= 1; step /= 2) {
    if (await met(highest + step)) highest += step;
  }
  return rateOfRung(highest);
}

/** Measures these rates, the lowest first. Resolves to the highest that met the limit; null when none did. */
export async function climbThrough(rates: readonly number[], measure: MeasureRate): Promise<number | null> {
  let highest: number | null = null;
  for (const rate of [...rates].sort((a, b) => a - b)) {
    if ((await measure(rate)).met) highest = rate;
  }
  return highest;
}
