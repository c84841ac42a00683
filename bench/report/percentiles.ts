/** Percentiles as figures, so that charts and sentences treat them alike. */
import type { Latency } from '../load/latency.ts';
import { cellKey, type Report, type ReportCell, type ReportRound } from '../results/report.ts';
import { type Summary, summarize } from '../results/statistics.ts';

/**
 * The same report with the percentiles of each round and cell among its figures. Of a cell they are those of all rounds'
 * histograms together, as in the file; the interval is that of the rounds' percentiles.
 */
export function withPercentiles(report: Report): Report {
  const byCell = new Map<string, ReportRound[]>();
  for (const round of report.rounds) {
    const key = cellKey(round.dimensions);
    const own = byCell.get(key);
    if (own === undefined) byCell.set(key, [round]);
    else own.push(round);
  }
  return {
    ...report,
    rounds: report.rounds.map((round) => ({ ...round, figures: { ...round.percentiles, ...round.figures } })),
    cells: report.cells.map((cell) => ({
      ...cell,
      figures: { ...summaries(cell, byCell.get(cellKey(cell.dimensions)) ?? []), ...cell.figures },
    })),
  };
}

function summaries({ percentiles }: ReportCell, rounds: readonly ReportRound[]): Readonly<Record<string, Summary>> {
  if (percentiles === undefined) return {};
  return Object.fromEntries(
    (Object.keys(percentiles) as (keyof Latency)[]).map((name) => {
      const median = percentiles[name];
      const samples = rounds.flatMap((round) => round.percentiles?.[name] ?? []);
      const { low, high, min, max } = summarize(samples.length === 0 ? [median] : samples);
      const [least, most] = [Math.min(low, median), Math.max(high, median)];
      return [name, { median, low: least, high: most, min: Math.min(min, least), max: Math.max(max, most) }];
    }),
  );
}
