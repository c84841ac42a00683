/** The command `bench flame`: its flags and their defaults. The suite is loaded when it is called. */
import { MAX_FRAME_OPERATIONS } from '../../../core/protocol.ts';
import { defineCommand } from '../../../runtime/command/cli.ts';
import { TRANSPORT_NAMES } from '../../../runtime/command/commands.ts';
import { choice, flag, integer, listOf, optionalFlag } from '../../../runtime/command/flags.ts';
import {
  clientTransportFlag,
  generatorFlag,
  interruptible,
  jsonFlag,
  KEYS_MAX,
  otherwise,
  quickFlag,
  runtimesFlag,
  sayWhatIsCut,
  secondsFlag,
  seedFlag,
  valueSizeFlag,
  withDefaults,
} from '../../flags.ts';
import { PROFILER_NAMES } from './profiler.ts';

/** What `flame` does when nothing else is said, and what of it `--quick` cuts. */
const FLAME_DEFAULTS = { keys: 100_000, seconds: 3 } as const;
const FLAME_QUICK = { keys: 10_000, seconds: 0.5 } as const;

export const flameCommand = defineCommand({
  name: 'flame',
  about: 'Where a server spends its time: CPU profiles as flame graphs, and for speedscope',
  flags: {
    runtimes: runtimesFlag,
    transports: optionalFlag(
      'names',
      'Profile servers on these transports',
      listOf(choice(TRANSPORT_NAMES)),
      "each runtime's own and uring",
    ),
    profilers: optionalFlag(
      'names',
      "Profile by the runtime's own profiler, by perf, or both",
      listOf(choice(PROFILER_NAMES)),
      'all that work here',
    ),
    batch: flag('number', 'Send so many operations per frame', integer(1, MAX_FRAME_OPERATIONS), '16'),
    connections: flag('number', 'Open so many connections', integer(1, 10_000), '50'),
    keys: optionalFlag(
      'number',
      'Store so many keys first',
      integer(1, KEYS_MAX),
      otherwise(FLAME_DEFAULTS, FLAME_QUICK, 'keys'),
    ),
    valueSize: valueSizeFlag,
    seconds: secondsFlag(FLAME_DEFAULTS, FLAME_QUICK),
    seed: seedFlag,
    out: flag('folder', 'Write the files into this folder', (text) => text, 'flame'),
    generator: generatorFlag,
    clientTransport: clientTransportFlag,
    json: jsonFlag,
    quick: quickFlag,
  },
  examples: [
    'flame --quick',
    'flame --runtimes bun --transports bun,uring --out profiles',
    'flame --runtimes node --profilers perf --batch 1 --seconds 10',
  ],
  run({ quick, json, ...given }, _words, context) {
    const chosen = withDefaults(given, quick ? FLAME_QUICK : FLAME_DEFAULTS);
    if (quick) sayWhatIsCut(chosen, FLAME_DEFAULTS);
    // One profile is not compared with another: more seconds are worth more than more rounds.
    const flags = { ...chosen, rounds: 1 };
    return interruptible(context, async (signal) => {
      const { flame } = await import('./flame.ts');
      return flame({ flags, json, context, signal });
    });
  },
});
