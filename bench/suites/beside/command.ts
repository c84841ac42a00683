/** The command `bench beside`: its flags and their defaults. The suite is loaded when it is called. */
import { tmpdir } from 'node:os';
import { defineCommand } from '../../../runtime/command/cli.ts';
import { choice, count, flag, integer, listOf } from '../../../runtime/command/flags.ts';
import type { TransportName } from '../../../transports/transport.ts';
import {
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
  timedClientTransportFlag,
  withDefaults,
} from '../../flags.ts';
import { DISTURBANCES } from './beside-plan.ts';

/** What `beside` does when nothing else is said, and what of it `--quick` cuts. */
const BESIDE_DEFAULTS = { keys: 1_000_000, rounds: 3, seconds: 3 };
const BESIDE_QUICK = { keys: 100_000, rounds: 1, seconds: 0.5 };

/** Those that take a stream of bytes, half frames and garbage included. */
const STREAM_TRANSPORTS: readonly TransportName[] = ['uring', 'node', 'bun', 'deno'];

export const besideCommand = defineCommand({
  name: 'beside',
  about: 'How late clients are served beside hostile ones, and while a snapshot is made',
  flags: {
    runtimes: runtimesFlag,
    transports: flag(
      'names',
      'Measure these transports',
      listOf(choice(STREAM_TRANSPORTS)),
      STREAM_TRANSPORTS.join(','),
    ),
    beside: flag('names', 'Measure beside these', listOf(choice(DISTURBANCES)), DISTURBANCES.join(',')),
    connections: flag('number', 'Let so many clients behave', integer(1, 10_000), '50'),
    rate: flag('number', 'They send so many frames a second in all', count(1, 1_000_000), '2000'),
    batch: flag('number', 'A frame has so many operations', integer(1, 100_000), '16'),
    keys: keysFlag(BESIDE_DEFAULTS, BESIDE_QUICK),
    rounds: roundsFlag(BESIDE_DEFAULTS, BESIDE_QUICK),
    seconds: secondsFlag(BESIDE_DEFAULTS, BESIDE_QUICK),
    folder: flag('path', 'Keep the data on the disk of this folder', (text) => text, tmpdir()),
    seed: seedFlag,
    generator: generatorFlag,
    clientTransport: timedClientTransportFlag,
    json: jsonFlag,
    quick: quickFlag,
  },
  examples: [
    'beside --quick',
    'beside --runtimes node --transports node --beside slow,flooding',
    'beside --beside snapshot   # how many turns take 5 ms and more',
  ],
  run({ quick, json, ...given }, _words, context) {
    const flags = withDefaults(given, quick ? BESIDE_QUICK : BESIDE_DEFAULTS);
    if (quick) sayWhatIsCut(flags, BESIDE_DEFAULTS);
    return interruptible(context, async (signal) => {
      const { beside } = await import('./beside.ts');
      return beside({ flags, json, context, signal });
    });
  },
});
