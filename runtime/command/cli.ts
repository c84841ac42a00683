/** From arguments to a command: the tables of the commands say what there is, cac prints the help. */
import process from 'node:process';
import { type CAC, cac } from 'cac';
import { packageVersion } from '../package.ts';
import type { Runtime } from '../runtime.ts';
import { ExitCode, usageError } from './errors.ts';
import { type Flag, type Flags, type FlagValues, flagName, parseArguments, readFlags, variableName } from './flags.ts';
import { suggestion } from './suggest.ts';

/** Where and how the program runs. */
export interface Context {
  readonly runtime: Runtime;
  /** The script that is the program, absolute: what to start under another runtime. */
  readonly entry: string;
}

/** One command; `defineCommand` makes it. */
export interface Command {
  readonly name: string;
  readonly about: string;
  readonly flags: Flags;
  /** What the words after the flags are, like `[command]`; undefined when there are none. */
  readonly words?: string;
  /** Flags may follow the words, as behind names of files. Default: what follows the first word is a word. */
  readonly flagsAfterWords?: boolean;
  /** Command lines for the help, without the name of the program. */
  readonly examples: readonly string[];
  /** Resolves to the exit code. */
  readonly run: (values: never, words: readonly string[], context: Context) => Promise<number>;
}

/** Commands under one name, like `bench matrix`; loaded only when one of them is called. */
export interface CommandGroup {
  readonly name: string;
  readonly about: string;
  readonly commands: () => Promise<readonly Command[]>;
}

/** Ties a command's `run` to the types of its flags. */
export function defineCommand<F extends Flags>(
  command: Omit<Command, 'flags' | 'run'> & {
    readonly flags: F;
    readonly run: (values: FlagValues<F>, words: readonly string[], context: Context) => Promise<number>;
  },
): Command {
  return command;
}

/**
 * Runs the command that `args` names and resolves to its exit code. Throws a `CommandError` for what can't be understood.
 * `program` is how the user called it, like `ringkv` or `ringkv bench`.
 */
export async function runCommand(
  program: string,
  commands: readonly (Command | CommandGroup)[],
  args: readonly string[],
  context: Context,
): Promise<number> {
  const [name, ...rest] = args;
  const named = commands.find((candidate) => candidate.name === name);
  if (named !== undefined && 'commands' in named) {
    return runCommand(`${program} ${named.name}`, await named.commands(), rest, context);
  }
  const cli = describe(program, commands);
  if (name === '--version' || name === '-v') return printVersion();
  if (named === undefined) {
    if (name === undefined || name === '--help' || name === '-h') {
      cli.outputHelp();
      return name === undefined ? ExitCode.USAGE : ExitCode.OK;
    }
    const known = commands.map((command) => command.name);
    const kind = name.startsWith('-') ? 'flag' : 'command';
    throw usageError(`unknown ${kind} ${name}${suggestion(name, known) || `; there are ${known.join(', ')}`}`);
  }
  const { help, version, given, words } = parseArguments(named, rest);
  if (help) {
    cli.commands.find((described) => described.name === name)?.outputHelp();
    return ExitCode.OK;
  }
  if (version) return printVersion();
  // The flags first: behind one that is unknown, its value looks like a word.
  const values = readFlags(named.flags, given, context.runtime.env);
  if (named.words === undefined && words.length > 0) throw usageError(`${named.name} takes no argument: ${words[0]}`);
  return named.run(values as never, words, context);
}

function printVersion(): number {
  process.stdout.write(`ringkv ${packageVersion}\n`);
  return ExitCode.OK;
}

function describe(program: string, commands: readonly (Command | CommandGroup)[]): CAC {
  const cli = cac(program);
  cli.option('-v, --version', 'Print the version');
  cli.help();
  for (const command of commands) {
    if ('commands' in command) {
      cli.command(`${command.name} <suite>`, command.about);
      continue;
    }
    const { name, words, about, flags, examples } = command;
    const described = cli.command(words === undefined ? name : `${name} ${words}`, about);
    described.usage([name, '[options]', ...(words === undefined ? [] : [words])].join(' '));
    for (const [key, one] of Object.entries(flags)) {
      const usage = one.value === undefined ? '' : ` <${one.value}>`;
      const letter = one.short === undefined ? '' : `-${one.short}, `;
      described.option(`${letter}--${flagName(key)}${usage}`, `${one.about} [${variableName(key)}]`, {
        default: shownDefault(one),
      });
    }
    for (const example of examples) described.example(`  $ ${program} ${example}`);
  }
  return cli;
}

function shownDefault(one: Flag<unknown>): string | undefined {
  return one.value === undefined ? undefined : (one.fallback ?? one.otherwise);
}
