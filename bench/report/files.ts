/** Which of the given files are shown. */
import type { Report } from '../results/report.ts';
import { SUITE_ORDER } from './sections.ts';

export interface ReportFile {
  /** As it was given. */
  readonly path: string;
  readonly report: Report;
}

export interface ChosenFiles {
  /** One for each suite, in the order of the page. */
  readonly shown: readonly ReportFile[];
  /** Of suites of which a later file was given. */
  readonly others: readonly ReportFile[];
}

/** Of several files of a suite, the one that was begun last is shown. Unknown suites come last, by name. */
export function chooseFiles(files: readonly ReportFile[]): ChosenFiles {
  const latest = new Map<string, ReportFile>();
  for (const file of files) {
    const before = latest.get(file.report.suite);
    if (before === undefined || file.report.startedAt >= before.report.startedAt) latest.set(file.report.suite, file);
  }
  const place = (suite: string): number =>
    SUITE_ORDER.includes(suite) ? SUITE_ORDER.indexOf(suite) : SUITE_ORDER.length;
  const shown = [...latest.values()].sort(
    ({ report: { suite: a } }, { report: { suite: b } }) => place(a) - place(b) || (a < b ? -1 : 1),
  );
  return { shown, others: files.filter((file) => !shown.includes(file)) };
}
