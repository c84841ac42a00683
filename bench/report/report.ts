/** Makes the page of the suites' files. */
import { writeFileSync } from 'node:fs';
import process from 'node:process';
import { CommandError, ExitCode, messageOf } from '../../runtime/command/errors.ts';
import { formatNumber } from '../results/table.ts';
import { readReport } from '../results/validate.ts';
import { chooseFiles } from './files.ts';
import { pageOf } from './page.ts';
import { withPercentiles } from './percentiles.ts';

/**
 * Reads the files, writes the page, says what is in it, and returns the exit code. Throws a `CommandError` when a file can't
 * be read or is none of a suite, or the page can't be written.
 */
export function writePage(paths: readonly string[], output: string): number {
  const { shown, others } = chooseFiles(paths.map((path) => ({ path, report: withPercentiles(readReport(path)) })));
  const { html, sections } = pageOf(shown, others);
  try {
    writeFileSync(output, html);
  } catch (error) {
    throw new CommandError(`--output ${output}: ${messageOf(error)}`);
  }
  const charts = sections.reduce((sum, section) => sum + section.charts.length, 0);
  const bytes = Buffer.byteLength(html);
  process.stdout.write(
    `${output}: ${shown.map(({ report }) => report.suite).join(', ')}; ${charts} charts, ${formatNumber(bytes)}B\n` +
      others.map(({ path, report }) => `not shown: ${path}, a later file of ${report.suite} was given\n`).join(''),
  );
  return ExitCode.OK;
}
