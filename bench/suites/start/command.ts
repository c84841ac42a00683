/** The command `bench start`: its flags and their defaults. The suite is loaded when it is called. */
import { defineCommand } from '../../../runtime/command/cli.ts';
import { flag, integer } from '../../../runtime/command/flags.ts';
import { interruptible, jsonFlag, runtimesFlag, seedFlag } from '../../flags.ts';

export const startCommand = defineCommand({
  name: 'start',
  about: 'How long a server takes from its start to its ready line',
  flags: {
    runtimes: runtimesFlag,
    rounds: flag('number', 'Start each so many times', integer(1, 1000), '10'),
    seed: seedFlag,
    json: jsonFlag,
  },
  examples: ['start', 'start --runtimes bun --rounds 50'],
  run({ json, ...flags }, _words, context) {
    return interruptible(context, async (signal) => {
      const { start } = await import('./start.ts');
      return start({ flags, json, context, signal });
    });
  },
});
