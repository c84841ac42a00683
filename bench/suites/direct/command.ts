/** The command `bench direct`: its flags and their defaults. The suite is loaded when it is called. */
import { defineCommand } from '../../../runtime/command/cli.ts';
import { choice, flag, listOf } from '../../../runtime/command/flags.ts';
import type { EngineName } from '../../../runtime/engine.ts';
import {
  interruptible,
  jsonFlag,
  operationsFlag,
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
import { STORE_SIZES } from '../../load/store-sizes.ts';

/** What `direct` does when nothing else is said, and what of it `--quick` cuts. */
const DIRECT_DEFAULTS = { sizes: STORE_SIZES, rounds: 3, seconds: 0.4 };
const DIRECT_QUICK = { sizes: [0, 1000, 100_000], rounds: 1, seconds: 0.2 };

export const directCommand = defineCommand({
  name: 'direct',
  about: 'What the store costs without a network, and how many times more it is over TCP',
  flags: {
    runtimes: runtimesFlag,
    engines: flag(
      'names',
      'Measure stores of these engines',
      listOf(choice<EngineName>(['swiss', 'map'])),
      'swiss,map',
    ),
    sizes: sizesFlag(DIRECT_DEFAULTS, DIRECT_QUICK),
    operations: operationsFlag,
    valueSize: valueSizeFlag,
    rounds: roundsFlag(DIRECT_DEFAULTS, DIRECT_QUICK),
    seconds: secondsFlag(DIRECT_DEFAULTS, DIRECT_QUICK),
    seed: seedFlag,
    pin: pinFlag,
    json: jsonFlag,
    quick: quickFlag,
  },
  examples: [
    'direct --quick',
    'direct --runtimes bun --engines swiss --sizes 0,1k,1m',
    'direct --operations get,set --value-size 4k',
    'direct --json direct.json',
  ],
  run({ quick, json, ...given }, _words, context) {
    const flags = withDefaults(given, quick ? DIRECT_QUICK : DIRECT_DEFAULTS);
    if (quick) sayWhatIsCut(flags, DIRECT_DEFAULTS);
    return interruptible(context, async (signal) => {
      const { direct } = await import('./direct.ts');
      return direct({ flags, json, context, signal });
    });
  },
});
