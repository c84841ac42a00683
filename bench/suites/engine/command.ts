/** The command `bench engine`: its flags and their defaults. The suite is loaded when it is called. */
import { MAX_FRAME_OPERATIONS } from '../../../core/protocol.ts';
import { defineCommand } from '../../../runtime/command/cli.ts';
import { choice, flag, integer, listOf, optionalFlag, positiveNumber } from '../../../runtime/command/flags.ts';
import type { EngineName } from '../../../runtime/engine.ts';
import {
  interruptible,
  jsonFlag,
  KEYS_MAX,
  otherwise,
  quickFlag,
  runtimesFlag,
  sayWhatIsCut,
  seedFlag,
  valueSizeFlag,
  withDefaults,
} from '../../flags.ts';

/** What `engine` does when nothing else is said, and what of it `--quick` cuts. */
const ENGINE_DEFAULTS = { keys: 1_000_000, growTo: 10_000_000, rounds: 3, seconds: 3 };
const ENGINE_QUICK = { keys: 100_000, growTo: 1_000_000, rounds: 1, seconds: 1 };

export const engineCommand = defineCommand({
  name: 'engine',
  about: 'The engines without a network: throughput, memory per key, what growing costs',
  flags: {
    runtimes: runtimesFlag,
    engines: flag('names', 'Measure these engines', listOf(choice<EngineName>(['swiss', 'map'])), 'swiss,map'),
    keys: optionalFlag(
      'number',
      'Store so many keys first',
      integer(1, KEYS_MAX),
      otherwise(ENGINE_DEFAULTS, ENGINE_QUICK, 'keys'),
    ),
    growTo: optionalFlag(
      'number',
      'Let swiss grow to so many keys',
      integer(1, KEYS_MAX),
      otherwise(ENGINE_DEFAULTS, ENGINE_QUICK, 'growTo'),
    ),
    valueSize: valueSizeFlag,
    batch: flag('number', 'Execute so many operations per turn', integer(1, MAX_FRAME_OPERATIONS), '128'),
    rounds: optionalFlag(
      'number',
      'Measure each so many times',
      integer(1, 1000),
      otherwise(ENGINE_DEFAULTS, ENGINE_QUICK, 'rounds'),
    ),
    seconds: optionalFlag(
      'number',
      'Measure throughput for so long each time',
      positiveNumber,
      otherwise(ENGINE_DEFAULTS, ENGINE_QUICK, 'seconds'),
    ),
    seed: seedFlag,
    json: jsonFlag,
    quick: quickFlag,
  },
  examples: ['engine --quick', 'engine --runtimes node,bun --engines swiss', 'engine --json engine.json'],
  run({ quick, json, ...given }, _words, context) {
    const flags = withDefaults(given, quick ? ENGINE_QUICK : ENGINE_DEFAULTS);
    if (quick) sayWhatIsCut(flags, ENGINE_DEFAULTS);
    return interruptible(context, async (signal) => {
      const { engine } = await import('./engine.ts');
      return engine({ flags, json, context, signal });
    });
  },
});
