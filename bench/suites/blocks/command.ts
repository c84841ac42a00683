/** The command `bench blocks`: its flags and their defaults. The suite is loaded when it is called. */

import { defineCommand } from '../../../runtime/command/cli.ts';
import { TRANSPORT_NAMES } from '../../../runtime/command/commands.ts';
import { choice, flag, integer, listOf, optionalFlag, size } from '../../../runtime/command/flags.ts';
import {
  clientTransportsFlag,
  generatorFlag,
  interruptible,
  jsonFlag,
  otherwise,
  pinFlag,
  quickFlag,
  roundsFlag,
  runtimesFlag,
  sayWhatIsCut,
  secondsFlag,
  seedFlag,
  VALUE_BYTES_MAX,
  withDefaults,
} from '../../flags.ts';
import { BLOCK_OPERATIONS } from './plan.ts';

/** What `blocks` does when nothing else is said, and what of it `--quick` cuts. */
const BLOCKS_DEFAULTS = { rounds: 3, seconds: 0.3, sizes: '64,256,1k,4k,16k,64k,256k,1m,4m' } as const;
const BLOCKS_QUICK = { rounds: 1, seconds: 0.15, sizes: '64,4k,64k,1m' } as const;

/** All blocks are in the memory of server and client at the same time. */
const KEYS_MAX = 64;

const parseSizes = listOf(size(1, VALUE_BYTES_MAX));

export const blocksCommand = defineCommand({
  name: 'blocks',
  about: 'Sending and fetching blocks of 64 bytes to 4 MiB: time, bytes per second, and what that is bound by',
  flags: {
    runtimes: runtimesFlag,
    transports: optionalFlag(
      'names',
      'Measure servers on these transports',
      listOf(choice(TRANSPORT_NAMES)),
      "each runtime's own and uring",
    ),
    sizes: optionalFlag(
      'sizes',
      'Send blocks of these lengths',
      (text) => {
        parseSizes(text);
        return text;
      },
      otherwise(BLOCKS_DEFAULTS, BLOCKS_QUICK, 'sizes'),
    ),
    operations: flag(
      'names',
      'Set blocks, get them, or both',
      listOf(choice(BLOCK_OPERATIONS)),
      BLOCK_OPERATIONS.join(','),
    ),
    connections: flag('number', 'Open so many connections', integer(1, 1000), '1'),
    depth: flag('number', 'Keep so many blocks in flight on each connection', integer(1, 64), '1'),
    keys: flag('number', 'Go round so many keys', integer(1, KEYS_MAX), '16'),
    rounds: roundsFlag(BLOCKS_DEFAULTS, BLOCKS_QUICK),
    seconds: secondsFlag(BLOCKS_DEFAULTS, BLOCKS_QUICK),
    seed: seedFlag,
    generator: generatorFlag,
    clientTransports: {
      ...clientTransportsFlag,
      otherwise: "the generator's runtime's own and uring, with --quick its own",
    },
    pin: pinFlag,
    json: jsonFlag,
    quick: quickFlag,
  },
  examples: [
    'blocks --quick',
    'blocks --json blocks.json',
    'blocks --runtimes bun --transports bun,uring --client-transports bun,uring,node',
    'blocks --sizes 64k,256k,1m --operations get --connections 8',
  ],
  run({ quick, json, ...given }, _words, context) {
    const chosen = withDefaults(given, quick ? BLOCKS_QUICK : BLOCKS_DEFAULTS);
    if (quick) sayWhatIsCut(chosen, BLOCKS_DEFAULTS);
    const flags = { ...chosen, sizes: parseSizes(chosen.sizes) };
    return interruptible(context, async (signal) => {
      const { blocks } = await import('./blocks.ts');
      return blocks({ flags, quick, json, context, signal });
    });
  },
});
