// Prints "N passed, N failed" from the JSON that vitest wrote, and on stderr which tests were skipped. A file that failed before
// its tests ran counts as one failure, and a report that is missing too: the run ended before it could be written.
import { readFileSync } from 'node:fs';
import { relative } from 'node:path';
import process from 'node:process';

const [file] = process.argv.slice(2);
let passed = 0;
let failed = 0;
// The titles of those skipped, by their group. The title of one of the two has the reason.
const skipped = new Map();
try {
  const report = JSON.parse(readFileSync(file, 'utf8'));
  passed = report.numPassedTests;
  failed = report.numFailedTests;
  for (const { name, status, assertionResults } of report.testResults) {
    for (const { status: outcome, ancestorTitles, title } of assertionResults) {
      if (outcome !== 'skipped') continue;
      const group = [relative('.', name), ...ancestorTitles].join(' > ');
      skipped.set(group, [...(skipped.get(group) ?? []), title]);
    }
    if (status === 'failed' && assertionResults.every((result) => result.status !== 'failed')) failed++;
  }
} catch (error) {
  process.stderr.write(`no report of the tests: ${error.message}\n`);
  failed = 1;
}
for (const [group, titles] of skipped) {
  const others = titles.length > 1 ? ` and ${titles.length - 1} more` : '';
  process.stderr.write(`skipped: ${group} > ${titles[0]}${others}\n`);
}
process.stdout.write(`${passed} passed, ${failed} failed\n`);
