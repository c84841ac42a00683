/** Why: what the kernel is asked for, and what blocks of each size are bound by. */
import type { Report, ReportCell } from '../../results/report.ts';
import type { Answer } from '../answer.ts';
import { grouped, having, servers, valuesOf, where } from '../cells.ts';
import { comparerOf } from '../comparison.ts';
import { formatTick } from '../format.ts';
import { list, namingOf, standing } from '../words.ts';

/** How often each asks the kernel, at the largest number of operations, where what is done once weighs least. */
export function syscallsAnswers(report: Report): readonly Answer[] {
  const cells = having(servers(report.cells), 'serverCallsPerOp');
  const operations = valuesOf(cells, 'operations').at(-1);
  const connections = valuesOf(cells, 'connections')[0];
  const chosen = cells.filter(
    ({ dimensions }) => dimensions.operations === operations && dimensions.connections === connections,
  );
  if (chosen.length === 0) return [];
  const sentence = standing(chosen, {
    where: `For one operation after the other over ${connections ?? 1} connection${(connections ?? 1) === 1 ? '' : 's'}`,
    figure: 'serverCallsPerOp',
    says: (text) => `makes ${text} system calls per operation`,
    naming: namingOf(chosen),
    compare: comparerOf(report),
    kind: 'servers',
  });
  return [{ question: 'Why', sentences: [sentence] }];
}

/** The conclusion of the suite itself, in ranges of sizes, for each operation, over the first of the client's transports. */
export function blocksAnswers({ cells }: Report): readonly Answer[] {
  const told = servers(cells).filter(({ notes, dimensions }) => notes?.bound && dimensions.valueSize !== undefined);
  const [client] = valuesOf(told, 'clientTransport');
  const chosen = told.filter(({ dimensions }) => (dimensions.clientTransport ?? client) === client);
  const naming = namingOf(chosen, ['valueSize', 'workload']);
  const sentences = valuesOf(chosen, 'workload').flatMap((workload) => {
    const own = where(chosen, { workload: String(workload) });
    const byName = grouped(own, naming).map(([name, same]) => ({ name, text: boundText(same) }));
    return [...new Set(byName.map(({ text }) => text))].map((text) => {
      const names = byName.filter((one) => one.text === text).map(({ name }) => name);
      const who = names.length === byName.length ? 'all servers' : list(names);
      return `In ${workload} with ${who}, ${text}.`;
    });
  });
  return sentences.length === 0 ? [] : [{ question: 'Why', sentences }];
}

/** `blocks up to 4 KiB are bound by syscalls, those from 16 KiB on by memory copies`. */
function boundText(cells: readonly ReportCell[]): string {
  const sorted = [...cells].sort((a, b) => a.dimensions.valueSize! - b.dimensions.valueSize!);
  const ranges: { word: string; from: number; to: number }[] = [];
  for (const { dimensions, notes } of sorted) {
    const [word, size] = [notes!.bound!, dimensions.valueSize!];
    const last = ranges.at(-1);
    if (last?.word === word) last.to = size;
    else ranges.push({ word, from: size, to: size });
  }
  const size = (bytes: number): string => formatTick(bytes, 'B');
  return list(
    ranges.map(({ word, from, to }, at) => {
      const which = from === to ? `of ${size(from)}` : `of ${size(from)} to ${size(to)}`;
      return at === 0 ? `blocks ${which} are bound by ${word}` : `those ${which} by ${word}`;
    }),
    8,
  );
}
