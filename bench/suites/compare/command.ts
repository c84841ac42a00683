/** The command `bench compare`: its flags. What it does is loaded when it is called. */
import { defineCommand } from '../../../runtime/command/cli.ts';
import { usageError } from '../../../runtime/command/errors.ts';
import { listOf, optionalFlag, positiveNumber } from '../../../runtime/command/flags.ts';

export const compareCommand = defineCommand({
  name: 'compare',
  about: 'Did it get faster: two JSON files of the same suite, cell by cell',
  flags: {
    figures: optionalFlag(
      'names',
      'Compare these figures and percentiles',
      listOf((text) => text),
      'CPU per operation, operations per second and p99, or all there are',
    ),
    failAbove: optionalFlag(
      'percent',
      'Exit with code 1 when a figure got worse by more than this',
      positiveNumber,
      'never',
    ),
  },
  words: '[...files]',
  flagsAfterWords: true,
  examples: [
    'compare before.json after.json',
    'compare before.json after.json --fail-above 10 --figures serverMicrosPerOp',
  ],
  async run(flags, words) {
    const [a, b, ...others] = words;
    if (a === undefined || b === undefined || others.length > 0) {
      throw usageError(`compare: expected two files, got ${words.length}`);
    }
    const { compare } = await import('./compare.ts');
    return compare(a, b, flags);
  },
});
