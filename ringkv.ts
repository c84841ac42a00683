#!/usr/bin/env node
/** The command `ringkv`: checks that the runtime will do, then runs what was asked for. */
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { currentRuntime } from './runtime/choose.ts';
import { runCommand } from './runtime/command/cli.ts';
import { commands } from './runtime/command/commands.ts';
import { CommandError, ExitCode, usageError } from './runtime/command/errors.ts';
import { isNewEnough, oldestVersion } from './runtime/package.ts';

const runtime = currentRuntime();

async function main(): Promise<number> {
  const { name, version, args } = runtime;
  if (!isNewEnough(name, version)) {
    throw usageError(`${name} ${version} is too old; ringkv needs ${name} ${oldestVersion(name)} or newer`);
  }
  return runCommand('ringkv', commands, args, { runtime, entry: fileURLToPath(import.meta.url) });
}

/** Resolves once all output has left the process, for which `exit` does not wait. Bun tells it after `end` alone. */
function outputEnded(): Promise<void> {
  return new Promise((resolve) => process.stdout.end(resolve));
}

process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  // Whoever read the output may have gone, as `head` does, and wants to hear no more.
  if (error.code !== 'EPIPE') process.stderr.write(`ringkv: can't write to stdout: ${error.message}\n`);
  runtime.exit(ExitCode.FAILED);
});

// What is told there is told to whoever listens: a server goes on when a collector of its lines has died.
process.stderr.on('error', () => {});

try {
  const exitCode = await main();
  await outputEnded();
  runtime.exit(exitCode);
} catch (error) {
  if (!(error instanceof CommandError)) throw error;
  process.stderr.write(`ringkv: ${error.message}\n`);
  runtime.exit(error.exitCode);
}
