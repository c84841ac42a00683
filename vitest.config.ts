/** How the tests are run. Those that start child processes run what `npm run build` put into `dist/`. */
import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // Servers and runtimes are started for real, on machines that may have two cores and other work.
    testTimeout: 60_000,
    hookTimeout: 60_000,
    // Two files at a time also where there are two cores: most tests wait for processes that they have started.
    maxWorkers: 2,
  },
});
