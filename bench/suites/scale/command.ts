/** The command `bench scale`: its flags and their defaults. The suite is loaded when it is called. */
import { MAX_FRAME_OPERATIONS } from '../../../core/protocol.ts';
import { defineCommand } from '../../../runtime/command/cli.ts';
import { TRANSPORT_NAMES } from '../../../runtime/command/commands.ts';
import { choice, flag, integer, listOf } from '../../../runtime/command/flags.ts';
import { RUNTIME_NAMES } from '../../../runtime/runtime.ts';
import {
  clientTransportFlag,
  fittingKeys,
  GENERATORS_MAX,
  generatorFlag,
  interruptible,
  jsonFlag,
  keysFlag,
  pinFlag,
  quickFlag,
  roundsFlag,
  sayWhatIsCut,
  secondsFlag,
  seedFlag,
  valueSizeFlag,
  withDefaults,
} from '../../flags.ts';

/** What `scale` does when nothing else is said, and what of it `--quick` cuts. */
const SCALE_DEFAULTS = { keys: 100_000, rounds: 3, seconds: 2 };
const SCALE_QUICK = { keys: 10_000, rounds: 1, seconds: 0.3 };

const SERVERS_MAX = 64;

export const scaleCommand = defineCommand({
  name: 'scale',
  about: 'Servers × load generators: throughput in all and per core, CPU time, memory, loopback bytes',
  flags: {
    runtimes: flag('names', 'Measure these runtimes', listOf(choice(RUNTIME_NAMES)), 'bun,node'),
    transports: flag('names', 'Measure these transports', listOf(choice(TRANSPORT_NAMES)), 'bun,node,uring'),
    servers: flag('numbers', 'Start so many server processes', listOf(integer(1, SERVERS_MAX)), '1,2,4'),
    generators: flag('numbers', 'Start so many load generators', listOf(integer(1, GENERATORS_MAX)), '1,2,4'),
    batch: flag('number', 'Send so many operations per frame', integer(1, MAX_FRAME_OPERATIONS), '128'),
    connections: flag('number', 'Open so many connections, over all processes together', integer(1, 10_000), '48'),
    depth: flag('number', 'Keep so many frames in flight on each connection', integer(1, 1024), '1'),
    keys: keysFlag(SCALE_DEFAULTS, SCALE_QUICK),
    valueSize: valueSizeFlag,
    rounds: roundsFlag(SCALE_DEFAULTS, SCALE_QUICK),
    seconds: secondsFlag(SCALE_DEFAULTS, SCALE_QUICK),
    seed: seedFlag,
    generator: generatorFlag,
    clientTransport: clientTransportFlag,
    pin: pinFlag,
    json: jsonFlag,
    quick: quickFlag,
  },
  examples: [
    'scale --quick',
    'scale --runtimes bun --transports uring --json scale.json',
    'scale --servers 1,2,4,8 --generators 4,8 --connections 192 --pin   # on a large machine',
  ],
  run({ quick, json, ...given }, _words, context) {
    const chosen = withDefaults(given, quick ? SCALE_QUICK : SCALE_DEFAULTS);
    const flags = { ...chosen, keys: given.keys ?? fittingKeys(chosen) };
    if (quick) sayWhatIsCut(flags, SCALE_DEFAULTS);
    return interruptible(context, async (signal) => {
      const { scale } = await import('./scale.ts');
      return scale({ flags, json, context, signal });
    });
  },
});
