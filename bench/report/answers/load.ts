/** What the suites under load answer: which rate, beside which servers, over how many processes, in which workload. */
import type { Report, ReportCell } from '../../results/report.ts';
import type { Answer } from '../answer.ts';
import { grouped, having, mainBatch, servers, valuesOf, where } from '../cells.ts';
import { comparerOf, ranked } from '../comparison.ts';
import { amount, list, namingOf, percent, standing, times, UNSURE } from '../words.ts';

const CPU = 'serverMicrosPerOp';

/** The limit of the highest rate. Unit: microseconds. */
const P99_MICROS_MAX = 1000;

/** The highest rate that was measured with p99 below the limit, of each cell. */
export function rateAnswers({ cells }: Report): readonly Answer[] {
  const rated = having(servers(cells), 'p99Micros', 'opsPerSecond').filter(
    ({ dimensions }) => typeof dimensions.rate === 'number',
  );
  const naming = namingOf(rated, ['rate']);
  const highest = grouped(rated, naming).flatMap(([name, own]) => {
    // With this note, the server or the generator did not keep up with the rate.
    const kept = own.filter(
      ({ figures, notes }) => notes?.limit === undefined && figures.p99Micros!.median < P99_MICROS_MAX,
    );
    const best = ranked(kept, 'opsPerSecond')[0];
    return best === undefined ? [] : [{ name, best: bounded(best, own) }];
  });
  if (highest.length === 0) return [];
  const sorted = highest.sort((a, b) => b.best.figures.opsPerSecond!.median - a.best.figures.opsPerSecond!.median);
  const told = sorted.map(({ name, best }) => `${amount(best, 'opsPerSecond')} (${name})`);
  return [
    {
      question: 'How much',
      sentences: [
        `The highest rates that were measured with p99 below 1 ms, in operations per second: ${list(told, 8)}.`,
      ],
    },
  ];
}

/** Where the generator was the limit at the next rate above, the rate is a lower bound of what the server is good for. */
function bounded(best: ReportCell, own: readonly ReportCell[]): ReportCell {
  const next = valuesOf(own, 'rate').find((rate) => Number(rate) > best.dimensions.rate!);
  const isBound = next !== undefined && where(own, { rate: Number(next) })[0]!.notes?.limit === 'generator';
  return isBound ? { ...best, generatorLimited: true } : best;
}

/** The best of ours beside each of the others, by CPU time, at each batch that both have. */
export function peersAnswers(report: Report): readonly Answer[] {
  const cells = having(report.cells, CPU);
  const ours = servers(cells);
  const compare = comparerOf(report);
  const peers = valuesOf(cells, 'peer').map(String);
  const sentences = peers.flatMap((peer) => {
    const parts = valuesOf(ours, 'batch').flatMap((batch) => {
      const best = ranked(where(ours, { batch: Number(batch) }), CPU)[0];
      const other = where(cells, { peer, batch: Number(batch) })[0];
      if (best === undefined || other === undefined) return [];
      return [{ batch, best, other, ...compare(best, other, CPU) }];
    });
    if (parts.length === 0) return [];
    const naming = namingOf(ours, ['batch']);
    const at = ({ batch, best }: (typeof parts)[number]): string => `${naming(best)} at batch ${batch}`;
    const told = parts
      .filter(({ verdict }) => verdict !== 'no difference')
      .map((part) => {
        const { best, other, ratio } = part;
        return `${times(ratio)} ${ratio >= 1 ? 'more' : 'less'} than ${at(part)} (${amount(other, CPU)}, not ${amount(best, CPU)})`;
      });
    const same = parts.filter(({ verdict }) => verdict === 'no difference').map(at);
    const sameText = `there is no difference to ${list(same, 8)}`;
    const unsure = parts.some(({ verdict }) => verdict === 'too few rounds') ? UNSURE : '';
    if (told.length === 0) return [`In what ${peer} needs of server CPU per operation, ${sameText}.`];
    return [
      `Of server CPU per operation, ${peer} needs ${list(told, 8)}${same.length === 0 ? '' : `; ${sameText}`}.${unsure}`,
    ];
  });
  return sentences.length === 0 ? [] : [{ question: 'Beside other servers', sentences }];
}

/** What more servers give, with the generators that suit them best. */
export function scaleAnswers(report: Report): readonly Answer[] {
  const cells = having(servers(report.cells), 'opsPerSecond');
  const naming = namingOf(cells, ['servers', 'generators']);
  const compare = comparerOf(report);
  const sentences = grouped(cells, naming).flatMap(([name, own]) => {
    const bestOf = (count: number): ReportCell | undefined => ranked(where(own, { servers: count }), 'opsPerSecond')[0];
    const [one, ...more] = valuesOf(own, 'servers').map(Number);
    const first = one === undefined ? undefined : bestOf(one);
    if (first === undefined || more.length === 0) return [];
    const told = more.flatMap((count) => {
      const best = bestOf(count);
      if (best === undefined) return [];
      const { ratio, verdict } = compare(first, best, 'opsPerSecond');
      if (verdict === 'no difference') return [`${count} give no more`];
      return [
        `${count} give ${times(ratio)} ${ratio >= 1 ? 'as much' : 'less'} (${percent((ratio * one!) / count)} of linear)`,
      ];
    });
    const unsure = more.some((count) => {
      const best = bestOf(count);
      return best !== undefined && compare(first, best, 'opsPerSecond').verdict === 'too few rounds';
    })
      ? UNSURE
      : '';
    const servers_ = one === 1 ? 'one server does' : `${one} servers do`;
    return [`Of ${name}, ${servers_} ${amount(first, 'opsPerSecond')} operations per second; ${list(told)}.${unsure}`];
  });
  return sentences.length === 0 ? [] : [{ question: 'How much', sentences }];
}

/** Who needs least in each workload. */
export function ycsbAnswers(report: Report): readonly Answer[] {
  const all = having(servers(report.cells), CPU);
  const run = where(all, { phase: 'run' });
  const chosen = run.length > 0 ? run : all;
  const batch = mainBatch(chosen);
  const cells = batch === undefined ? chosen : where(chosen, { batch });
  const compare = comparerOf(report);
  const sentences = valuesOf(cells, 'workload').map((workload) => {
    const own = where(cells, { workload: String(workload) });
    return standing(own, {
      where: `In ${String(workload).replace('ycsb-', 'YCSB ').toUpperCase()}${batch === undefined ? '' : ` at batch ${batch}`}`,
      figure: CPU,
      says: (text) => `needs ${text} of server CPU per operation`,
      naming: namingOf(own),
      compare,
      kind: 'servers',
    });
  });
  return sentences.length === 0 ? [] : [{ question: 'Other workloads', sentences }];
}
