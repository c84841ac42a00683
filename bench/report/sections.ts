/** A suite's section of the page: what it is called, what it asks, and its charts. */
import type { Report } from '../results/report.ts';
import { having } from './cells.ts';
import { tableOf } from './charts/table.ts';
import type { Chart, Section } from './model.ts';
import { blocksSection } from './sections/blocks.ts';
import { flameSection } from './sections/flame.ts';
import { logSection } from './sections/log.ts';
import { matrixSection } from './sections/matrix.ts';
import { otherSection } from './sections/other.ts';
import { peersSection } from './sections/peers.ts';
import { rateSection } from './sections/rate.ts';
import { connectionsSection, engineSection, startSection } from './sections/runtimes.ts';
import { scaleSection } from './sections/scale.ts';
import type { SectionKind } from './sections/section.ts';
import { directSection, tcpSection, writesSection } from './sections/stores.ts';
import { sweepSection } from './sections/sweep.ts';
import { syscallsSection } from './sections/syscalls.ts';
import { ycsbSection } from './sections/ycsb.ts';

const KINDS: Readonly<Record<string, SectionKind>> = {
  matrix: matrixSection,
  syscalls: syscallsSection,
  blocks: blocksSection,
  flame: flameSection,
  rate: rateSection,
  peers: peersSection,
  ycsb: ycsbSection,
  scale: scaleSection,
  log: logSection,
  sweep: sweepSection,
  connections: connectionsSection,
  tcp: tcpSection,
  direct: directSection,
  writes: writesSection,
  engine: engineSection,
  start: startSection,
};

/** The suites in the order of the page. */
export const SUITE_ORDER: readonly string[] = Object.keys(KINDS);

/** The section of a suite; one that is not known gets a chart of its first figure, and a table of all. */
export function sectionOf(report: Report): Section {
  const { suite, cells, interrupted, skipped, flags, rounds } = report;
  const kind = Object.hasOwn(KINDS, suite) ? KINDS[suite]! : otherSection;
  const charts = kind.charts(report).filter((chart): chart is Chart => chart !== undefined);
  const figures = [...new Set(cells.flatMap((cell) => Object.keys(cell.figures)))];
  return {
    id: suite,
    title: kind.title ?? suite,
    about: [
      kind.about ?? '',
      typeof flags.rounds === 'number' ? roundsText(new Set(rounds.map(({ round }) => round)).size) : '',
    ]
      .filter((text) => text !== '')
      .join(' '),
    charts,
    notes: [
      ...(kind.notes?.(report) ?? []),
      ...(interrupted ? ['The run was interrupted: shown is what was measured until then.'] : []),
      ...(having(cells, 'opsPerSecond').some(({ generatorLimited }) => generatorLimited)
        ? ['≥ marks throughput that the load generator limited: the server can do at least this much.']
        : []),
    ],
    skipped: skipped.map(({ label, reason }) => `${label}: ${reason}`),
    table: tableOf(cells, { figures, ranges: false }),
  };
}

function roundsText(rounds: number): string {
  return rounds === 1
    ? 'Measured once, so there are no intervals, and what is noise cannot be told.'
    : `Medians of ${rounds} rounds; what is drawn around them is the median's 95 % interval.`;
}
