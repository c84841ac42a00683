/**
 * Finding the runtimes on this machine and starting scripts under them: those that npm installed beside the package or in
 * the user's project come first, because a project pins its versions there; then those on PATH.
 */
import { execFile, execFileSync } from 'node:child_process';
import { accessSync, closeSync, constants, openSync, readSync, statSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import process from 'node:process';
import { promisify } from 'node:util';
import { packageFolder } from './package.ts';
import { type Runtime, type RuntimeName, SCRIPT_ARGUMENTS } from './runtime.ts';

/** A runtime that answers within less than this is there. Unit: milliseconds. */
const VERSION_TIMEOUT_MS = 10_000;

/** How each runtime is asked for its own program file. */
const PRINT_EXECUTABLE: Readonly<Record<RuntimeName, readonly string[]>> = {
  node: ['--print', 'process.execPath'],
  bun: ['--print', 'process.execPath'],
  deno: ['eval', 'console.log(Deno.execPath())'],
};

export interface FoundRuntime {
  readonly name: RuntimeName;
  /** Its program file. */
  readonly executable: string;
}

/** Where a runtime's program is, or undefined when nowhere. The one that runs this is itself the answer for its name. */
export function findRuntime(name: RuntimeName, current: Runtime): FoundRuntime | undefined {
  if (name === current.name) return { name, executable: current.executable };
  const folders = [
    ...binFoldersUpwards(packageFolder),
    ...binFoldersUpwards(process.cwd()),
    ...(current.env.PATH ?? '').split(delimiter),
  ];
  const file = folders.map((folder) => join(folder, name)).find(isExecutable);
  return file === undefined ? undefined : { name, executable: isScript(file) ? behindScript(name, file) : file };
}

/**
 * The command line that runs `script` with `args` under a runtime: the program, then its arguments. `runtimeFlags` are for the
 * runtime itself.
 */
export function scriptCommand(
  runtime: FoundRuntime,
  script: string,
  args: readonly string[],
  runtimeFlags: readonly string[] = [],
): [string, ...string[]] {
  return [runtime.executable, ...SCRIPT_ARGUMENTS[runtime.name], ...runtimeFlags, script, ...args];
}

/** The version that a runtime's program tells. Rejects when it can't be run or tells none. */
export async function runtimeVersion(runtime: FoundRuntime): Promise<string> {
  const { stdout } = await promisify(execFile)(runtime.executable, ['--version'], { timeout: VERSION_TIMEOUT_MS });
  // `v20.19.4`, `1.4.5` and `deno 2.9.6 (stable, …)`.
  const version = /\d+\.\d+\.\d+\S*/.exec(stdout)?.[0];
  if (version === undefined) throw new Error(`${runtime.executable} --version tells no version: ${stdout.trim()}`);
  return version;
}

/**
 * The program that a script starts. npm leaves a script in the place of Deno unless its installation may run scripts; a
 * signal would end the script and leave the server behind it running. What can't be asked is taken as it is.
 */
function behindScript(name: RuntimeName, script: string): string {
  try {
    const printed = execFileSync(script, PRINT_EXECUTABLE[name], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    return printed.trim();
  } catch {
    return script;
  }
}

function isScript(file: string): boolean {
  const start = Buffer.alloc(2);
  try {
    const descriptor = openSync(file, 'r');
    readSync(descriptor, start);
    closeSync(descriptor);
  } catch {
    // A program may be executed without being readable; a script may not.
    return false;
  }
  return start.toString('latin1') === '#!';
}

function binFoldersUpwards(folder: string): string[] {
  const parent = dirname(folder);
  const bin = join(folder, 'node_modules', '.bin');
  return parent === folder ? [bin] : [bin, ...binFoldersUpwards(parent)];
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}
