/** The command `bench study`. It is loaded when it is called. */
import { defineCommand } from '../../runtime/command/cli.ts';
import { choice, listOf, optionalFlag, switchFlag } from '../../runtime/command/flags.ts';
import { QUICK, SUITE_NAMES, WHOLE } from './plan.ts';

export const studyCommand = defineCommand({
  name: 'study',
  about: 'Run the suites that compare servers one after the other, unattended, and make the page of them',
  flags: {
    out: optionalFlag(
      'folder',
      'Write the JSON of each suite and report.html there',
      (text) => text,
      'results/study-TIME',
    ),
    suites: optionalFlag('names', 'Run these suites', listOf(choice(SUITE_NAMES)), 'all'),
    quick: switchFlag('Less of everything, to see how it looks'),
  },
  examples: ['study', 'study --out results/mine', 'study --quick', 'study --suites matrix,blocks'],
  async run({ out, suites, quick }, _words, context) {
    const { study } = await import('./study.ts');
    const steps = (quick ? QUICK : WHOLE).filter(({ suite }) => suites?.includes(suite) ?? true);
    return study({ steps, folder: out ?? `results/study-${timeOfNow()}`, context });
  },
});

/** For the name of a folder: `2026-11-24-0930`, in UTC. */
function timeOfNow(): string {
  return new Date().toISOString().slice(0, 16).replace('T', '-').replace(':', '');
}
