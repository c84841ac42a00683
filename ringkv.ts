#!/usr/bin/env node
/** The command `ringkv`: checks that the runtime will do, then runs what was asked for. */
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { currentRuntime } from './runtime/choose.ts';
import { runCommand } from './runtime/command/cli.ts';
import { commands } from './runtime/command/commands.ts';
import { CommandError, ExitCode, usageError } from './runtime/command/errors.ts';
import { isNewEnough, oldestVersion, packageVersion } from './runtime/package.ts';

const runtime = currentRuntime();

async function main(): Promise<number> {
  const { name, version, args } = runtime;
  if (!isNewEnough(name, version)) {
    throw usageError(`${name} ${version} is too old; ringkv needs ${name} ${oldestVersion(name)} or newer`);
  }
  if (args.length === 1 && (args[0] === '--version' || args[0] === '-v')) {
    process.stdout.write(`ringkv ${packageVersion}\n`);
    return ExitCode.OK;
  }
  return runCommand('ringkv', commands, args, { runtime, entry: fileURLToPath(import.meta.url) });
}

try {
  runtime.exit(await main());
} catch (error) {
  if (!(error instanceof CommandError)) throw error;
  process.stderr.write(`ringkv: ${error.message}\n`);
  runtime.exit(error.exitCode);
}
