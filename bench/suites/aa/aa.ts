/**
 * The suite `aa`: the same cell as A and as B, and once more slowed on purpose. Between A and B there must be no difference, and
 * the slowed one must be found: else the figures of this machine are not to be believed.
 *
 * In every round each side gets fresh processes, which all live at the same time and are measured in turn, one slice of time
 * after the other: what disturbs the machine for longer than a slice disturbs all sides, and falls out of their ratios.
 *
 * Goal: trying the rule by which pairs are decided on, on the machine where it is used.
 * Non-goal: figures of the cell; it is measured for as short a time as the question allows.
 */
import type { Context } from '../../../runtime/command/cli.ts';
import { ExitCode } from '../../../runtime/command/errors.ts';
import type { RuntimeName } from '../../../runtime/runtime.ts';
import { TURN_DELAY_VARIABLE } from '../../../runtime/turn-delay.ts';
import type { TransportName } from '../../../transports/transport.ts';
import { naturalTransport } from '../../../transports/transports.ts';
import { chooseClient, chooseGenerator, type GeneratorFlags } from '../../load/choose-generator.ts';
import { WARMUP_SHARE } from '../../load/plan.ts';
import { Random } from '../../load/random.ts';
import { type Comparison, EFFECT_MIN, judgeRatios } from '../../results/compare.ts';
import type { Dimensions, Measured, Report, ReportRound } from '../../results/report.ts';
import { runSuite, type Step } from '../../results/run.ts';
import { median } from '../../results/statistics.ts';
import { formatInterval, renderTable } from '../../results/table.ts';
import { cellLabel, OpenLoad, startSubject } from '../../servers/cell.ts';
import { pinned, unpinned } from '../../servers/pinning.ts';
import { selectCells, survey, versionsOf } from '../../servers/survey.ts';

export interface AaFlags extends GeneratorFlags {
  readonly [flag: string]: unknown;
  readonly runtime: RuntimeName | undefined;
  readonly transport: TransportName | undefined;
  /** Unit: percent of the server's CPU time. */
  readonly planted: number;
  readonly repeat: number;
  /** For each of the decisions. */
  readonly rounds: number;
  /** How often each side is measured in a round. */
  readonly slices: number;
  /** Length of a slice. */
  readonly seconds: number;
  readonly batch: number;
  readonly connections: number;
  readonly keys: number;
  readonly seed: number;
  readonly pin: boolean;
}

export interface AaOptions {
  readonly flags: AaFlags;
  /** The file for the JSON; undefined for none. */
  readonly json: string | undefined;
  readonly context: Context;
  readonly signal: AbortSignal;
}

/** The figure that decides: it can be compared even where the generator, or the machine, is the limit. */
const FIGURE = 'serverMicrosPerOp';

const VALUE_BYTES = 100;

/** Slices before those that count: compilers are at work then, and the first great garbage collection. */
const WARMUP_SLICES = 8;

const SIDES = ['A', 'B', 'slowed'] as const;

type Side = (typeof SIDES)[number];

/** One decision: what B, and what the slowed one, is against A. */
export interface Decision {
  readonly same: Comparison;
  readonly slowed: Comparison;
}

/** Resolves to the exit code: 1 when a difference was found that isn't there, or the planted one was not. */
export async function aa({ flags, json, context, signal }: AaOptions): Promise<number> {
  const pinning = flags.pin ? pinned() : unpinned;
  const all = await survey(context, signal);
  const runtime = flags.runtime ?? chooseGenerator(all, undefined).name;
  const transport = flags.transport ?? naturalTransport(runtime);
  const { cells, skipped } = selectCells(all, [runtime], [transport]);
  const cell = cells[0]!;
  const client = chooseClient(all, transport, flags, 'busy');
  const dimensionsOf = (side: string): Dimensions => ({
    side,
    runtime,
    transport,
    batch: flags.batch,
    connections: flags.connections,
    keys: flags.keys,
    valueSize: VALUE_BYTES,
    clientRuntime: client.runtime.name,
    clientTransport: client.transport,
  });
  const options = (side: Side) => ({
    entry: context.entry,
    generator: client.runtime,
    pinning,
    ...(side === 'slowed' ? { serverEnv: { [TURN_DELAY_VARIABLE]: String(flags.planted / 100) } } : {}),
    plan: {
      transport: client.transport,
      connections: flags.connections,
      depth: 1,
      keys: flags.keys,
      valueBytes: VALUE_BYTES,
      batches: Array.from({ length: WARMUP_SLICES + flags.slices }, () => flags.batch),
      warmupSeconds: flags.seconds * WARMUP_SHARE,
      seconds: flags.seconds,
      seed: flags.seed,
    },
    signal,
  });
  const measure = async (_: string, { round, onPhase, onPhaseEnd }: Step): Promise<readonly Measured[]> => {
    const started: AsyncDisposable[] = [];
    const loads: (readonly [Side, OpenLoad])[] = [];
    const random = new Random(flags.seed + round);
    try {
      // Who is started first has run for longer, and lies elsewhere in memory.
      for (const side of random.shuffled(SIDES)) {
        const server = await startSubject({ ...cell, control: false }, options(side));
        started.push(server);
        const load = await OpenLoad.open(server, options(side));
        started.push(load);
        loads.push([side, load]);
      }
      return await measureSlices(loads, flags.slices, random, { onPhase, onPhaseEnd });
    } finally {
      for (const one of started.reverse()) await one[Symbol.asyncDispose]();
    }
  };
  return runSuite<string>({
    name: 'aa',
    // All the rounds, for those who read the JSON; each decision has a part of them.
    flags: { ...flags, rounds: flags.rounds * flags.repeat, roundsPerDecision: flags.rounds },
    versions: versionsOf(all, [cell.runtime, client.runtime]),
    skipped,
    // All sides are one subject, since they are measured together.
    subjects: [cellLabel(transport, runtime)],
    label: (label) => label,
    phases: WARMUP_SLICES + flags.slices,
    measure: async (subject, step) =>
      (await measure(subject, step)).map(({ dimensions: { side }, ...measured }) => ({
        dimensions: dimensionsOf(side!),
        ...measured,
      })),
    order: SIDES.map(dimensionsOf),
    format: (report) => formatDecisions(decide(report, flags.rounds), flags),
    exitCode: (report) => (decide(report, flags.rounds).every(isRight) ? ExitCode.OK : ExitCode.FAILED),
    json,
    signal,
  });
}

/** The decisions, each by so many rounds; of an interrupted run those that are complete. */
export function decide({ rounds }: Pick<Report, 'rounds'>, roundsEach: number): readonly Decision[] {
  const last = Math.max(0, ...rounds.map(({ round }) => round));
  const ratios = Array.from({ length: last }, (_, at) => ratiosOf(rounds.filter(({ round }) => round === at + 1)));
  return Array.from({ length: Math.floor(last / roundsEach) }, (_, decision) => {
    const decisive = ratios.slice(decision * roundsEach, (decision + 1) * roundsEach);
    return {
      same: judgeRatios(decisive.map(({ same }) => same)),
      slowed: judgeRatios(decisive.map(({ slowed }) => slowed)),
    };
  });
}

/** Of one round: the median of its slices' ratios, each to that slice of A. */
function ratiosOf(slices: readonly ReportRound[]): { readonly same: number; readonly slowed: number } {
  const values = (side: Side): number[] =>
    slices.filter(({ dimensions }) => dimensions.side === side).map(({ figures }) => figures[FIGURE]!);
  const [a, b, slowed] = [values('A'), values('B'), values('slowed')];
  return { same: median(a.map((one, at) => b[at]! / one)), slowed: median(a.map((one, at) => slowed[at]! / one)) };
}

/** Every slice of every side, in the order in which they were measured, which in each slice is another one. */
async function measureSlices(
  loads: readonly (readonly [Side, OpenLoad])[],
  slices: number,
  random: Random,
  { onPhase, onPhaseEnd }: Pick<Step, 'onPhase' | 'onPhaseEnd'>,
): Promise<readonly Measured[]> {
  const measured: Measured[] = [];
  for (let slice = 1 - WARMUP_SLICES; slice <= slices; slice++) {
    onPhase(slice < 1 ? 'warming up' : `slice ${slice} of ${slices}`);
    for (const [side, load] of random.shuffled(loads)) {
      const { batch: _, ...one } = await load.measureNext();
      if (slice > 0) measured.push({ dimensions: { side }, ...one });
    }
    onPhaseEnd();
  }
  return measured;
}

function isRight({ same, slowed }: Decision): boolean {
  return same.verdict === 'no difference' && slowed.verdict === 'higher';
}

function formatDecisions(decisions: readonly Decision[], flags: AaFlags): string {
  const { batch, connections, keys, rounds, slices, seconds, planted } = flags;
  const ratio = (value: number): string => value.toFixed(3);
  const cells = ({ ratio: value, verdict, ...interval }: Comparison): string[] => [
    ratio(value),
    formatInterval(interval, ratio),
    verdict,
  ];
  const count = (is: (decision: Decision) => boolean): string =>
    `${decisions.filter(is).length} of ${decisions.length}`;
  return [
    `YCSB-B, batch ${batch}, ${connections} connections, ${keys} keys, values of ${VALUE_BYTES} bytes; `,
    `each decision by ${rounds} rounds of ${slices} slices of ${seconds} s\n\n`,
    renderTable(
      ['', 'B/A', '99 % interval', '', 'slowed/A', '99 % interval', ''].map((title) => ({ title })),
      decisions.map(({ same, slowed }, at) =>
        [String(at + 1), ...cells(same), ...cells(slowed)].map((text) => ({ text })),
      ),
    ),
    `\nServer CPU time per operation: the median of the rounds' ratios. No difference: the interval contains 1, or the ratio is less than `,
    `${EFFECT_MIN * 100} % from it.\n`,
    `no difference between A and B: ${count(({ same }) => same.verdict === 'no difference')}; `,
    `the planted ${planted} % found: ${count(({ slowed }) => slowed.verdict === 'higher')}\n`,
  ].join('');
}
