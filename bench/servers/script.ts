/** The other side of `child.ts`: a program that a suite starts, with JSON for its argument and lines for its answer. */
import { writeSync } from 'node:fs';
import process from 'node:process';
import type { Runtime } from '../../runtime/runtime.ts';

const STDOUT = 1;
const STDERR = 2;

/** Runs the program and ends the process: with code 0, or with 1 and what went wrong on stderr. */
export async function runScript(runtime: Runtime, run: (argument: unknown) => Promise<void>): Promise<never> {
  // Whoever started this holds the other end of stdin: when they are gone, nobody needs the answer.
  process.stdin.on('end', () => runtime.exit(1));
  process.stdin.resume();
  try {
    await run(JSON.parse(runtime.args[0] ?? ''));
  } catch (error) {
    writeSync(STDERR, `${error instanceof Error ? error.message : String(error)}\n`);
    return runtime.exit(1);
  }
  return runtime.exit(0);
}

/** Writes one line on stdout, at once, since the program may end right after it. */
export function say(line: string): void {
  writeSync(STDOUT, `${line}\n`);
}
