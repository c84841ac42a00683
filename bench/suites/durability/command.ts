/** The command `bench durability`: its flags and their defaults. The suite is loaded when it is called. */
import { defineCommand } from '../../../runtime/command/cli.ts';
import { choice, flag, integer, listOf, switchFlag } from '../../../runtime/command/flags.ts';
import { interruptible, jsonFlag, runtimesFlag, seedFlag, transportsFlag } from '../../flags.ts';
import type { Policy } from './trial.ts';

const POLICIES: readonly Policy[] = ['always', 'everysec', 'no', 'none'];

export const durabilityCommand = defineCommand({
  name: 'durability',
  about: 'What is left of acknowledged writes when the server is killed, or power is lost, at a random write',
  flags: {
    runtimes: runtimesFlag,
    transports: transportsFlag,
    policies: flag(
      'names',
      'Test these policies; none is a server without a log',
      listOf(choice(POLICIES)),
      POLICIES.join(','),
    ),
    writes: flag('number', 'Let the server die within so many acknowledged writes', integer(1, 10_000_000), '20000'),
    tests: flag('number', 'Test each cell under each policy so many times', integer(1, 10_000), '5'),
    powerLoss: switchFlag('Shut down the file system below the log, instead of killing alone; needs root and Linux'),
    seed: seedFlag,
    json: jsonFlag,
  },
  examples: [
    'durability --writes 1000 --tests 3',
    'durability --transports uring,node --policies always --tests 200',
    'durability --power-loss --policies always,everysec,no',
  ],
  run({ json, tests, ...given }, _words, context) {
    return interruptible(context, async (signal) => {
      const { durability } = await import('./durability.ts');
      return durability({ flags: { ...given, rounds: tests }, json, context, signal });
    });
  },
});
