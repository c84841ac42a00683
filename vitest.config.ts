/** How the tests are run. Those that start child processes run what `npm run build` put into `dist/`. */
import process from 'node:process';
import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // Servers and runtimes are started for real, on machines that may have two cores and other work.
    testTimeout: 60_000,
    hookTimeout: 60_000,
    // Two files at a time also where there are two cores: most tests wait for processes that they have started.
    maxWorkers: 2,
    // Nobody is there to run one again when a busy host has held a process up. What needed it is named: scripts/retried-tests.mjs.
    retry: process.env.CI === undefined ? 0 : 1,
  },
});
