/** The command `bench matrix`: its flags and their defaults. The suite is loaded when it is called. */
import { MAX_FRAME_OPERATIONS } from '../../../core/protocol.ts';
import { defineCommand } from '../../../runtime/command/cli.ts';
import { choice, flag, integer, listOf, optionalFlag } from '../../../runtime/command/flags.ts';
import {
  clientTransportsFlag,
  fittingKeys,
  generatorFlag,
  generatorsFlag,
  interruptible,
  jsonFlag,
  keysFlag,
  otherwise,
  pinFlag,
  quickFlag,
  roundsFlag,
  runtimesFlag,
  sayWhatIsCut,
  secondsFlag,
  seedFlag,
  transportsFlag,
  valueSizeFlag,
  withDefaults,
} from '../../flags.ts';

/** What `matrix` does when nothing else is said, and what of it `--quick` cuts. */
const MATRIX_DEFAULTS = { controls: 'on', keys: 1_000_000, rounds: 3, seconds: 3 } as const;
const MATRIX_QUICK = { controls: 'off', keys: 100_000, rounds: 1, seconds: 0.5 } as const;

export const matrixCommand = defineCommand({
  name: 'matrix',
  about: 'Which transport, in which runtime: throughput, latency, CPU time per operation, memory',
  flags: {
    runtimes: runtimesFlag,
    transports: transportsFlag,
    controls: optionalFlag(
      'on|off|only',
      'Measure beside every cell a bare echo on the same transport',
      choice(['on', 'off', 'only']),
      otherwise(MATRIX_DEFAULTS, MATRIX_QUICK, 'controls'),
    ),
    batches: flag(
      'numbers',
      'Send so many operations per frame',
      listOf(integer(1, MAX_FRAME_OPERATIONS)),
      '1,16,128,512',
    ),
    connections: flag('numbers', 'Open so many connections', listOf(integer(1, 10_000)), '50'),
    depth: flag('number', 'Keep so many frames in flight on each connection', integer(1, 1024), '1'),
    keys: keysFlag(MATRIX_DEFAULTS, MATRIX_QUICK),
    valueSize: valueSizeFlag,
    rounds: roundsFlag(MATRIX_DEFAULTS, MATRIX_QUICK),
    seconds: secondsFlag(MATRIX_DEFAULTS, MATRIX_QUICK),
    seed: seedFlag,
    generator: generatorFlag,
    clientTransports: clientTransportsFlag,
    generators: generatorsFlag,
    pin: pinFlag,
    json: jsonFlag,
    quick: quickFlag,
  },
  examples: [
    'matrix --quick',
    'matrix --json matrix.json',
    'matrix --runtimes bun,node --batches 1,128 --connections 1,16,256',
    'matrix --client-transports uring,bun   # each client against each server',
    'matrix --runtimes bun --rounds 5 --seconds 10',
    'matrix --value-size 1m --batches 1   # large values: bytes per second',
  ],
  run({ quick, json, ...given }, _words, context) {
    const chosen = withDefaults(given, quick ? MATRIX_QUICK : MATRIX_DEFAULTS);
    const flags = { ...chosen, keys: given.keys ?? fittingKeys(chosen) };
    if (quick) sayWhatIsCut(flags, MATRIX_DEFAULTS);
    return interruptible(context, async (signal) => {
      const { matrix } = await import('./matrix.ts');
      return matrix({ flags, json, context, signal });
    });
  },
});
