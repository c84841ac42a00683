/** The command `bench ycsb`: its flags and their defaults. The suite is loaded when it is called. */
import { defineCommand } from '../../../runtime/command/cli.ts';
import { usageError } from '../../../runtime/command/errors.ts';
import { choice, count, flag, integer, listOf, optionalFlag, size } from '../../../runtime/command/flags.ts';
import {
  clientTransportFlag,
  generatorFlag,
  interruptible,
  jsonFlag,
  KEYS_MAX,
  otherwise,
  pinFlag,
  quickFlag,
  roundsFlag,
  runtimesFlag,
  sayWhatIsCut,
  secondsFlag,
  seedFlag,
  transportsFlag,
  VALUE_BYTES_MAX,
  withDefaults,
} from '../../flags.ts';
import { DISTRIBUTION_NAMES, WORKLOAD_E_MISSING, WORKLOAD_NAMES, type WorkloadName } from './workload-names.ts';
import type { WriteBack } from './ycsb-plan.ts';

/** What `ycsb` does when nothing else is said, and what of it `--quick` cuts. */
const YCSB_DEFAULTS = { records: 100_000, rounds: 3, seconds: 2 };
const YCSB_QUICK = { records: 10_000, rounds: 1, seconds: 0.4 };

/** Most fields of a record. */
const FIELDS_MAX = 1000;

export const ycsbCommand = defineCommand({
  name: 'ycsb',
  about: "YCSB's workloads A, B, C, D and F: load and run phase, latency of each kind of operation",
  flags: {
    runtimes: runtimesFlag,
    transports: transportsFlag,
    workloads: flag('letters', 'Run these workloads', listOf(parseWorkload), WORKLOAD_NAMES.join(',')),
    records: optionalFlag(
      'count',
      'Store so many records first, one by one: the load phase',
      count(1, KEYS_MAX),
      otherwise(YCSB_DEFAULTS, YCSB_QUICK, 'records'),
    ),
    fields: flag('number', 'Give each record so many fields', integer(1, FIELDS_MAX), '10'),
    fieldSize: flag('size', 'Give each field so many bytes', size(1, VALUE_BYTES_MAX), '100'),
    distribution: optionalFlag(
      'name',
      'Ask for records by zipfian, latest or uniform',
      choice(DISTRIBUTION_NAMES),
      "the workload's own",
    ),
    writeBack: flag(
      'cas|set',
      "Store what F's read-modify-write changed by CAS, again if another was faster, or by SET, as YCSB does",
      choice<WriteBack>(['cas', 'set']),
      'cas',
    ),
    connections: flag(
      'number',
      'Open so many connections, each with one operation in flight',
      integer(1, 10_000),
      '50',
    ),
    rounds: roundsFlag(YCSB_DEFAULTS, YCSB_QUICK),
    seconds: secondsFlag(YCSB_DEFAULTS, YCSB_QUICK),
    seed: seedFlag,
    generator: generatorFlag,
    clientTransport: clientTransportFlag,
    pin: pinFlag,
    json: jsonFlag,
    quick: quickFlag,
  },
  examples: [
    'ycsb --quick',
    'ycsb --workloads A,F --records 1m',
    'ycsb --runtimes bun --transports uring --fields 1 --field-size 1k',
    'ycsb --workloads C --distribution uniform --json ycsb.json',
  ],
  run({ quick, json, ...given }, _words, context) {
    const flags = withDefaults(given, quick ? YCSB_QUICK : YCSB_DEFAULTS);
    const recordBytes = flags.fields * flags.fieldSize;
    if (recordBytes > VALUE_BYTES_MAX) {
      throw usageError(
        `--fields ${flags.fields}: with --field-size, expected at most ${VALUE_BYTES_MAX} bytes, not ${recordBytes}`,
      );
    }
    if (quick) sayWhatIsCut(flags, YCSB_DEFAULTS);
    return interruptible(context, async (signal) => {
      const { ycsb } = await import('./ycsb.ts');
      return ycsb({ flags, json, context, signal });
    });
  },
});

function parseWorkload(text: string): WorkloadName {
  const letter = text.toUpperCase();
  if (letter === 'E') throw new Error(WORKLOAD_E_MISSING);
  return choice(WORKLOAD_NAMES)(letter as WorkloadName);
}
