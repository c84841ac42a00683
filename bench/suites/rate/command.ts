/** The command `bench rate`: its flags and their defaults. The suite is loaded when it is called. */
import { MAX_FRAME_OPERATIONS } from '../../../core/protocol.ts';
import { defineCommand } from '../../../runtime/command/cli.ts';
import { flag, integer, listOf, optionalFlag, positiveNumber } from '../../../runtime/command/flags.ts';
import {
  fittingKeys,
  generatorFlag,
  interruptible,
  jsonFlag,
  keysFlag,
  pinFlag,
  quickFlag,
  roundsFlag,
  runtimesFlag,
  sayWhatIsCut,
  secondsFlag,
  seedFlag,
  timedClientTransportFlag,
  transportsFlag,
  valueSizeFlag,
  withDefaults,
} from '../../flags.ts';

/** What `rate` does when nothing else is said, and what of it `--quick` cuts. */
const RATE_DEFAULTS = { keys: 1_000_000, rounds: 3, seconds: 1 };
const RATE_QUICK = { keys: 100_000, rounds: 1, seconds: 0.2 };

/** Unit: operations per second. */
const RATE_MAX = 1_000_000_000;

export const rateCommand = defineCommand({
  name: 'rate',
  about: 'Latency at a load: fixed rates up to saturation, and the highest that keeps p99 low',
  flags: {
    runtimes: runtimesFlag,
    transports: transportsFlag,
    batches: flag('numbers', 'Send so many operations per frame', listOf(integer(1, MAX_FRAME_OPERATIONS)), '1,128'),
    rates: optionalFlag(
      'numbers',
      'Send so many operations per second, over all connections together',
      listOf(integer(1, RATE_MAX)),
      'a ladder from a twentieth of what a closed loop reaches to saturation',
    ),
    limitMs: flag('number', 'Find the highest rate whose p99 is below so many milliseconds', positiveNumber, '1'),
    connections: flag('number', 'Open so many connections', integer(1, 10_000), '50'),
    depth: flag('number', 'Have at most so many frames in flight on each connection', integer(1, 1024), '16'),
    keys: keysFlag(RATE_DEFAULTS, RATE_QUICK),
    valueSize: valueSizeFlag,
    rounds: roundsFlag(RATE_DEFAULTS, RATE_QUICK),
    seconds: secondsFlag(RATE_DEFAULTS, RATE_QUICK),
    seed: seedFlag,
    generator: generatorFlag,
    clientTransport: timedClientTransportFlag,
    pin: pinFlag,
    json: jsonFlag,
    quick: quickFlag,
  },
  examples: [
    'rate --quick',
    'rate --runtimes bun --transports bun,uring --json rate.json',
    'rate --batches 1 --rates 10000,50000,100000',
    'rate --batches 128 --limit-ms 0.5 --pin',
  ],
  run({ quick, json, ...given }, _words, context) {
    const chosen = withDefaults(given, quick ? RATE_QUICK : RATE_DEFAULTS);
    const flags = { ...chosen, keys: given.keys ?? fittingKeys(chosen) };
    if (quick) sayWhatIsCut(flags, RATE_DEFAULTS);
    return interruptible(context, async (signal) => {
      const { rate } = await import('./rate.ts');
      return rate({ flags, json, context, signal });
    });
  },
});
