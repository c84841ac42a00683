/**
 * What all suites have in common, so that each tells only what it measures: rounds over all subjects in an order shuffled
 * by the seed, progress, a signal that ends it and keeps what was measured, the tables, the JSON.
 */
import process from 'node:process';
import { CommandError, ExitCode, messageOf } from '../../runtime/command/errors.ts';
import { Random } from '../load/random.ts';
import { Progress } from './progress.ts';
import {
  assertWritable,
  type Dimensions,
  formatHead,
  formatSkipped,
  type Measured,
  type Report,
  type ReportCell,
  type ReportHead,
  type ReportRound,
  reportHead,
  type Skipped,
  summarizeRounds,
  writeReport,
} from './report.ts';

/** A suite that is about to run. */
export interface Suite<Subject, Own extends object = object> {
  /** Its name, as the command is called. */
  readonly name: string;
  /** Every flag with the value that applies. Rounds and seed are taken from them. */
  readonly flags: SuiteFlags;
  /** Of the programs that take part. */
  readonly versions: ReportHead['versions'];
  readonly skipped: readonly Skipped[];
  /** What is measured in every round, in the order of the tables: each one with fresh processes. */
  readonly subjects: readonly Subject[];
  /** What a subject is called in progress and in errors. */
  readonly label: (subject: Subject) => string;
  /** Phases of about the same length that measuring a subject takes; default 1. Each is a step of the progress. */
  readonly phases?: number;
  /** Measures a subject once: one or several cells of the report. Whatever it rejects with fails the run. */
  readonly measure: (subject: Subject, step: Step) => Promise<readonly Measured[]>;
  /** The order of the cells in report and tables; default: in time, as they were measured in the first round. */
  readonly order?: readonly Dimensions[];
  /** Completes the cells with what is concluded from all of them: `generatorLimited`, `notes`. */
  readonly conclude?: (cells: readonly ReportCell[]) => readonly ReportCell[];
  /** Fields of the report that this suite has beside those that all have, from its rounds. */
  readonly own?: (counted: readonly ReportRound[]) => Own;
  /** The tables for a terminal, and how to read them. */
  readonly format: (report: Report & Own) => string;
  /** The exit code of a run that was not interrupted; default: 0. */
  readonly exitCode?: (report: Report & Own) => ExitCode;
  /** The file for the JSON; undefined for none. */
  readonly json: string | undefined;
  /** Aborts when a signal asks for the end. Children must be given it. */
  readonly signal: AbortSignal;
}

export interface SuiteFlags {
  readonly rounds: number;
  readonly seed: number;
  readonly [flag: string]: unknown;
}

/** One subject in one round. */
export interface Step {
  /** From 1. */
  readonly round: number;
  readonly signal: AbortSignal;
  /** A phase starts: what is shown behind the subject's name. */
  readonly onPhase: (what: string) => void;
  /** A phase is over. Those that were not told are over with the subject. */
  readonly onPhaseEnd: () => void;
}

/**
 * Runs a suite and resolves to the exit code. A subject that fails rejects with a `CommandError`: its figures would be worth
 * nothing. A signal ends the run, and what was measured until then is shown and written: of whole rounds, or when there is
 * none, of the subjects that were measured in the first. The caller, `interruptible`, knows the exit code then.
 */
export async function runSuite<Subject, Own extends object = object>(suite: Suite<Subject, Own>): Promise<number> {
  const { name, flags, versions, skipped, json } = suite;
  if (json !== undefined) assertWritable(json);
  const head = await reportHead(name, versions, flags);
  process.stdout.write(`${formatHead(head)}seed ${flags.seed}, the order of each round follows from it\n`);
  const { rounds, wholeRounds } = await measureRounds(suite);
  const interrupted = wholeRounds < flags.rounds;
  if (rounds.length === 0) {
    process.stdout.write('interrupted before anything was measured\n');
    return ExitCode.FAILED;
  }
  const counted = wholeRounds === 0 ? rounds : rounds.filter(({ round }) => round <= wholeRounds);
  const cells = summarizeRounds(counted, suite.order);
  const report: Report & Own = {
    ...head,
    ...(suite.own?.(counted) ?? ({} as Own)),
    skipped,
    interrupted,
    // What reads them has nothing else to tell by which of them the cells are made of.
    rounds: counted,
    cells: suite.conclude?.(cells) ?? cells,
  };
  try {
    // Before the tables: if their reader has gone, as `head` does, writing them ends the program.
    if (json !== undefined) writeReport(json, report);
  } finally {
    process.stdout.write(suite.format(report));
    if (skipped.length > 0) process.stdout.write(`\n${formatSkipped(skipped)}`);
    if (interrupted)
      process.stdout.write(`\ninterrupted in round ${wholeRounds + 1} of ${flags.rounds}; ${kept(wholeRounds)}\n`);
  }
  return suite.exitCode?.(report) ?? ExitCode.OK;
}

function kept(wholeRounds: number): string {
  if (wholeRounds === 0) return 'shown is what was measured until then';
  return `shown ${wholeRounds === 1 ? 'is the round before' : `are the ${wholeRounds} rounds before`}`;
}

async function measureRounds<Subject, Own extends object>(suite: Suite<Subject, Own>) {
  const { flags, subjects, phases = 1, signal } = suite;
  const random = new Random(flags.seed);
  const progress = new Progress(flags.rounds * subjects.length * phases);
  const rounds: ReportRound[] = [];
  let wholeRounds = 0;
  try {
    for (let round = 1; round <= flags.rounds; round++) {
      for (const subject of random.shuffled(subjects)) {
        const where = `round ${round} of ${flags.rounds}, ${suite.label(subject)}`;
        let phasesLeft = phases;
        progress.show(where);
        const measured = await suite
          .measure(subject, {
            round,
            signal,
            onPhase: (what) => progress.show(`${where}, ${what}`),
            onPhaseEnd: () => {
              if (phasesLeft-- > 0) progress.advance();
            },
          })
          .catch((error: unknown) => {
            // What it waited for was taken away: that it failed says nothing of the subject.
            if (signal.aborted) return undefined;
            throw new CommandError(`${where}: ${messageOf(error)}`);
          });
        if (measured === undefined || signal.aborted) return { rounds, wholeRounds };
        while (phasesLeft-- > 0) progress.advance();
        rounds.push(...measured.map((one) => ({ round, ...one })));
      }
      wholeRounds++;
    }
  } finally {
    progress.clear();
  }
  return { rounds, wholeRounds };
}
