/** What the matrix answers: which backend, which runtime, which batch, and why. */
import type { Report, ReportCell } from '../../results/report.ts';
import type { Answer } from '../answer.ts';
import { type DimensionName, having, mainBatch, servers, valuesOf, varying, where } from '../cells.ts';
import { type Compare, comparerOf, ranked } from '../comparison.ts';
import { describe, runtimeTitle } from '../figures.ts';
import { amount, list, namingOf, percent, standing, times, UNSURE } from '../words.ts';

const CPU = 'serverMicrosPerOp';

/** What the rest of the answer goes by. */
interface Matrix {
  /** Cells and controls. */
  readonly all: readonly ReportCell[];
  readonly cells: readonly ReportCell[];
  /** Where it was measured with several of something else, what is spoken of: `with connections 50`; else empty. */
  readonly given: string;
  readonly batches: readonly number[];
  readonly batch: number;
  readonly compare: Compare;
}

export function matrixAnswers(report: Report): readonly Answer[] {
  const { chosen: all, given } = mainCells(having(report.cells, CPU));
  const cells = servers(all);
  const batch = mainBatch(cells);
  if (batch === undefined) return [];
  const batches = valuesOf(cells, 'batch').map(Number);
  const matrix: Matrix = { all, cells, given, batches, batch, compare: comparerOf(report) };
  return [
    { question: 'Which backend', sentences: [...bestOfBatches(matrix), ...ringAgainstSockets(matrix)] },
    { question: 'Which runtime', sentences: acrossRuntimes(matrix) },
    { question: 'Which batch', sentences: acrossBatches(matrix) },
    { question: 'Why', sentences: controlsSay(matrix) },
    { question: 'How much', sentences: throughput(matrix, servers(report.cells)) },
  ];
}

/** Where other dimensions vary too, the first value of each is spoken of. */
function mainCells(cells: readonly ReportCell[]) {
  const others = varying(cells, ['runtime', 'transport', 'control', 'batch']);
  let chosen = cells;
  for (const name of others) {
    const [first] = valuesOf(servers(chosen), name);
    chosen = chosen.filter(({ dimensions }) => dimensions[name] === first);
  }
  const words = chosen.length === 0 ? [] : others.map((name) => describe(chosen[0]!.dimensions, [name]));
  return { chosen, given: words.length === 0 ? '' : `, with ${list(words)}` };
}

/** The smallest, the main and the largest batch, each once. */
function telling({ batches, batch }: Matrix): readonly number[] {
  return [...new Set([batches[0]!, batch, batches.at(-1)!])];
}

const SERVER: readonly DimensionName[] = ['transport', 'runtime'];
const nameOf = ({ dimensions }: ReportCell): string => describe(dimensions, SERVER);

function bestOfBatches(matrix: Matrix): readonly string[] {
  const { cells, batch, given, compare } = matrix;
  const others = telling(matrix).filter((one) => one !== batch);
  return [batch, ...others].map((one, at) =>
    standing(where(cells, { batch: one }), {
      where: at === 0 ? `On this machine, at batch ${one}${given}` : `At batch ${one}`,
      figure: CPU,
      says: (text) => `needs ${text} of server CPU per operation`,
      naming: nameOf,
      compare,
      kind: 'servers',
    }),
  );
}

/** In each runtime, the ring beside the runtime's own sockets, which are called like it. */
function ringAgainstSockets(matrix: Matrix): readonly string[] {
  return valuesOf(matrix.cells, 'runtime').flatMap((runtime) => {
    const parts = telling(matrix).flatMap((batch) => {
      const of = (transport: string): ReportCell | undefined =>
        where(matrix.cells, { runtime: String(runtime), transport, batch })[0];
      const [ring, sockets] = [of('uring'), of(String(runtime))];
      if (ring === undefined || sockets === undefined) return [];
      const { ratio, verdict } = matrix.compare(ring, sockets, CPU);
      return [{ batch, ratio, verdict, word: verdict === 'no difference' ? 'same' : ratio >= 1 ? 'less' : 'more' }];
    });
    if (parts.length === 0) return [];
    const at = (word: string): typeof parts => parts.filter((one) => one.word === word);
    const measured = [...at('less'), ...at('more')].map(
      ({ ratio, word, batch }) => `${times(ratio)} ${word} at batch ${batch}`,
    );
    const same = at('same').map(({ batch }) => `batch ${batch}`);
    const sameText = `there is no difference between uring and the runtime's own sockets`;
    const title = runtimeTitle(String(runtime));
    const once = parts.some(({ verdict }) => verdict === 'too few rounds') ? UNSURE : '';
    if (measured.length === 0) return [`On ${title}, ${sameText} at ${list(same)}.`];
    const rest = same.length === 0 ? '' : `; at ${list(same)} there is no difference`;
    return [`On ${title}, uring needs ${list(measured)} than the runtime's own sockets${rest}.${once}`];
  });
}

/** The transport that most runtimes have, uring before others, in each of them. */
function acrossRuntimes({ cells, batch, batches, compare }: Matrix): readonly string[] {
  const at = (one: number, transport: string): readonly ReportCell[] => where(cells, { batch: one, transport });
  const transports = valuesOf(cells, 'transport').map(String);
  const [transport] = ['uring', 'node', ...transports]
    .filter((name) => transports.includes(name))
    .sort((a, b) => at(batch, b).length - at(batch, a).length);
  if (transport === undefined || at(batch, transport).length < 2) return [];
  return [...new Set([batch, batches[0]!])].map((one) =>
    standing(at(one, transport), {
      where: `With the transport ${transport} at batch ${one}`,
      figure: CPU,
      says: (text) => `needs ${text} of server CPU per operation`,
      naming: ({ dimensions }) => runtimeTitle(dimensions.runtime!),
      compare,
      kind: 'runtimes',
    }),
  );
}

function acrossBatches({ cells, batch, batches, compare }: Matrix): readonly string[] {
  const best = ranked(where(cells, { batch }), CPU)[0]!;
  const { runtime, transport } = best.dimensions;
  const own = where(cells, { runtime: runtime!, transport: transport! });
  const of = (one: number): ReportCell | undefined => where(own, { batch: one })[0];
  const steps = [...new Set([batches[0]!, batch, batches.at(-1)!])].flatMap((one) => of(one) ?? []);
  return steps.slice(1).map((cell, at) => {
    const from = steps[at]!;
    const { ratio, verdict } = compare(cell, from, CPU);
    const [a, b] = [from.dimensions.batch, cell.dimensions.batch];
    if (verdict === 'no difference')
      return `From batch ${a} to ${b} there is no difference in what an operation of ${nameOf(best)} costs.`;
    return `From batch ${a} to ${b}, an operation of ${nameOf(best)} gets ${times(ratio)} ${ratio >= 1 ? 'cheaper' : 'dearer'}: ${amount(from, CPU)} to ${amount(cell, CPU)}.${verdict === 'too few rounds' ? UNSURE : ''}`;
  });
}

/** Above this share of the CPU time the bare echo decides what a cell costs. */
const DECIDES_SHARE = 0.6;

/** What part of the best cell's CPU time its bare echo needs, from the smallest to the largest batch. */
function controlsSay(matrix: Matrix): readonly string[] {
  const { all, cells, batch, compare } = matrix;
  const best = ranked(where(cells, { batch }), CPU)[0]!;
  const { runtime, transport } = best.dimensions;
  const parts = telling(matrix).flatMap((one) => {
    const [cell] = where(cells, { runtime: runtime!, transport: transport!, batch: one });
    const [control] = where(all, { runtime: runtime!, transport: transport!, batch: one, control: true });
    if (cell === undefined || control === undefined) return [];
    const share = Math.min(1, control.figures[CPU]!.median / cell.figures[CPU]!.median);
    return [{ batch: one, share, toldApart: compare(control, cell, CPU).verdict !== 'no difference' }];
  });
  if (parts.length === 0) return [];
  const told = parts.map(
    ({ batch: one, share, toldApart }) =>
      `at batch ${one} it takes ${percent(share)}${toldApart ? '' : ' (not told apart from all)'}`,
  );
  const conclude = (who: string, decides: (part: (typeof parts)[number]) => boolean): readonly string[] => {
    const deciding = parts.filter(decides).map(({ batch: one }) => `batch ${one}`);
    return deciding.length === 0 ? [] : [`${who} at ${list(deciding)}`];
  };
  const conclusions = [
    ...conclude('what carries the bytes decides', ({ share }) => share >= DECIDES_SHARE),
    ...conclude('engine and protocol decide', ({ share, toldApart }) => toldApart && share < 1 - DECIDES_SHARE),
  ];
  const so = conclusions.length === 0 ? '' : ` So ${list(conclusions)}.`;
  return [
    `A bare echo over the transport of ${nameOf(best)} shows what the transport alone costs: ${list(told)} of the server's CPU time.${so}`,
  ];
}

/** `counted` are all cells, whatever else varies. */
function throughput({ given, ...matrix }: Matrix, counted: readonly ReportCell[]): readonly string[] {
  const cells = having(matrix.cells, 'opsPerSecond');
  const [best] = ranked(cells, 'opsPerSecond');
  if (best === undefined) return [];
  const limited = counted.filter(({ generatorLimited }) => generatorLimited === true).length;
  const name = namingOf(cells, ['batch'])(best);
  return [
    `The most operations per second were ${amount(best, 'opsPerSecond')}, of ${name} at batch ${best.dimensions.batch}${given}.`,
    ...(limited === 0
      ? []
      : [
          `In ${limited} of ${counted.length} cells the load generator had no CPU left: their throughput is a lower bound of what the server can do. CPU time per operation still counts.`,
        ]),
  ];
}
