/** The command `bench writes`: its flags and their defaults. The suite is loaded when it is called. */
import { MAX_FRAME_OPERATIONS } from '../../../core/protocol.ts';
import { defineCommand } from '../../../runtime/command/cli.ts';
import { flag, integer, listOf } from '../../../runtime/command/flags.ts';
import {
  clientTransportFlag,
  generatorFlag,
  interruptible,
  jsonFlag,
  ownTransportsFlag,
  pinFlag,
  quickFlag,
  roundsFlag,
  runtimesFlag,
  sayWhatIsCut,
  secondsFlag,
  seedFlag,
  sizesFlag,
  valueSizeFlag,
  withDefaults,
} from '../../flags.ts';

/** What `writes` does when nothing else is said, and what of it `--quick` cuts. */
const WRITES_DEFAULTS = { sizes: [1000, 10_000, 100_000, 1_000_000, 10_000_000], rounds: 3, seconds: 1 };
const WRITES_QUICK = { sizes: [1000, 10_000, 100_000], rounds: 1, seconds: 0.3 };

export const writesCommand = defineCommand({
  name: 'writes',
  about: 'Writes against store size: how much dearer they get with each tenfold of the keys',
  flags: {
    runtimes: runtimesFlag,
    transports: ownTransportsFlag,
    sizes: sizesFlag(WRITES_DEFAULTS, WRITES_QUICK),
    batches: flag('numbers', 'Send so many writes per frame', listOf(integer(1, MAX_FRAME_OPERATIONS)), '1,128'),
    connections: flag('number', 'Open so many connections', integer(1, 10_000), '50'),
    valueSize: valueSizeFlag,
    rounds: roundsFlag(WRITES_DEFAULTS, WRITES_QUICK),
    seconds: secondsFlag(WRITES_DEFAULTS, WRITES_QUICK),
    seed: seedFlag,
    generator: generatorFlag,
    clientTransport: clientTransportFlag,
    pin: pinFlag,
    json: jsonFlag,
    quick: quickFlag,
  },
  examples: [
    'writes --quick',
    'writes --runtimes bun --transports uring,bun --batches 16',
    'writes --sizes 1k,1m --value-size 1k --json writes.json',
  ],
  run({ quick, json, ...given }, _words, context) {
    const flags = withDefaults(given, quick ? WRITES_QUICK : WRITES_DEFAULTS);
    if (quick) sayWhatIsCut(flags, WRITES_DEFAULTS);
    return interruptible(context, async (signal) => {
      const { writes } = await import('./writes.ts');
      return writes({ flags, json, context, signal });
    });
  },
});
