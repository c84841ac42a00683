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
  process.stdin.setEncoding('utf8').on('data', takeOrders);
  try {
    await run(JSON.parse(runtime.args[0] ?? ''));
  } catch (error) {
    writeSync(STDERR, `${error instanceof Error ? error.message : String(error)}\n`);
    return runtime.exit(1);
  }
  return runtime.exit(0);
}

/** Lines on stdin that nobody has asked for yet, and those who wait for one. */
const orders: string[] = [];
const waiting: ((order: string) => void)[] = [];
let begun = '';

function takeOrders(text: string): void {
  const lines = (begun + text).split('\n');
  begun = lines.pop()!;
  for (const line of lines) {
    const wait = waiting.shift();
    if (wait === undefined) orders.push(line);
    else wait(line);
  }
}

/** The next line on stdin: `Child.tell` writes it. */
export function nextOrder(): Promise<string> {
  const order = orders.shift();
  return order === undefined ? new Promise((resolve) => waiting.push(resolve)) : Promise.resolve(order);
}

/** Writes one line on stdout, at once, since the program may end right after it. */
export function say(line: string): void {
  writeSync(STDOUT, `${line}\n`);
}
