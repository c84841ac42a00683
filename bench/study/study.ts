/**
 * A study: one suite after the other, each a process of its own, so that one that fails takes nothing with it. A suite has a
 * budget; when that is used up it is asked to end as by Ctrl-C, and what it has measured counts.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { clearTimeout, setTimeout } from 'node:timers';
import type { Context } from '../../runtime/command/cli.ts';
import { CommandError, ExitCode, messageOf, signalExitCode, usageError } from '../../runtime/command/errors.ts';
import { formatTable } from '../../runtime/command/table.ts';
import { scriptCommand } from '../../runtime/find.ts';
import { writePage } from '../report/report.ts';
import { FOLDER, type Step } from './plan.ts';

export interface StudyOptions {
  readonly steps: readonly Step[];
  /** For the JSON of each suite and `report.html`; made when it is missing. */
  readonly folder: string;
  readonly context: Context;
}

/** How a suite ended. */
interface Outcome {
  readonly suite: string;
  /** Where its JSON is; undefined when it wrote none. */
  readonly file: string | undefined;
  /** What is told of it. */
  readonly end: string;
  readonly failed: boolean;
}

/**
 * Resolves to the exit code: 1 when a suite failed, that of the signal when one ended the study. Rejects with a
 * `CommandError` before anything is measured when the folder holds a study already.
 */
export async function study({ steps, folder, context }: StudyOptions): Promise<number> {
  const there = steps.map(({ suite }) => fileOf(folder, suite)).find((file) => existsSync(file));
  if (there !== undefined) throw usageError(`${there} is there already; choose another folder by --out`);
  try {
    mkdirSync(folder, { recursive: true });
  } catch (error) {
    throw new CommandError(`--out ${folder}: ${messageOf(error)}`);
  }
  process.stdout.write(formatPlan(steps, folder));
  const interruption = new Interruption(context);
  const outcomes: Outcome[] = [];
  for (const step of steps) {
    if (interruption.exitCode !== undefined) break;
    process.stdout.write(`\n== ${step.suite}, ${outcomes.length + 1} of ${steps.length}\n`);
    outcomes.push(await runStep(step, folder, context, interruption));
  }
  process.stdout.write(`\n== study\n${formatOutcomes(outcomes)}`);
  const files = outcomes.flatMap(({ file }) => file ?? []);
  if (files.length > 0) writePage(files, join(folder, 'report.html'));
  return interruption.exitCode ?? (outcomes.some(({ failed }) => failed) ? ExitCode.FAILED : ExitCode.OK);
}

function fileOf(folder: string, suite: string): string {
  return join(folder, `${suite}.json`);
}

/** Knows whether a signal asked for the end, and passes signals on to the suite that runs. */
class Interruption {
  /** That of the first signal; undefined while there was none. */
  exitCode: number | undefined;
  onSignal: (signal: NodeJS.Signals) => void = () => {};

  constructor({ runtime }: Context) {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
      runtime.onSignal(signal, () => {
        this.exitCode ??= signalExitCode(signal);
        this.onSignal(signal);
      });
    }
  }
}

async function runStep(step: Step, folder: string, context: Context, interruption: Interruption): Promise<Outcome> {
  const { suite, flags, minutesMax } = step;
  const file = fileOf(folder, suite);
  const runtime = { name: context.runtime.name, executable: context.runtime.executable };
  const [program, ...args] = scriptCommand(runtime, context.entry, [
    'bench',
    suite,
    ...flags.map((flag) => flag.replace(FOLDER, folder)),
    '--json',
    file,
  ]);
  // A process group of its own: the terminal's Ctrl-C reaches us alone, and the suite gets it once. It has no part in our
  // stdout, since it ends its own; its progress is on stderr.
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'], detached: true });
  child.stdout.pipe(process.stdout, { end: false });
  interruption.onSignal = (signal) => child.kill(signal);
  let overdue = false;
  const budget = setTimeout(() => {
    overdue = true;
    child.kill('SIGINT');
  }, minutesMax * 60_000);
  const startMs = performance.now();
  const [code, signal] = (await once(child, 'close').catch((error: unknown) => {
    throw new CommandError(`${program} can't be started: ${messageOf(error)}`);
  })) as [number | null, NodeJS.Signals | null];
  clearTimeout(budget);
  interruption.onSignal = () => {};
  const written = existsSync(file);
  const minutes = `${((performance.now() - startMs) / 60_000).toFixed(1)} min`;
  const cut = overdue || interruption.exitCode !== undefined;
  const failed = !written || (code !== ExitCode.OK && !cut);
  const end = failed
    ? `failed with ${signal ?? `exit code ${code}`} after ${minutes}`
    : `${minutes}${overdue ? ', its budget, which cut it short' : cut ? ', interrupted' : ''}`;
  return { suite, file: written ? file : undefined, end, failed };
}

function formatPlan(steps: readonly Step[], folder: string): string {
  const total = (minutes: (step: Step) => number): number => steps.reduce((sum, step) => sum + minutes(step), 0);
  const rows = steps.map(({ suite, flags, minutes, minutesMax }) => [
    suite,
    `${minutes} min`,
    `${minutesMax} min`,
    flags.join(' '),
  ]);
  return (
    formatTable([['suite', 'takes about', 'at most', 'flags'], ...rows]) +
    `about ${Math.ceil(total(({ minutes }) => minutes))} minutes, at most ${Math.ceil(total(({ minutesMax }) => minutesMax))}; into ${folder}\n`
  );
}

function formatOutcomes(outcomes: readonly Outcome[]): string {
  return formatTable(outcomes.map(({ suite, end, file }) => [suite, end, file ?? '']));
}
