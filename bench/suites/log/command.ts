/** The command `bench log`: its flags and their defaults. The suite is loaded when it is called. */
import { tmpdir } from 'node:os';
import { MAX_FRAME_OPERATIONS } from '../../../core/protocol.ts';
import { defineCommand } from '../../../runtime/command/cli.ts';
import { TRANSPORT_NAMES } from '../../../runtime/command/commands.ts';
import { choice, flag, integer, listOf } from '../../../runtime/command/flags.ts';
import {
  clientTransportFlag,
  fittingKeys,
  generatorFlag,
  interruptible,
  jsonFlag,
  keysFlag,
  quickFlag,
  roundsFlag,
  runtimesFlag,
  sayWhatIsCut,
  secondsFlag,
  seedFlag,
  valueSizeFlag,
  withDefaults,
} from '../../flags.ts';
import type { LogPolicy } from './log.ts';

/** What `log` does when nothing else is said, and what of it `--quick` cuts. */
const LOG_DEFAULTS = { keys: 100_000, rounds: 3, seconds: 3 };
const LOG_QUICK = { keys: 10_000, rounds: 1, seconds: 0.5 };

const POLICIES: readonly LogPolicy[] = ['always', 'everysec', 'no', 'none'];

export const logCommand = defineCommand({
  name: 'log',
  about: 'What making writes durable costs, by policy, beside Redis with its append-only file',
  flags: {
    runtimes: runtimesFlag,
    transports: flag('names', 'Measure these transports', listOf(choice(TRANSPORT_NAMES)), 'node,bun,deno,uring'),
    policies: flag(
      'names',
      'Measure these policies; none is a server without a log',
      listOf(choice(POLICIES)),
      POLICIES.join(','),
    ),
    batches: flag('numbers', 'Send so many operations at once', listOf(integer(1, MAX_FRAME_OPERATIONS)), '1,128'),
    connections: flag('numbers', 'Open so many connections', listOf(integer(1, 10_000)), '50'),
    readShare: flag('number', 'Let so many of a hundred operations read; 50 is YCSB-A', integer(0, 100), '0'),
    keys: keysFlag(LOG_DEFAULTS, LOG_QUICK),
    valueSize: valueSizeFlag,
    rounds: roundsFlag(LOG_DEFAULTS, LOG_QUICK),
    seconds: secondsFlag(LOG_DEFAULTS, LOG_QUICK),
    folder: flag('path', 'Keep the logs on the disk of this folder', (text) => text, tmpdir()),
    spares: flag(
      'number',
      'Give each log so many used segments, as it has after its first snapshot',
      integer(0, 1000),
      '0',
    ),
    seed: seedFlag,
    generator: generatorFlag,
    clientTransport: clientTransportFlag,
    json: jsonFlag,
    quick: quickFlag,
  },
  examples: [
    'log --quick',
    'log --runtimes bun --transports uring --policies always --batches 1,16,128 --connections 1,50',
    'log --read-share 50 --policies everysec,none --batches 128 --spares 16   # what everysec adds, YCSB-A',
  ],
  run({ quick, json, readShare: readPercent, ...given }, _words, context) {
    const chosen = withDefaults(given, quick ? LOG_QUICK : LOG_DEFAULTS);
    const flags = { ...chosen, keys: given.keys ?? fittingKeys(chosen), readShare: readPercent / 100 };
    if (quick) sayWhatIsCut(flags, LOG_DEFAULTS);
    return interruptible(context, async (signal) => {
      const { log } = await import('./log.ts');
      return log({ flags, json, context, signal });
    });
  },
});
