/** A child process that says what it has to say in lines on stdout. */
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import process from 'node:process';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { clearTimeout, setTimeout } from 'node:timers';

/** A child that was asked to end and still runs after this is killed. Unit: milliseconds. */
const STOP_GRACE_MS = 5000;

/** How much of the end of stderr is kept, to explain a child that failed. Unit: characters. */
const STDERR_KEPT = 4000;

/** It ended when it should not have. */
export class ChildError extends Error {
  override readonly name = 'ChildError';
  /** Null when a signal ended it. */
  readonly exitCode: number | null;
  /** The last lines on stderr. */
  readonly stderr: string;

  constructor(message: string, exitCode: number | null, stderr: string) {
    super(stderr === '' ? message : `${message}: ${stderr}`);
    this.exitCode = exitCode;
    this.stderr = stderr;
  }
}

export class Child implements AsyncDisposable {
  readonly #process: ChildProcessByStdio<Writable, Readable, Readable>;
  readonly #name: string;
  readonly #exit: Promise<readonly [number | null, NodeJS.Signals | null]>;
  #stderr = '';
  readonly #lines: AsyncIterator<string>;

  /**
   * `name` is what errors call it; the command line is a program and its arguments. When `signal` aborts, the child is
   * ended, and whoever waits for a line of it gets the error. `env` is added to `cleanEnvironment`.
   */
  constructor(
    name: string,
    [program, ...args]: readonly [string, ...string[]],
    signal: AbortSignal,
    env: Readonly<Record<string, string>> = {},
  ) {
    this.#name = name;
    this.#process = spawn(program, args, {
      stdio: ['pipe', 'pipe', 'pipe'],
      env: { ...cleanEnvironment(), ...env },
      // A process group of its own: the terminal's Ctrl-C reaches us alone, and the children end in the order we choose.
      detached: true,
    });
    this.#exit = once(this.#process, 'close') as Promise<[number | null, NodeJS.Signals | null]>;
    this.#exit.catch(() => {});
    this.#process.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr = (this.#stderr + text).slice(-STDERR_KEPT);
    });
    // Writing to one that has ended fails; its exit says more.
    this.#process.stdin.on('error', () => {});
    this.#lines = createInterface({ input: this.#process.stdout })[Symbol.asyncIterator]();
    const end = (): unknown => this.#process.kill('SIGTERM');
    signal.addEventListener('abort', end);
    this.#process.once('close', () => signal.removeEventListener('abort', end));
    if (signal.aborted) end();
  }

  /** Its process id. Throws `ChildError` when it could not be started. */
  get pid(): number {
    const { pid } = this.#process;
    if (pid === undefined) throw new ChildError(`${this.#name} can't be started`, null, '');
    return pid;
  }

  /** Whether it has ended. */
  get ended(): boolean {
    return this.#process.exitCode !== null || this.#process.signalCode !== null;
  }

  /** The end of what it has written on stderr. */
  get stderr(): string {
    return this.#stderr.trim();
  }

  /** The next line on stdout. Rejects with `ChildError` when there is none because the child ended. */
  async line(): Promise<string> {
    const next = await this.#lines.next();
    if (next.done !== true) return next.value;
    let code: number | null;
    let signal: NodeJS.Signals | null;
    try {
      [code, signal] = await this.#exit;
    } catch (error) {
      throw new ChildError(`${this.#name} can't be started: ${(error as Error).message}`, null, '');
    }
    throw new ChildError(`${this.#name} ended with ${signal ?? `code ${code}`}`, code, this.stderr);
  }

  /** Writes one line on its stdin, which `nextOrder` reads. That it has ended is found out by who waits for its answer. */
  tell(line: string): void {
    this.#process.stdin.write(`${line}\n`, () => {});
  }

  /** Sends it a signal that makes it end, and resolves to what it still writes on stdout until it has, whatever with. */
  async lastLines(signal: NodeJS.Signals): Promise<readonly string[]> {
    this.#process.kill(signal);
    const lines: string[] = [];
    for (let next = await this.#lines.next(); next.done !== true; next = await this.#lines.next())
      lines.push(next.value);
    await this.#exit;
    return lines;
  }

  /** Asks it to end, by closing its stdin and with SIGTERM, and resolves when it has. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#process.stdin.destroy();
    this.#process.kill('SIGTERM');
    const killing = setTimeout(() => this.#process.kill('SIGKILL'), STOP_GRACE_MS);
    // One that could not be started is gone as well.
    await this.#exit.catch(() => {});
    clearTimeout(killing);
  }
}

/** Our environment without ringkv's variables: they are for the command the user gave, not for what it starts. */
export function cleanEnvironment(): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('RINGKV_')));
}
