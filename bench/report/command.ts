/** The command `bench report`. It is loaded when it is called. */
import { defineCommand } from '../../runtime/command/cli.ts';
import { usageError } from '../../runtime/command/errors.ts';
import { flag, withLetter } from '../../runtime/command/flags.ts';

export const reportCommand = defineCommand({
  name: 'report',
  about: 'One page of any number of suites: the answer in sentences, charts, tables',
  words: '[...files]',
  flagsAfterWords: true,
  flags: {
    output: withLetter(
      'o',
      flag('file', 'Write the page there', (text) => text, 'report.html'),
    ),
  },
  examples: ['report results/*.json -o report.html'],
  async run({ output }, files) {
    if (files.length === 0) throw usageError('report needs files: what "ringkv bench SUITE --json FILE" wrote');
    const { writePage } = await import('./report.ts');
    return writePage(files, output);
  },
});
