import type { Report } from '../../results/report.ts';
import type { Chart } from '../model.ts';

/** What one suite has on the page. */
export interface SectionKind {
  /** Default: the suite's name. */
  readonly title?: string;
  /** What it answers. */
  readonly about?: string;
  /** Those that have nothing to show are undefined. */
  readonly charts: (report: Report) => readonly (Chart | undefined)[];
  /** What is told below the charts. */
  readonly notes?: (report: Report) => readonly string[];
}
