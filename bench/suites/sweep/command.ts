/** The command `bench sweep`: its flags and their defaults. The suite is loaded when it is called. */
import { MAX_FRAME_OPERATIONS } from '../../../core/protocol.ts';
import { defineCommand } from '../../../runtime/command/cli.ts';
import { messageOf, usageError } from '../../../runtime/command/errors.ts';
import { choice, count, flag, integer, optionalFlag, size } from '../../../runtime/command/flags.ts';
import {
  clientTransportFlag,
  generatorFlag,
  generatorsFlag,
  interruptible,
  jsonFlag,
  KEYS_MAX,
  otherwise,
  ownTransportsFlag,
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
import { CONNECTIONS_MAX, OVER, type Over, SHARDS_MAX, spacedPoints, swept } from './points.ts';

/** What is the same at all points, unless it is what is swept over. */
const SWEEP_BASE = { keys: 100_000, valueSize: 100, connections: 50, batch: 128, shards: 1 };

/** What `sweep` does when nothing else is said, and what of it `--quick` cuts. */
const SWEEP_DEFAULTS = { steps: 5, rounds: 3, seconds: 1 };
const SWEEP_QUICK = { steps: 3, rounds: 1, seconds: 0.3 };

/** Unless the number of keys is given, it is such that the longest values take no more. Unit: bytes. */
const DEFAULT_KEYS_BYTES_MAX = 256 * 1024 * 1024;

/** Most points of a curve. */
const STEPS_MAX = 100;

const text = (given: string): string => given;

export const sweepCommand = defineCommand({
  name: 'sweep',
  about: 'How cost grows with one of keys, value size, connections, batch and shards: a curve',
  flags: {
    over: flag('name', `Let this grow: ${OVER.join(', ')}`, choice(OVER), 'keys'),
    from: optionalFlag('number', 'Begin the curve there', text, 'depends on --over'),
    to: optionalFlag('number', 'End the curve there', text, 'depends on --over'),
    steps: optionalFlag(
      'number',
      'Measure at so many points, the ends among them, each the same multiple of the one before',
      integer(1, STEPS_MAX),
      otherwise(SWEEP_DEFAULTS, SWEEP_QUICK, 'steps'),
    ),
    points: optionalFlag('numbers', 'Measure at exactly these points', text, 'those of --from, --to and --steps'),
    runtimes: runtimesFlag,
    transports: ownTransportsFlag,
    keys: optionalFlag(
      'count',
      'Store so many keys first',
      count(1, KEYS_MAX),
      `${SWEEP_BASE.keys}, fewer if their values took more than 256m`,
    ),
    valueSize: optionalFlag(
      'size',
      'Store values of this length',
      size(1, VALUE_BYTES_MAX),
      String(SWEEP_BASE.valueSize),
    ),
    connections: optionalFlag(
      'number',
      'Open so many connections',
      integer(1, CONNECTIONS_MAX),
      String(SWEEP_BASE.connections),
    ),
    batch: optionalFlag(
      'number',
      'Send so many operations per frame',
      integer(1, MAX_FRAME_OPERATIONS),
      String(SWEEP_BASE.batch),
    ),
    shards: optionalFlag(
      'number',
      'Give each server so many shards',
      integer(1, SHARDS_MAX),
      String(SWEEP_BASE.shards),
    ),
    rounds: roundsFlag(SWEEP_DEFAULTS, SWEEP_QUICK),
    seconds: secondsFlag(SWEEP_DEFAULTS, SWEEP_QUICK),
    seed: seedFlag,
    generator: generatorFlag,
    clientTransport: clientTransportFlag,
    generators: generatorsFlag,
    pin: pinFlag,
    json: jsonFlag,
    quick: quickFlag,
  },
  examples: [
    'sweep --quick',
    'sweep --over keys --from 1000 --to 10m --steps 9',
    'sweep --over value-size --points 100,1k,16k --batch 1',
    'sweep --over connections --runtimes bun --transports uring,bun --batch 1',
    'sweep --over shards --points 1,2 --generators 2 --json sweep.json',
  ],
  run({ quick, json, ...given }, _words, context) {
    const chosen = withDefaults(given, quick ? SWEEP_QUICK : SWEEP_DEFAULTS);
    const { from, to, points: listed, ...rest } = chosen;
    const { dimension } = swept[rest.over];
    if (given[dimension] !== undefined) {
      throw usageError(
        `--${rest.over} ${given[dimension]}: is what --over lets grow; its points are for --from, --to or --points`,
      );
    }
    const points = pointsOf(rest.over, { from, to, listed, steps: chosen.steps });
    const base = withDefaults(rest, SWEEP_BASE);
    const valueSizeMax = dimension === 'valueSize' ? Math.max(...points) : base.valueSize;
    const fitting = Math.max(1, Math.floor(DEFAULT_KEYS_BYTES_MAX / valueSizeMax));
    const flags = { ...base, points, keys: given.keys ?? Math.min(base.keys, fitting) };
    if (quick) sayWhatIsCut(flags, SWEEP_DEFAULTS);
    return interruptible(context, async (signal) => {
      const { sweep } = await import('./sweep.ts');
      return sweep({ flags, json, context, signal });
    });
  },
});

interface GivenPoints {
  readonly from: string | undefined;
  readonly to: string | undefined;
  readonly listed: string | undefined;
  readonly steps: number;
}

function pointsOf(over: Over, { from, to, listed, steps }: GivenPoints): readonly number[] {
  const ends = swept[over];
  const read = (name: string, given: string): number => {
    try {
      return ends.parse(given.trim());
    } catch (error) {
      throw usageError(`--${name} ${given}: ${messageOf(error)}`);
    }
  };
  if (listed !== undefined) {
    if (from !== undefined || to !== undefined)
      throw usageError(`--points ${listed}: not together with --from and --to`);
    const points = listed.split(',').map((one) => read('points', one));
    return [...new Set(points)].sort((a, b) => a - b);
  }
  const first = from === undefined ? ends.from : read('from', from);
  const last = to === undefined ? ends.to : read('to', to);
  if (first > last) throw usageError(`--from ${first}: expected at most --to ${last}`);
  return spacedPoints(first, last, steps);
}
