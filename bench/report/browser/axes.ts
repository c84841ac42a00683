/** Where an axis begins and ends, and where its ticks stand. */

import { formatTick } from '../format.ts';
import type { Axis, Tick } from '../model.ts';

/** From the least to the greatest value with some room; a linear axis begins at zero. */
export function domainOf(axis: Axis, values: readonly number[]): readonly [number, number] {
  const min = Math.min(...values);
  const max = Math.max(...values);
  if (axis.scale !== 'log') return [Math.min(0, min), max === 0 ? 1 : max * 1.08];
  return min === max ? [min / 2, max * 2] : [min / 1.12, max * 1.12];
}

export interface Room {
  readonly lengthPx: number;
  /** How far the middles of two ticks' texts must be from each other. */
  readonly apartPx: (text: string, next: string) => number;
  /** Where it was measured: ticks stand there, as far as there is room, instead of at round values. */
  readonly measured?: readonly number[];
}

export function ticksOf(axis: Axis, [low, high]: readonly [number, number], room: Room): readonly Tick[] {
  const place = (value: number): number =>
    room.lengthPx *
    (axis.scale === 'log' ? Math.log(value / low) / Math.log(high / low) : (value - low) / (high - low));
  const beside = (tick: Tick, next: Tick): boolean =>
    place(next.value) - place(tick.value) >= room.apartPx(tick.text, next.text);
  const named = (values: readonly number[]): Tick[] =>
    values
      .filter((value) => value >= low && value <= high)
      .map((value) => ({ value, text: formatTick(value, axis.unit) }));
  const given = axis.ticks ?? (room.measured && named([...new Set(room.measured)].sort((a, b) => a - b)));
  if (given !== undefined) return thinned(given, beside);
  const candidates = axis.scale === 'log' ? logCandidates(low, high) : linearCandidates(low, high);
  const fits = (ticks: readonly Tick[]): boolean => ticks.every((tick, at) => at === 0 || beside(ticks[at - 1]!, tick));
  return candidates.map(named).find((ticks) => ticks.length > 0 && fits(ticks)) ?? [];
}

/** Without those that have no room beside the one before them; the last one has, in any case. */
function thinned(ticks: readonly Tick[], beside: (tick: Tick, next: Tick) => boolean): readonly Tick[] {
  const kept: Tick[] = [];
  for (const tick of ticks) {
    const isLast = tick === ticks.at(-1);
    while (isLast && kept.length > 1 && !beside(kept.at(-1)!, tick)) kept.pop();
    if (kept.length === 0 || beside(kept.at(-1)!, tick)) kept.push(tick);
  }
  return kept;
}

/** From many ticks to few: 1, 2, 5 of each power of ten, then 1, 3, then powers alone, then every second of them. */
function logCandidates(low: number, high: number): readonly (readonly number[])[] {
  const first = Math.floor(Math.log10(low));
  const powers = Array.from({ length: Math.ceil(Math.log10(high)) - first + 1 }, (_, at) => 10 ** (first + at));
  const times = (...factors: number[]): number[] =>
    powers.flatMap((power) => factors.map((factor) => Number((factor * power).toPrecision(3))));
  return [
    ...(high / low < 3 ? [times(1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 7, 8, 9)] : []),
    times(1, 2, 5),
    times(1, 3),
    times(1),
    powers.filter((_, at) => at % 2 === 0),
    powers.filter((_, at) => at % 3 === 0),
  ];
}

/** Multiples of 1, 2 or 5 times a power of ten, from at most eight to few. */
function linearCandidates(low: number, high: number): readonly (readonly number[])[] {
  const power = 10 ** Math.floor(Math.log10((high - low) / 2));
  return [0.2, 0.5, 1, 2, 5]
    .map((factor) => factor * power)
    .map((step) =>
      Array.from({ length: Math.floor((high - low) / step) + 1 }, (_, at) =>
        Number(((Math.ceil(low / step) + at) * step).toPrecision(6)),
      ),
    )
    .filter((values) => values.length <= 8);
}
