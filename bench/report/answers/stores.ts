/** What the suites that grow a store answer: what the network costs, and how a write gets slower. */
import type { Report, ReportCell } from '../../results/report.ts';
import type { Answer } from '../answer.ts';
import { grouped, having, servers, valuesOf, where } from '../cells.ts';
import { comparerOf, ranked } from '../comparison.ts';
import { formatTick } from '../format.ts';
import { amount, list, namingOf, standing, times, UNSURE } from '../words.ts';

/** How many times faster a store in the same process is, in each runtime, at the largest store that has the figure. */
export function directAnswers({ cells }: Report): readonly Answer[] {
  const measured = where(having(cells, 'networkFactor'), { workload: 'get' });
  const keys = valuesOf(measured, 'keys').at(-1);
  const largest = where(measured, { keys: Number(keys), engine: 'swiss' });
  if (largest.length === 0) return [];
  const naming = namingOf(largest, ['keys', 'workload', 'store', 'engine', 'transport']);
  const told = ranked(largest, 'networkFactor').map(
    (cell) => `${times(cell.figures.networkFactor!.median)} on ${naming(cell)} (${amount(cell, 'opsPerSecond')})`,
  );
  return [
    {
      question: 'What the network costs',
      sentences: [
        `A store in the same process, with ${formatTick(Number(keys), '')} keys, does more gets a second than a server does for one client: ${list(told)}.`,
      ],
    },
  ];
}

/** Who answers first when one waits for each reply. */
export function tcpAnswers(report: Report): readonly Answer[] {
  const measured = where(having(servers(report.cells), 'meanMicros'), { workload: 'get' });
  const keys = valuesOf(measured, 'keys').at(-1);
  const cells = where(measured, { keys: Number(keys) });
  if (cells.length === 0) return [];
  const sentence = standing(cells, {
    where: `With one client that waits for each reply, and ${formatTick(Number(keys), '')} keys`,
    figure: 'meanMicros',
    says: (text) => `takes ${text} for a get`,
    naming: namingOf(cells, ['keys', 'workload']),
    compare: comparerOf(report),
    kind: 'servers',
  });
  return [{ question: 'What the network costs', sentences: [sentence] }];
}

/** From the smallest store to the largest. */
export function writesAnswers(report: Report): readonly Answer[] {
  const cells = having(servers(report.cells), 'opsPerSecond').filter(({ dimensions }) => (dimensions.keys ?? 0) > 0);
  const compare = comparerOf(report);
  const parts = grouped(cells, namingOf(cells, ['keys'])).flatMap(([name, own]) => {
    const at = (keys: unknown): ReportCell | undefined => where(own, { keys: Number(keys) })[0];
    const sizes = valuesOf(own, 'keys');
    const [small, large] = [at(sizes[0]), at(sizes.at(-1))];
    if (small === undefined || large === undefined || small === large) return [];
    return [{ name, small, large, ...compare(large, small, 'opsPerSecond') }];
  });
  if (parts.length === 0) return [];
  const { small, large } = parts[0]!;
  const told = parts.map(({ name, ratio, verdict }) =>
    verdict === 'no difference'
      ? `no slower on ${name}`
      : `${times(ratio)} ${ratio >= 1 ? 'slower' : 'faster'} on ${name}`,
  );
  const unsure = parts.some(({ verdict }) => verdict === 'too few rounds') ? UNSURE : '';
  const size = (cell: ReportCell): string => formatTick(cell.dimensions.keys!, '');
  return [
    {
      question: 'As the store grows',
      sentences: [`From ${size(small)} to ${size(large)} keys, a write gets ${list(told, 8)}.${unsure}`],
    },
  ];
}
