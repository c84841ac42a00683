/** The command `compare`: what is different in B, the later file, and how sure that is. */
import process from 'node:process';
import { ExitCode, usageError } from '../../../runtime/command/errors.ts';
import { suggestion } from '../../../runtime/command/suggest.ts';
import { betterWay, type Comparison, compareSeries, type Verdict } from '../../results/compare.ts';
import { cellKey, type Dimensions, type Report, type ReportRound } from '../../results/report.ts';
import { median } from '../../results/statistics.ts';
import { formatInterval, formatNumber, renderTable } from '../../results/table.ts';
import { readReport } from '../../results/validate.ts';

export interface CompareFlags {
  /** Undefined: `FIGURES`, or all there are when the suite has none of them. */
  readonly figures: readonly string[] | undefined;
  /** Unit: percent. Undefined: nothing fails. */
  readonly failAbove: number | undefined;
}

/** What is asked about most. */
const FIGURES: readonly string[] = ['serverMicrosPerOp', 'opsPerSecond', 'p99Micros'];

/** One figure of one cell. */
export interface Compared {
  readonly dimensions: Dimensions;
  readonly figure: string;
  readonly a: readonly number[];
  readonly b: readonly number[];
  readonly comparison: Comparison;
  /** The verdict, or what a difference means where one way of the figure is the better one. */
  readonly outcome: Verdict | 'better' | 'worse';
}

/** One figure of one cell that has no ratio. */
interface Incomparable extends Pick<Compared, 'dimensions' | 'figure'> {
  readonly why: string;
}

/** Resolves to the exit code: 1 when something got worse by more than `failAbove`. */
export async function compare(fileA: string, fileB: string, flags: CompareFlags): Promise<number> {
  const [a, b] = [readReport(fileA), readReport(fileB)];
  assertComparable(a, b, fileA, fileB);
  assertFigures(fileA, a, flags.figures);
  assertFigures(fileB, b, flags.figures);
  const { compared, incomparable } = compareReports(a, b, flags.figures);
  if (compared.length + incomparable.length === 0)
    throw usageError(`${fileA} and ${fileB} have no cell and figure in common`);
  process.stdout.write(
    [
      `A: ${describe(fileA, a)}B: ${describe(fileB, b)}`,
      ...warnings(a, b).map((line) => `warning: ${line}\n`),
      formatCompared(compared),
      ...formatIncomparable(incomparable),
    ].join(''),
  );
  const failed = compared.filter((one) => flags.failAbove !== undefined && isWorseBy(one, flags.failAbove));
  if (failed.length === 0) return ExitCode.OK;
  process.stdout.write(`${failed.length} got worse by more than ${flags.failAbove} %\n`);
  return ExitCode.FAILED;
}

/** Every figure of every cell that both have, figure by figure. */
export function compareReports(a: Report, b: Report, figures: readonly string[] | undefined) {
  const compared: Compared[] = [];
  const incomparable: Incomparable[] = [];
  for (const figure of figures ?? defaultFigures(a)) {
    for (const { dimensions } of a.cells) {
      const key = cellKey(dimensions);
      const [ofA, ofB] = [a, b].map((report) => valuesOf(report.rounds, key, figure)) as [number[], number[]];
      if (ofA.length === 0 || ofB.length === 0) continue;
      const why = whyNoRatio(ofA, ofB);
      if (why === undefined) {
        const comparison = compareSeries(ofA, ofB);
        const outcome = outcomeOf(comparison.verdict, betterWay(figure));
        compared.push({ dimensions, figure, a: ofA, b: ofB, comparison, outcome });
      } else incomparable.push({ dimensions, figure, why });
    }
  }
  return { compared, incomparable };
}

/** Undefined where there is a ratio. That of something to nothing is one, be it 0 or infinite. */
function whyNoRatio(a: readonly number[], b: readonly number[]): string | undefined {
  if ([...a, ...b].some((value) => value < 0)) return 'a round is below 0';
  return a.includes(0) && b.includes(0) ? 'both files have a round with 0' : undefined;
}

function outcomeOf(verdict: Verdict, way: 'higher' | 'lower' | undefined): Compared['outcome'] {
  if (way === undefined || (verdict !== 'higher' && verdict !== 'lower')) return verdict;
  return verdict === way ? 'better' : 'worse';
}

/** Whether it is worse, and by more than so many percent: as far as it costs more, or there is less of it. */
export function isWorseBy({ outcome, comparison: { ratio } }: Compared, percent: number): boolean {
  return outcome === 'worse' && Math.max(ratio, 1 / ratio) - 1 > percent / 100;
}

function valuesOf(rounds: readonly ReportRound[], key: string, figure: string): number[] {
  return rounds
    .filter(({ dimensions }) => cellKey(dimensions) === key)
    .flatMap(({ figures, percentiles }) => {
      return figures[figure] ?? (percentiles as Readonly<Record<string, number>> | undefined)?.[figure] ?? [];
    });
}

/** Throws a `CommandError` for a figure that was asked for and is in no round. */
function assertFigures(file: string, report: Report, asked: readonly string[] = []): void {
  const there = figuresOf(report);
  const unknown = asked.find((name) => !there.has(name));
  if (unknown === undefined) return;
  const known = [...there];
  throw usageError(
    `${file} has no figure ${unknown}${suggestion(unknown, known) || `; there are ${known.join(', ')}`}`,
  );
}

function figuresOf({ rounds }: Report): ReadonlySet<string> {
  return new Set(rounds.flatMap(({ figures, percentiles = {} }) => Object.keys({ ...figures, ...percentiles })));
}

function defaultFigures(report: Report): readonly string[] {
  const there = figuresOf(report);
  const asked = FIGURES.filter((name) => there.has(name));
  return asked.length > 0 ? asked : [...there].filter((name) => betterWay(name) !== undefined);
}

/** Throws a `CommandError` for files whose figures mean different things. */
function assertComparable(a: Report, b: Report, fileA: string, fileB: string): void {
  if (a.suite !== b.suite) throw usageError(`${fileA} is of the suite ${a.suite}, ${fileB} of ${b.suite}`);
  const [workA, workB] = [a, b].map((report) => (report as { readonly workload?: unknown }).workload);
  if (workA !== workB) {
    throw usageError(`${fileA} has the workload ${workA}, ${fileB} ${workB}: their operations are not the same`);
  }
}

/** What a reader should know before believing a difference. */
function warnings(a: Report, b: Report): readonly string[] {
  const text = (value: unknown): string => (value === undefined ? 'none' : JSON.stringify(value));
  // How often was measured is no difference in what was.
  const differing = (what: string, one: object, other: object): string[] =>
    [...new Set([...Object.keys(one), ...Object.keys(other)])].flatMap((name) => {
      const [ofA, ofB] = [one, other].map((from) => text((from as Readonly<Record<string, unknown>>)[name]));
      return ofA === ofB || name === 'rounds' ? [] : [`${what} ${name} differs: ${ofA} in A, ${ofB} in B`];
    });
  const keysOf = (report: Report) => new Set(report.cells.map(({ dimensions }) => cellKey(dimensions)));
  const [keysA, keysB] = [keysOf(a), keysOf(b)];
  const onlyA = [...keysA].filter((key) => !keysB.has(key)).length;
  const onlyB = [...keysB].filter((key) => !keysA.has(key)).length;
  return [
    ...differing('the machine:', a.machine, b.machine),
    ...differing('the version of', a.versions, b.versions),
    ...differing('the flag', a.flags, b.flags),
    ...(onlyA > 0 ? [`${onlyA} cell${onlyA === 1 ? ' is' : 's are'} in A alone`] : []),
    ...(onlyB > 0 ? [`${onlyB} cell${onlyB === 1 ? ' is' : 's are'} in B alone`] : []),
    ...(a.interrupted ? ['the run of A was interrupted'] : []),
    ...(b.interrupted ? ['the run of B was interrupted'] : []),
  ];
}

function describe(file: string, { suite, ringkv, git, startedAt, rounds }: Report): string {
  const count = new Set(rounds.map(({ round }) => round)).size;
  const revision = git === null ? '' : `, ${git.revision.slice(0, 10)}${git.modified ? ' and changes' : ''}`;
  return `${file}: ${suite}, ringkv ${ringkv}${revision}, ${startedAt}, ${count} round${count === 1 ? '' : 's'}\n`;
}

function formatCompared(compared: readonly Compared[]): string {
  const varying = varyingDimensions(compared.map(({ dimensions }) => dimensions));
  const figures = [...new Set(compared.map(({ figure }) => figure))];
  const count = (...outcomes: readonly Compared['outcome'][]): number =>
    compared.filter(({ outcome }) => outcomes.includes(outcome)).length;
  const different = count('higher', 'lower');
  const few = count('too few rounds');
  return [
    ...figures.map(
      (figure) =>
        `\n${figure}\n${formatFigure(
          compared.filter((one) => one.figure === figure),
          varying,
        )}`,
    ),
    `\n${compared.length} compared: ${count('worse')} worse, ${count('better')} better, `,
    ...(different === 0 ? [] : [`${different} different, `]),
    `${count('no difference')} without a difference`,
    few === 0 ? '\n' : `, ${few} with too few rounds to say\n`,
  ].join('');
}

function formatFigure(compared: readonly Compared[], varying: readonly string[]): string {
  return renderTable(
    ['', 'A', 'B', 'B/A', '99 % interval', ''].map((title) => ({ title })),
    compared.map(({ dimensions, a, b, comparison, outcome }) =>
      [
        cellName(dimensions, varying),
        formatNumber(median(a)),
        formatNumber(median(b)),
        comparison.ratio.toFixed(3),
        formatInterval(comparison, (value) => value.toFixed(3)),
        outcome,
      ].map((text) => ({ text })),
    ),
  );
}

function formatIncomparable(incomparable: readonly Incomparable[]): readonly string[] {
  const varying = varyingDimensions(incomparable.map(({ dimensions }) => dimensions));
  return incomparable.map(
    ({ dimensions, figure, why }) => `not compared: ${figure} of ${cellName(dimensions, varying)}: ${why}\n`,
  );
}

/** Those that tell the cells apart; all when there is one cell. */
function varyingDimensions(all: readonly Dimensions[]): readonly string[] {
  const names = [...new Set(all.flatMap((dimensions) => Object.keys(dimensions)))];
  const varying = names.filter((name) => new Set(all.map((one) => one[name as keyof Dimensions])).size > 1);
  return varying.length > 0 ? varying : names;
}

function cellName(dimensions: Dimensions, names: readonly string[]): string {
  return names
    .flatMap((name) => {
      const value = dimensions[name as keyof Dimensions];
      return value === undefined || value === false ? [] : [value === true ? name : `${name} ${value}`];
    })
    .join(', ');
}
