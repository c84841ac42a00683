/** A suite's section of the page: what it is called, what it asks, and its charts. */
import type { Report, ReportCell } from '../results/report.ts';
import { byName, type DimensionName, having, varying } from './cells.ts';
import { tableOf } from './charts/table.ts';
import { describe, runtimeTitle } from './figures.ts';
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
import { list } from './words.ts';

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
  const { suite, cells, interrupted, skipped, flags } = report;
  const kind = Object.hasOwn(KINDS, suite) ? KINDS[suite]! : otherSection;
  const charts = kind.charts(report).filter((chart): chart is Chart => chart !== undefined);
  const figures = [...new Set(cells.flatMap((cell) => Object.keys(cell.figures)))];
  return {
    id: suite,
    title: kind.title ?? suite,
    about: [kind.about ?? '', typeof flags.rounds === 'number' ? roundsText(report) : '']
      .filter((text) => text !== '')
      .join(' '),
    charts,
    notes: [
      ...(kind.notes?.(report) ?? []),
      ...clientNotes(cells),
      ...(interrupted ? ['The run was interrupted: shown is what was measured until then.'] : []),
      ...(having(cells, 'opsPerSecond').some(({ generatorLimited }) => generatorLimited)
        ? ['≥ marks throughput that the load generator limited: the server can do at least this much.']
        : []),
    ],
    skipped: skipped.map(({ label, reason }) => `${label}: ${reason}`),
    table: tableOf(cells, { figures, ranges: false }),
  };
}

/**
 * Where the names of cells do not tell it, because it follows from the server, and not all have the same: which ones are reached
 * by another client than most.
 */
function clientNotes(cells: readonly ReportCell[]): readonly string[] {
  const reached = cells.filter((cell) => clientName(cell) !== '');
  if (varying(reached).some((name) => name === 'clientTransport' || name === 'clientRuntime')) return [];
  const [most, ...others] = byName(reached, CLIENT)
    .map(([, own]) => ({ client: clientName(own[0]!), servers: serverNames(own) }))
    .sort((a, b) => b.servers.length - a.servers.length);
  return others.map(
    ({ client, servers }) =>
      `Reached by another client, ${client} in the place of ${most!.client}: ${list(servers, 8)}. What it takes is part of their figures.`,
  );
}

const CLIENT: readonly DimensionName[] = ['clientTransport', 'clientRuntime'];

function clientName({ dimensions: { clientTransport, clientRuntime } }: ReportCell): string {
  if (clientTransport === undefined) return '';
  return clientRuntime === undefined ? clientTransport : `${clientTransport} on ${runtimeTitle(clientRuntime)}`;
}

function serverNames(cells: readonly ReportCell[]): readonly string[] {
  return [...new Set(cells.map(({ dimensions }) => describe(dimensions, ['peer', 'transport', 'runtime'])))];
}

function roundsText({ rounds, cells }: Report): string {
  const count = new Set(rounds.map(({ round }) => round)).size;
  if (count === 1) return 'Measured once, so there are no intervals, and what is noise cannot be told.';
  const medians = `Medians of ${count} rounds; what is drawn around them is the median's 95 % interval.`;
  if (cells.every(({ percentiles }) => percentiles === undefined)) return medians;
  return `${medians} Percentiles are no medians but those of all rounds together; what is drawn around them is from round to round.`;
}
