/** How the tests are run. Those that start child processes run what `npm run build` put into `dist/`. */
import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** The conformance tests first, which take longest: one of them that came last would run on alone. */
class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const isLong = ({ moduleId }: TestSpecification): boolean => moduleId.includes('/test/conformance/');
    const sorted = await super.sort(files);
    return [...sorted.filter(isLong), ...sorted.filter((file) => !isLong(file))];
  }
}

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // Servers and runtimes are started for real, on machines that may have two cores and other work.
    testTimeout: 60_000,
    hookTimeout: 60_000,
    expect: { poll: { timeout: 15_000 } },
    // Ends what a test that failed has left running.
    setupFiles: ['test/support/end-children.ts'],
    // Two files at a time also where there are two cores: most tests wait for processes that they have started.
    maxWorkers: 2,
    sequence: { sequencer: LongestFirst },
  },
});
