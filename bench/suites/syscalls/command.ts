/** The command `bench syscalls`: its flags and their defaults. The suite is loaded when it is called. */
import { defineCommand } from '../../../runtime/command/cli.ts';
import { choice, flag, integer, listOf, optionalFlag } from '../../../runtime/command/flags.ts';
import {
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
  seedFlag,
  timedClientTransportFlag,
  transportsFlag,
  valueSizeFlag,
  withDefaults,
} from '../../flags.ts';
import { ORDERS } from './plan.ts';
import { TRACER_NAMES } from './tracer.ts';

/** What `syscalls` does when nothing else is said, and what of it `--quick` cuts. */
const SYSCALLS_DEFAULTS = { keys: 100_000, operations: '500,1000,2000,10000', rounds: 3 } as const;
const SYSCALLS_QUICK = { keys: 10_000, operations: '1000', rounds: 1 } as const;

const OPERATIONS_MAX = 10_000_000;
const parseOperations = listOf(integer(1, OPERATIONS_MAX));

export const syscallsCommand = defineCommand({
  name: 'syscalls',
  about: 'What the kernel is asked for: system calls by name, context switches, user, system and elapsed time',
  flags: {
    runtimes: runtimesFlag,
    transports: transportsFlag,
    operations: optionalFlag(
      'numbers',
      'Send exactly so many operations',
      (text) => {
        parseOperations(text);
        return text;
      },
      otherwise(SYSCALLS_DEFAULTS, SYSCALLS_QUICK, 'operations'),
    ),
    orders: flag('names', 'Ask for keys in random or sequential order', listOf(choice(ORDERS)), 'random'),
    connections: flag('numbers', 'Open so many connections', listOf(integer(1, 10_000)), '1'),
    keys: optionalFlag(
      'number',
      'Store so many keys first',
      integer(1, KEYS_MAX),
      otherwise(SYSCALLS_DEFAULTS, SYSCALLS_QUICK, 'keys'),
    ),
    valueSize: valueSizeFlag,
    tool: optionalFlag('name', 'Count by perf or strace', choice(TRACER_NAMES), 'the one that is here, perf first'),
    rounds: roundsFlag(SYSCALLS_DEFAULTS, SYSCALLS_QUICK),
    seed: seedFlag,
    generator: generatorFlag,
    clientTransport: timedClientTransportFlag,
    pin: pinFlag,
    json: jsonFlag,
    quick: quickFlag,
  },
  examples: [
    'syscalls --quick',
    'syscalls --json syscalls.json',
    'syscalls --transports uring,node --orders random,sequential --operations 500,1000,2000',
    'syscalls --connections 1,16,50   # what a turn of the ring collects',
    'syscalls --client-transport uring   # the ring on the other side, too',
  ],
  run({ quick, json, ...given }, _words, context) {
    const chosen = withDefaults(given, quick ? SYSCALLS_QUICK : SYSCALLS_DEFAULTS);
    if (quick) sayWhatIsCut(chosen, SYSCALLS_DEFAULTS);
    const flags = { ...chosen, operations: parseOperations(chosen.operations) };
    return interruptible(context, async (signal) => {
      const { syscalls } = await import('./syscalls.ts');
      return syscalls({ flags, json, context, signal });
    });
  },
});
