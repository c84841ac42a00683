// A reporter for vitest: names the tests that failed first and passed when they were tried again, and why they failed, so that
// a second try hides nothing.
import process from 'node:process';

export default class RetriedTests {
  onTestRunEnd(modules) {
    for (const module of modules) {
      for (const test of module.children.allTests()) {
        if (test.diagnostic()?.flaky !== true) continue;
        const [error] = test.result().errors ?? [];
        process.stdout.write(
          `passed when tried again: ${module.relativeModuleId} > ${test.fullName}: ${error?.message}\n`,
        );
      }
    }
  }
}
