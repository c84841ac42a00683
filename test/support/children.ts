/**
 * Real child processes for tests: which runtimes this machine has, and a child whose lines on stdout can be awaited.
 * What a child wrote on stderr is part of every error, so that a failure in another process explains itself.
 */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { accessSync, constants, statSync } from 'node:fs';
import { delimiter, dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

export type RuntimeName = 'node' | 'bun' | 'deno';

export interface Runtime {
  readonly name: RuntimeName;
  /** The program and its arguments before the script. */
  readonly command: readonly string[];
}

/** The project's folder, absolute: `join(root, 'dist/ringkv.js')` is the command's entry. */
export const root = resolve(dirname(fileURLToPath(import.meta.url)), '../..');

/** How long `waitForLine` waits before it fails the test. Unit: milliseconds. */
const LINE_TIMEOUT_MS = 20_000;

const runtimeNames: readonly RuntimeName[] = ['node', 'bun', 'deno'];

/** The runtimes that are here: Node is the one that runs the tests, the others come from `node_modules/.bin`, then PATH. */
export function runtimes(): Runtime[] {
  return runtimeNames.flatMap((name) => {
    const program = name === 'node' ? process.execPath : findProgram(name);
    if (program === undefined) return [];
    return [{ name, command: name === 'deno' ? [program, 'run', '-A'] : [program] }];
  });
}

function findProgram(name: string): string | undefined {
  const folders = [join(root, 'node_modules/.bin'), ...(process.env.PATH ?? '').split(delimiter)];
  return folders.map((folder) => join(folder, name)).find(isExecutable);
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

export interface Child {
  readonly pid: number;
  /** The lines it has written on stdout so far. */
  readonly lines: readonly string[];
  /** What it has written on stderr so far. */
  readonly stderr: string;
  readonly stdin: ChildProcessWithoutNullStreams['stdin'];
  /** Reads no more of its output: what the child writes there from now on fails. */
  leave(output: 'stdout' | 'stderr'): void;
  /** The exit code; of a child that a signal ended, the name of the signal. */
  readonly exit: Promise<number | NodeJS.Signals>;
  /**
   * The first line that matches, of those written before too, as the match. Fails, showing stderr, when the child ends
   * without it or `LINE_TIMEOUT_MS` passes.
   */
  waitForLine(pattern: RegExp): Promise<RegExpExecArray>;
  /** Sends a signal (default: SIGTERM) to the child if it still runs, and waits for its end. */
  stop(signal?: NodeJS.Signals): Promise<number | NodeJS.Signals>;
}

export interface ChildOptions {
  /** Variables added to this process's own environment. */
  env?: Record<string, string>;
  /** Working folder. Default: the project's. */
  cwd?: string;
  /** Called for every line on stdout as it comes. */
  onLine?: (line: string) => void;
}

/** Those that run: a test that fails leaves its children, and they would take the machine from all that come after. */
const alive = new Set<ChildProcessWithoutNullStreams>();

/** Ends every child that still runs. */
export function endChildren(): void {
  for (const child of alive) child.kill('SIGKILL');
}

process.on('exit', endChildren);

interface Waiter {
  readonly pattern: RegExp;
  readonly resolve: (match: RegExpExecArray) => void;
  readonly reject: (error: Error) => void;
}

/** Starts `script` (relative to the project's folder, or absolute) under a runtime. */
export function startChild(
  runtime: Runtime,
  script: string,
  args: readonly string[] = [],
  options: ChildOptions = {},
): Child {
  const [program, ...before] = runtime.command;
  if (program === undefined) throw new TypeError(`runtime ${runtime.name} has an empty command`);
  const child = spawn(program, [...before, resolve(root, script), ...args], {
    cwd: options.cwd ?? root,
    env: { ...process.env, ...options.env },
  });
  alive.add(child);
  const lines: string[] = [];
  const waiters = new Set<Waiter>();
  let partial = '';
  let stderr = '';
  let ended: number | NodeJS.Signals | undefined;

  const failure = (what: string): Error =>
    new Error(
      `${runtime.name} ${script} ${args.join(' ')}: ${what}\n--- stdout\n${lines.join('\n')}\n--- stderr\n${stderr}`,
    );
  const takeLine = (line: string): void => {
    lines.push(line);
    options.onLine?.(line);
    for (const waiter of [...waiters]) {
      const match = waiter.pattern.exec(line);
      if (match !== null) waiter.resolve(match);
    }
  };

  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    const parts = (partial + text).split('\n');
    partial = parts.pop() ?? '';
    for (const line of parts) takeLine(line);
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  // A child that has gone can't read what the test still writes to it; its exit tells the story.
  child.stdin.on('error', () => {});

  const exit = new Promise<number | NodeJS.Signals>((resolveExit, rejectExit) => {
    child.once('exit', () => alive.delete(child));
    child.once('error', (error) => {
      alive.delete(child);
      stderr += String(error);
      rejectExit(failure('could not be started'));
    });
    child.once('close', (code, signal) => {
      if (partial !== '') takeLine(partial);
      ended = code ?? signal ?? 'SIGKILL';
      resolveExit(ended);
      for (const waiter of [...waiters]) waiter.reject(failure(`ended with ${ended} before ${waiter.pattern}`));
    });
  });
  // Whoever awaits `exit` still sees the rejection; nobody has to.
  exit.catch((error: Error) => {
    for (const waiter of [...waiters]) waiter.reject(error);
  });

  return {
    pid: child.pid ?? -1,
    lines,
    get stderr() {
      return stderr;
    },
    stdin: child.stdin,
    leave: (output) => void child[output].destroy(),
    exit,
    waitForLine(pattern) {
      for (const line of lines) {
        const match = pattern.exec(line);
        if (match !== null) return Promise.resolve(match);
      }
      if (ended !== undefined) return Promise.reject(failure(`ended with ${ended} before ${pattern}`));
      return new Promise((resolveLine, rejectLine) => {
        const settle = <T>(then: (value: T) => void) => {
          return (value: T) => {
            clearTimeout(timer);
            waiters.delete(waiter);
            then(value);
          };
        };
        const waiter: Waiter = { pattern, resolve: settle(resolveLine), reject: settle(rejectLine) };
        const timer = setTimeout(
          () => waiter.reject(failure(`no line ${pattern} within ${LINE_TIMEOUT_MS} ms`)),
          LINE_TIMEOUT_MS,
        );
        waiters.add(waiter);
      });
    },
    stop(signal = 'SIGTERM') {
      if (ended === undefined) child.kill(signal);
      return exit;
    },
  };
}
