// Prints "N passed, N failed" from the JSON that vitest wrote. A file that failed before its tests ran counts as one
// failure, and a report that is missing too: the run ended before it could be written.
import { readFileSync } from 'node:fs';
import process from 'node:process';

const [file] = process.argv.slice(2);
let passed = 0;
let failed = 0;
try {
  const report = JSON.parse(readFileSync(file, 'utf8'));
  passed = report.numPassedTests;
  failed = report.numFailedTests;
  for (const { status, assertionResults } of report.testResults) {
    if (status === 'failed' && assertionResults.every((result) => result.status !== 'failed')) failed++;
  }
} catch (error) {
  process.stderr.write(`no report of the tests: ${error.message}\n`);
  failed = 1;
}
process.stdout.write(`${passed} passed, ${failed} failed\n`);
