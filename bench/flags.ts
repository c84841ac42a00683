/** What the suites' commands share: flags that mean the same in all of them, the cuts of `--quick`, and ending by a signal. */
import process from 'node:process';
import type { Context } from '../runtime/command/cli.ts';
import { TRANSPORT_NAMES } from '../runtime/command/commands.ts';
import { signalExitCode } from '../runtime/command/errors.ts';
import {
  choice,
  count,
  type Flag,
  flag,
  flagName,
  integer,
  listOf,
  optionalFlag,
  positiveNumber,
  size,
  switchFlag,
} from '../runtime/command/flags.ts';
import { RUNTIME_NAMES } from '../runtime/runtime.ts';
import { createTransport } from '../transports/transports.ts';
import { SEQUENTIAL_OPERATIONS } from './load/sequential-plan.ts';

export const KEYS_MAX = 100_000_000;
export const VALUE_BYTES_MAX = 4 * 1024 * 1024;
export const SEED_MAX = 2 ** 32 - 1;
export const GENERATORS_MAX = 64;

export const jsonFlag = optionalFlag('file', 'Write all that was measured to a file, as JSON', (text) => text, 'none');

export const runtimesFlag = flag(
  'names',
  'Measure these runtimes',
  listOf(choice(RUNTIME_NAMES)),
  RUNTIME_NAMES.join(','),
);

export const valueSizeFlag = flag('size', 'Store values of this length', size(1, VALUE_BYTES_MAX), '100');

export const seedFlag = flag(
  'number',
  'Decides the keys that are asked for and the order of the cells',
  integer(0, SEED_MAX),
  '1',
);

export const transportsFlag = flag(
  'names',
  'Measure these transports',
  listOf(choice(TRANSPORT_NAMES)),
  TRANSPORT_NAMES.join(','),
);

/** `--transports` of suites that do not compare transports. */
export const ownTransportsFlag = optionalFlag(
  'names',
  'Measure these transports',
  listOf(choice(TRANSPORT_NAMES)),
  'what "ringkv serve" takes by itself',
);

export const generatorFlag = optionalFlag(
  'name',
  'Run the load generator on node, bun or deno',
  choice(RUNTIME_NAMES),
  'bun if it is here',
);

const clientTransport = choice(TRANSPORT_NAMES.filter((name) => createTransport(name).addressKinds.includes('tcp')));

export const clientTransportFlag = optionalFlag(
  'name',
  'Reach servers by this transport, unless they speak WebSocket',
  clientTransport,
  "uring where it works, else the generator's runtime's own",
);

/** For suites whose clients send one operation after the other, or when one is due. */
export const timedClientTransportFlag = optionalFlag(
  'name',
  'Reach servers by this transport, unless they speak WebSocket',
  clientTransport,
  "the generator's runtime's own",
);

export const clientTransportsFlag = optionalFlag(
  'names',
  'Reach every server by each of these transports, unless it speaks WebSocket',
  listOf(clientTransport),
  "uring where it works, else the generator's runtime's own",
);

export const generatorsFlag = flag(
  'number',
  'Run so many load generators, each a process with connections of its own',
  integer(1, GENERATORS_MAX),
  '1',
);

export const pinFlag = switchFlag('Put servers and load generators on cores of their own, through taskset');

export const quickFlag = switchFlag('Less of everything, to see in about a minute how it looks');

/** Unless the number of keys is given, it is such that their values take no more. Unit: bytes. */
const DEFAULT_KEYS_BYTES_MAX = 256 * 1024 * 1024;

/** `--keys`, with the defaults of a suite and of its `--quick`; `fittingKeys` cuts them. */
export function keysFlag(
  defaults: { readonly keys: number },
  quick: { readonly keys: number },
): Flag<number | undefined> {
  return optionalFlag(
    'number',
    'Store so many keys first',
    integer(1, KEYS_MAX),
    `${otherwise(defaults, quick, 'keys')}, fewer if their values took more than 256m`,
  );
}

/** The default number of keys, as far as their values are not too long. */
export function fittingKeys({ keys, valueSize }: { readonly keys: number; readonly valueSize: number }): number {
  return Math.min(keys, Math.max(1, Math.floor(DEFAULT_KEYS_BYTES_MAX / valueSize)));
}

/** `--rounds`, with the defaults of a suite and of its `--quick`. */
export function roundsFlag(
  defaults: { readonly rounds: number },
  quick: { readonly rounds: number },
): Flag<number | undefined> {
  return optionalFlag(
    'number',
    'Measure every cell so many times',
    integer(1, 1000),
    otherwise(defaults, quick, 'rounds'),
  );
}

/** `--seconds`, likewise. */
export function secondsFlag(
  defaults: { readonly seconds: number },
  quick: { readonly seconds: number },
): Flag<number | undefined> {
  return optionalFlag('number', 'Measure for so long each time', positiveNumber, otherwise(defaults, quick, 'seconds'));
}

/** `--sizes`, likewise. */
export function sizesFlag(
  defaults: { readonly sizes: readonly number[] },
  quick: { readonly sizes: readonly number[] },
): Flag<readonly number[] | undefined> {
  return optionalFlag(
    'counts',
    'Measure stores with so many keys, as far as memory allows',
    listOf(count(0, KEYS_MAX)),
    otherwise(defaults, quick, 'sizes'),
  );
}

export const operationsFlag = flag(
  'names',
  'Do these operations, one after the other',
  listOf(choice(SEQUENTIAL_OPERATIONS)),
  SEQUENTIAL_OPERATIONS.join(','),
);

/** What a flag can default to. */
type Default = number | string | readonly number[];

/** Says in the help what applies without a flag. */
export function otherwise<Name extends string>(
  defaults: Readonly<Record<Name, Default>>,
  quick: Readonly<Record<NoInfer<Name>, Default>>,
  name: NoInfer<Name>,
): string {
  return `${defaults[name]}, with --quick ${quick[name]}`;
}

/** The values that were given, and the default of each that was not. */
export function withDefaults<Given extends object, Defaults extends { readonly [Name in keyof Defaults]: Default }>(
  given: Given,
  defaults: Defaults,
): Omit<Given, keyof Defaults> & Defaults {
  const there = Object.entries(given).filter(([, value]) => value !== undefined);
  return { ...defaults, ...Object.fromEntries(there) } as Omit<Given, keyof Defaults> & Defaults;
}

/** Nobody shall take the figures of a quick run for those of a whole one. */
export function sayWhatIsCut<Name extends string>(
  flags: Readonly<Record<NoInfer<Name>, Default>>,
  defaults: Readonly<Record<Name, Default>>,
): void {
  const names = (Object.keys(defaults) as Name[]).filter((name) => flags[name] !== defaults[name]);
  const cuts = names.map((name) => `${flagName(name)} ${flags[name]} instead of ${defaults[name]}`);
  process.stdout.write(`quick: ${cuts.join(', ')}\n`);
}

/**
 * Runs a suite so that signals end it, its children first: with the signal's exit code, 130 for Ctrl-C. What it rejects
 * with is then of no interest: something it waited for was taken away. `runSuite` keeps what was measured until then.
 */
export async function interruptible(
  { runtime }: Context,
  run: (signal: AbortSignal) => Promise<number>,
): Promise<number> {
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
