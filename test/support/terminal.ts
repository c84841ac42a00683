/** Programs at a terminal, by `terminal.py`. */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import process from 'node:process';
import { root } from './children.ts';

export const hasPseudoTerminal =
  spawnSync('python3', ['-c', 'import os, pty; os.waitstatus_to_exitcode'], { stdio: 'ignore' }).status === 0;

/** Why what needs a terminal is skipped, for a title; empty when it is not. */
export const whyNoTerminal = hasPseudoTerminal ? '' : ': skipped, it needs python3 3.9 or newer (Debian: python3)';

/** What it waits for, and the keys it presses then. */
export type Step = readonly [waitFor: string, keys: string];

/** Runs a program at a terminal; `output` is all that it writes. */
export function atTerminal(
  steps: readonly Step[],
  command: readonly string[],
  { env, cwd }: { readonly env?: Readonly<Record<string, string>>; readonly cwd?: string | undefined } = {},
): { readonly code: number | null; readonly output: string } {
  const args = [join(root, 'test/support/terminal.py'), JSON.stringify(steps), ...command];
  const { status, stdout } = spawnSync('python3', args, {
    encoding: 'utf8',
    env: { ...process.env, ...env, TERM: 'xterm' },
    cwd,
    timeout: 30_000,
  });
  return { code: status, output: stdout };
}
