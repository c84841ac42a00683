/** The suites of `ringkv bench` and their flags. A suite is loaded when it is called. */
import { MAX_FRAME_OPERATIONS } from '../core/protocol.ts';
import { type Command, type Context, defineCommand } from '../runtime/command/cli.ts';
import { TRANSPORT_NAMES } from '../runtime/command/commands.ts';
import { signalExitCode } from '../runtime/command/errors.ts';
import {
  choice,
  flag,
  integer,
  listOf,
  optionalFlag,
  positiveNumber,
  size,
  switchFlag,
} from '../runtime/command/flags.ts';
import { RUNTIME_NAMES } from '../runtime/runtime.ts';

/** What `matrix` does when nothing else is said, and what of it `--quick` cuts. */
const MATRIX_DEFAULTS = { keys: 1_000_000, rounds: 3, seconds: 3 };
const MATRIX_QUICK = { keys: 100_000, rounds: 1, seconds: 1 };

const KEYS_MAX = 100_000_000;
const VALUE_BYTES_MAX = 1024 * 1024;
const SEED_MAX = 2 ** 32 - 1;

const jsonFlag = optionalFlag('file', 'Write all that was measured to a file, as JSON', (text) => text, 'none');

const runtimesFlag = flag('names', 'Measure these runtimes', listOf(choice(RUNTIME_NAMES)), RUNTIME_NAMES.join(','));

const seedFlag = flag(
  'number',
  'Decides the keys that are asked for and the order of the cells',
  integer(0, SEED_MAX),
  '1',
);

const matrixCommand = defineCommand({
  name: 'matrix',
  about: 'Which transport, in which runtime: throughput, latency, CPU time per operation, memory',
  flags: {
    runtimes: runtimesFlag,
    transports: flag('names', 'Measure these transports', listOf(choice(TRANSPORT_NAMES)), TRANSPORT_NAMES.join(',')),
    batches: flag(
      'numbers',
      'Send so many operations per frame',
      listOf(integer(1, MAX_FRAME_OPERATIONS)),
      '1,16,128,512',
    ),
    connections: flag('number', 'Open so many connections', integer(1, 10_000), '50'),
    depth: flag('number', 'Keep so many frames in flight on each connection', integer(1, 1024), '1'),
    keys: optionalFlag('number', 'Store so many keys first', integer(1, KEYS_MAX), otherwise('keys')),
    valueSize: flag('size', 'Store values of this length', size(1, VALUE_BYTES_MAX), '100'),
    rounds: optionalFlag('number', 'Measure every cell so many times', integer(1, 1000), otherwise('rounds')),
    seconds: optionalFlag('number', 'Measure for so long each time', positiveNumber, otherwise('seconds')),
    seed: seedFlag,
    generator: optionalFlag(
      'name',
      'Run the load generator on node, bun or deno',
      choice(RUNTIME_NAMES),
      'bun if it is here',
    ),
    json: jsonFlag,
    quick: switchFlag('Less of everything, to see in under a minute how it looks'),
  },
  examples: [
    'matrix --quick',
    'matrix --json matrix.json',
    'matrix --runtimes bun,node --batches 1,128 --connections 16',
    'matrix --runtimes bun --rounds 5 --seconds 10',
  ],
  run({ quick, json, keys, rounds, seconds, ...rest }, _words, context) {
    const defaults = quick ? MATRIX_QUICK : MATRIX_DEFAULTS;
    const flags = {
      ...rest,
      keys: keys ?? defaults.keys,
      rounds: rounds ?? defaults.rounds,
      seconds: seconds ?? defaults.seconds,
    };
    return interruptible(context, async (signal) => {
      const { matrix } = await import('./matrix.ts');
      return matrix({ flags, json, context, signal });
    });
  },
});

export const benchCommands: readonly Command[] = [matrixCommand];

function otherwise(name: keyof typeof MATRIX_DEFAULTS): string {
  return `${MATRIX_DEFAULTS[name]}, with --quick ${MATRIX_QUICK[name]}`;
}

/**
 * Runs a suite so that signals end it, its children first. What it rejects with is then of no interest: something it waited
 * for was taken away.
 */
async function interruptible({ runtime }: Context, run: (signal: AbortSignal) => Promise<number>): Promise<number> {
  const controller = new AbortController();
  let exitCode: number | undefined;
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    runtime.onSignal(signal, () => {
      exitCode ??= signalExitCode(signal);
      controller.abort();
    });
  }
  try {
    const finished = await run(controller.signal);
    return exitCode ?? finished;
  } catch (error) {
    if (exitCode === undefined) throw error;
    return exitCode;
  }
}
