/** What the suites that do one operation after the other show of it, and how to read that. */
import type { SequentialOperation } from '../load/sequential-plan.ts';
import type { FigureColumn } from './cells-table.ts';
import type { ReportCell } from './report.ts';
import { formatMicros, formatNumber } from './table.ts';

export const sequentialColumns: readonly FigureColumn[] = [
  { title: 'ops/s', figure: 'opsPerSecond', best: 'highest', format: formatNumber },
  { title: '', figure: 'opsPerSecond', bar: true, format: formatNumber },
  { title: 'mean', figure: 'meanMicros', best: 'lowest', format: formatMicros },
  { title: 'deviation', figure: 'standardDeviationMicros', format: formatMicros },
  { title: 'min', figure: 'minMicros', format: formatMicros },
  { title: 'p50', figure: 'p50Micros', best: 'lowest', format: formatMicros },
  { title: 'p99', figure: 'p99Micros', best: 'lowest', format: formatMicros },
  { title: 'p99.9', figure: 'p999Micros', format: formatMicros },
  { title: 'p99.99', figure: 'p9999Micros', format: formatMicros },
  { title: 'max', figure: 'maxMicros', format: formatMicros },
];

const titles: Readonly<Record<SequentialOperation, string>> = {
  get: 'get: keys that are there',
  miss: 'miss: get of keys that are not there',
  set: 'set: keys that are there get another value',
  churn: 'churn: set of a new key, then its deletion; both count as one',
};

/** What stands above a table. */
export function titleOf(operation: SequentialOperation): string {
  return titles[operation];
}

/** How to read the times, with what the clock itself takes in them. */
export function explainSequential(cells: readonly ReportCell[]): string {
  const clock = (figure: string): string => {
    const medians = cells.map(({ figures }) => figures[figure]!.median);
    const [least, greatest] = [Math.min(...medians), Math.max(...medians)].map(formatMicros);
    return least === greatest ? least! : `${least} to ${greatest}`;
  };
  return (
    'Mean, standard deviation, min and max are of the samples themselves (Welford), percentiles of their histogram. ops/s is of\n' +
    `operations whose time was not taken one by one. In each sample is what reading the clock takes: ${clock('clockMicros')} in the\n` +
    `mean, in steps of ${clock('clockStepMicros')}.\n`
  );
}
