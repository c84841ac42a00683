/** The suites of `ringkv bench` and their flags. A suite is loaded when it is called. */
import process from 'node:process';
import { MAX_FRAME_OPERATIONS } from '../core/protocol.ts';
import { type Command, type Context, defineCommand } from '../runtime/command/cli.ts';
import { TRANSPORT_NAMES } from '../runtime/command/commands.ts';
import { signalExitCode } from '../runtime/command/errors.ts';
import {
  choice,
  flag,
  flagName,
  integer,
  listOf,
  optionalFlag,
  positiveNumber,
  size,
  switchFlag,
} from '../runtime/command/flags.ts';
import type { EngineName } from '../runtime/engine.ts';
import { RUNTIME_NAMES } from '../runtime/runtime.ts';
import { createTransport } from '../transports/transports.ts';

/** What `matrix` does when nothing else is said, and what of it `--quick` cuts. */
const MATRIX_DEFAULTS = { controls: 'on', keys: 1_000_000, rounds: 3, seconds: 3 } as const;
const MATRIX_QUICK = { controls: 'off', keys: 100_000, rounds: 1, seconds: 0.5 } as const;

/** Unless the number of keys is given, it is such that their values take no more. Unit: bytes. */
const DEFAULT_KEYS_BYTES_MAX = 256 * 1024 * 1024;

const KEYS_MAX = 100_000_000;
const VALUE_BYTES_MAX = 1024 * 1024;
const SEED_MAX = 2 ** 32 - 1;

const jsonFlag = optionalFlag('file', 'Write all that was measured to a file, as JSON', (text) => text, 'none');

const runtimesFlag = flag('names', 'Measure these runtimes', listOf(choice(RUNTIME_NAMES)), RUNTIME_NAMES.join(','));

const valueSizeFlag = flag('size', 'Store values of this length', size(1, VALUE_BYTES_MAX), '100');

const seedFlag = flag(
  'number',
  'Decides the keys that are asked for and the order of the cells',
  integer(0, SEED_MAX),
  '1',
);

const transportsFlag = flag(
  'names',
  'Measure these transports',
  listOf(choice(TRANSPORT_NAMES)),
  TRANSPORT_NAMES.join(','),
);

const generatorFlag = optionalFlag(
  'name',
  'Run the load generator on node, bun or deno',
  choice(RUNTIME_NAMES),
  'bun if it is here',
);

const clientTransportFlag = optionalFlag(
  'name',
  'Reach servers by this transport, unless they speak WebSocket',
  choice(TRANSPORT_NAMES.filter((name) => createTransport(name).addressKinds.includes('tcp'))),
  "the generator's runtime's own",
);

const quickFlag = switchFlag('Less of everything, to see in under a minute how it looks');

const matrixCommand = defineCommand({
  name: 'matrix',
  about: 'Which transport, in which runtime: throughput, latency, CPU time per operation, memory',
  flags: {
    runtimes: runtimesFlag,
    transports: transportsFlag,
    controls: optionalFlag(
      'on|off',
      'Measure beside every cell a bare echo on the same transport',
      choice(['on', 'off']),
      otherwise(MATRIX_DEFAULTS, MATRIX_QUICK, 'controls'),
    ),
    batches: flag(
      'numbers',
      'Send so many operations per frame',
      listOf(integer(1, MAX_FRAME_OPERATIONS)),
      '1,16,128,512',
    ),
    connections: flag('number', 'Open so many connections', integer(1, 10_000), '50'),
    depth: flag('number', 'Keep so many frames in flight on each connection', integer(1, 1024), '1'),
    keys: optionalFlag(
      'number',
      'Store so many keys first',
      integer(1, KEYS_MAX),
      `${otherwise(MATRIX_DEFAULTS, MATRIX_QUICK, 'keys')}, fewer if their values took more than 256m`,
    ),
    valueSize: valueSizeFlag,
    rounds: optionalFlag(
      'number',
      'Measure every cell so many times',
      integer(1, 1000),
      otherwise(MATRIX_DEFAULTS, MATRIX_QUICK, 'rounds'),
    ),
    seconds: optionalFlag(
      'number',
      'Measure for so long each time',
      positiveNumber,
      otherwise(MATRIX_DEFAULTS, MATRIX_QUICK, 'seconds'),
    ),
    seed: seedFlag,
    generator: generatorFlag,
    clientTransport: clientTransportFlag,
    json: jsonFlag,
    quick: quickFlag,
  },
  examples: [
    'matrix --quick',
    'matrix --json matrix.json',
    'matrix --runtimes bun,node --batches 1,128 --connections 16',
    'matrix --runtimes bun --rounds 5 --seconds 10',
    'matrix --value-size 1m --batches 1   # large values: bytes per second',
  ],
  run({ quick, json, ...given }, _words, context) {
    const chosen = withDefaults(given, quick ? MATRIX_QUICK : MATRIX_DEFAULTS);
    const fitting = Math.max(1, Math.floor(DEFAULT_KEYS_BYTES_MAX / chosen.valueSize));
    const flags = { ...chosen, keys: given.keys ?? Math.min(chosen.keys, fitting) };
    if (quick) sayWhatIsCut(flags, MATRIX_DEFAULTS);
    return interruptible(context, async (signal) => {
      const { matrix } = await import('./matrix.ts');
      return matrix({ flags, json, context, signal });
    });
  },
});

/** What `engine` does when nothing else is said, and what of it `--quick` cuts. */
const ENGINE_DEFAULTS = { keys: 1_000_000, growTo: 10_000_000, rounds: 3, seconds: 3 };
const ENGINE_QUICK = { keys: 100_000, growTo: 1_000_000, rounds: 1, seconds: 1 };

const engineCommand = defineCommand({
  name: 'engine',
  about: 'The engines without a network: throughput, memory per key, what growing costs',
  flags: {
    runtimes: runtimesFlag,
    engines: flag('names', 'Measure these engines', listOf(choice<EngineName>(['swiss', 'map'])), 'swiss,map'),
    keys: optionalFlag(
      'number',
      'Store so many keys first',
      integer(1, KEYS_MAX),
      otherwise(ENGINE_DEFAULTS, ENGINE_QUICK, 'keys'),
    ),
    growTo: optionalFlag(
      'number',
      'Let swiss grow to so many keys',
      integer(1, KEYS_MAX),
      otherwise(ENGINE_DEFAULTS, ENGINE_QUICK, 'growTo'),
    ),
    valueSize: valueSizeFlag,
    batch: flag('number', 'Execute so many operations per turn', integer(1, MAX_FRAME_OPERATIONS), '128'),
    rounds: optionalFlag(
      'number',
      'Measure each so many times',
      integer(1, 1000),
      otherwise(ENGINE_DEFAULTS, ENGINE_QUICK, 'rounds'),
    ),
    seconds: optionalFlag(
      'number',
      'Measure throughput for so long each time',
      positiveNumber,
      otherwise(ENGINE_DEFAULTS, ENGINE_QUICK, 'seconds'),
    ),
    seed: seedFlag,
    json: jsonFlag,
    quick: quickFlag,
  },
  examples: ['engine --quick', 'engine --runtimes node,bun --engines swiss', 'engine --json engine.json'],
  run({ quick, json, ...given }, _words, context) {
    const flags = withDefaults(given, quick ? ENGINE_QUICK : ENGINE_DEFAULTS);
    if (quick) sayWhatIsCut(flags, ENGINE_DEFAULTS);
    return interruptible(context, async (signal) => {
      const { engine } = await import('./engine.ts');
      return engine({ flags, json, context, signal });
    });
  },
});

/** What `connections` does when nothing else is said, and what of it `--quick` cuts. */
const CONNECTIONS_DEFAULTS = { idle: 1000, idleSeconds: 5, connections: 10_000, seconds: 10 };
const CONNECTIONS_QUICK = { idle: 200, idleSeconds: 1, connections: 1000, seconds: 1.5 };

/** Linux has some 28,000 ports for connections from one address to one server; others may be in use. */
const CONNECTIONS_MAX = 25_000;

const connectionsCommand = defineCommand({
  name: 'connections',
  about: 'Many connections: what they cost while idle, and how late the last is served',
  flags: {
    runtimes: runtimesFlag,
    transports: transportsFlag,
    idle: optionalFlag(
      'number',
      'Hold so many connections that send nothing',
      integer(1, CONNECTIONS_MAX),
      otherwise(CONNECTIONS_DEFAULTS, CONNECTIONS_QUICK, 'idle'),
    ),
    idleSeconds: optionalFlag(
      'number',
      'Measure the idle server for so long',
      positiveNumber,
      otherwise(CONNECTIONS_DEFAULTS, CONNECTIONS_QUICK, 'idleSeconds'),
    ),
    connections: optionalFlag(
      'number',
      'Then send one operation per second on each of so many',
      integer(1, CONNECTIONS_MAX),
      otherwise(CONNECTIONS_DEFAULTS, CONNECTIONS_QUICK, 'connections'),
    ),
    seconds: optionalFlag(
      'number',
      'Measure that for so long',
      positiveNumber,
      otherwise(CONNECTIONS_DEFAULTS, CONNECTIONS_QUICK, 'seconds'),
    ),
    rounds: flag('number', 'Measure every cell so many times', integer(1, 1000), '1'),
    seed: seedFlag,
    generator: generatorFlag,
    clientTransport: clientTransportFlag,
    json: jsonFlag,
    quick: quickFlag,
  },
  examples: ['connections', 'connections --quick', 'connections --runtimes bun --connections 20000'],
  run({ quick, json, ...given }, _words, context) {
    const flags = withDefaults(given, quick ? CONNECTIONS_QUICK : CONNECTIONS_DEFAULTS);
    if (quick) sayWhatIsCut(flags, CONNECTIONS_DEFAULTS);
    return interruptible(context, async (signal) => {
      const { connections } = await import('./connections.ts');
      return connections({ flags, json, context, signal });
    });
  },
});

const startCommand = defineCommand({
  name: 'start',
  about: 'How long a server takes from its start to its ready line',
  flags: {
    runtimes: runtimesFlag,
    rounds: flag('number', 'Start each so many times', integer(1, 1000), '10'),
    seed: seedFlag,
    json: jsonFlag,
  },
  examples: ['start', 'start --runtimes bun --rounds 50'],
  run({ json, ...flags }, _words, context) {
    return interruptible(context, async (signal) => {
      const { start } = await import('./start.ts');
      return start({ flags, json, context, signal });
    });
  },
});

export const benchCommands: readonly Command[] = [matrixCommand, connectionsCommand, engineCommand, startCommand];

/** Says in the help what applies without a flag. */
function otherwise<Name extends string>(
  defaults: Readonly<Record<Name, number | string>>,
  quick: Readonly<Record<NoInfer<Name>, number | string>>,
  name: NoInfer<Name>,
): string {
  return `${defaults[name]}, with --quick ${quick[name]}`;
}

/** The values that were given, and the default of each that was not. */
function withDefaults<Given extends object, Defaults extends { readonly [Name in keyof Defaults]: number | string }>(
  given: Given,
  defaults: Defaults,
): Omit<Given, keyof Defaults> & Defaults {
  const there = Object.entries(given).filter(([, value]) => value !== undefined);
  return { ...defaults, ...Object.fromEntries(there) } as Omit<Given, keyof Defaults> & Defaults;
}

/** Nobody shall take the figures of a quick run for those of a whole one. */
function sayWhatIsCut<Name extends string>(
  flags: Readonly<Record<NoInfer<Name>, number | string>>,
  defaults: Readonly<Record<Name, number | string>>,
): void {
  const names = (Object.keys(defaults) as Name[]).filter((name) => flags[name] !== defaults[name]);
  const cuts = names.map((name) => `${flagName(name)} ${flags[name]} instead of ${defaults[name]}`);
  process.stdout.write(`quick: ${cuts.join(', ')}\n`);
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
