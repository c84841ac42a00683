/** The suite `blocks` for people: a table for each operation and length, a row for each server and client. */

import { formatSize } from '../../../runtime/command/flags.ts';
import type { Report, ReportCell } from '../../results/report.ts';
import { BEST_MARK, BOUND_MARK, type Cell, type Column, formatNumber, renderTable } from '../../results/table.ts';
import { cellLabel } from '../../servers/cell.ts';
import { CLOSE_SHARE, FULL_CORE, NEAR_ECHO_SHARE, PARTS } from './attribution.ts';
import type { BlocksFlags } from './blocks.ts';
import { attributionOf, controlOf, PART_NAMES } from './conclude.ts';

const head: readonly Column[] = [
  { title: '' },
  { title: 'GB/s', best: 'highest' },
  { title: 'echo' },
  { title: 'send µs', best: 'lowest' },
  { title: '±' },
  { title: 'p50 µs', best: 'lowest' },
  { title: 'p99 µs', best: 'lowest' },
  { title: 'server µs', best: 'lowest' },
  { title: 'client µs', best: 'lowest' },
  { title: 'calls' },
  { title: 'copies' },
  { title: 'server' },
  { title: 'client' },
  { title: 'bound by' },
];

/** The tables, and how to read them. */
export function formatBlocks({ cells }: Report, flags: BlocksFlags): string {
  const { connections, depth, keys, rounds, seconds } = flags;
  const shown = cells.filter(({ dimensions }) => dimensions.control !== true);
  const titles = [...new Set(shown.map(groupTitle))];
  const percent = (share: number): string => `${Math.round(share * 100)} %`;
  return [
    `${keys} keys, ${connections} connection${connections === 1 ? '' : 's'} with ${depth} block${depth === 1 ? '' : 's'} in flight, `,
    `${rounds} round${rounds === 1 ? '' : 's'} of ${seconds} s\n`,
    ...titles.map((title) => {
      const group = shown.filter((cell) => groupTitle(cell) === title);
      return `\n${title}\n${renderTable(
        head,
        group.map((cell) => row(cell, cells)),
      )}`;
    }),
    '\nserver < client. Send: from handing the request to the client to the last byte of the reply, mean and standard deviation ±.\n',
    'Server and client µs: CPU time per block. Echo: GB/s of a bare echo of as many bytes on the same transports.\n',
    'Calls, copies, server, client: how the time of a block is put together, and the greatest of them, which it is bound by:\n',
    'calls: system time of an echo without a block, and waiting to be woken; copies: what the bytes add to the bare echo;\n',
    'server and client: their own time in that echo, and what they need beyond the bare echo of as many bytes.\n',
    `~ the next is within ${percent(CLOSE_SHARE)}. Copies are the limit only from ${percent(NEAR_ECHO_SHARE)} of the echo's GB/s on. Where one side has ${percent(FULL_CORE)} of a core and the other\n`,
    'has not, only its parts count. The JSON says all this of every cell in a line: notes.attribution.\n',
    `${BEST_MARK} best of its column. Medians over the rounds; percentiles, mean and deviation are of the blocks.\n`,
    ...(shown.some(({ generatorLimited }) => generatorLimited)
      ? [`${BOUND_MARK} The client had no CPU left: the server can do at least this much.\n`]
      : []),
  ].join('');
}

function groupTitle({ dimensions }: ReportCell): string {
  return `${dimensions.workload} of ${formatSize(dimensions.valueSize!)}`;
}

function row(cell: ReportCell, cells: readonly ReportCell[]): readonly Cell[] {
  const { dimensions, figures, percentiles, generatorLimited } = cell;
  const server = cellLabel(dimensions.transport!, dimensions.runtime!);
  const client = cellLabel(dimensions.clientTransport!, dimensions.clientRuntime!);
  const micros = (value: number): Cell => ({ text: formatNumber(value), value });
  const gigabytes = (one: ReportCell): number => one.figures.valueBytesPerSecond!.median / 1e9;
  const echo = controlOf(cell, cells);
  const found = attributionOf(cell, cells);
  return [
    { text: `${server} < ${client}` },
    {
      text: `${generatorLimited === true ? `${BOUND_MARK} ` : ''}${formatNumber(gigabytes(cell))}`,
      value: gigabytes(cell),
    },
    { text: echo === undefined ? '' : formatNumber(gigabytes(echo)) },
    micros(figures.sendMeanMicros!.median),
    { text: formatNumber(figures.sendDeviationMicros!.median) },
    micros(percentiles!.p50Micros),
    micros(percentiles!.p99Micros),
    micros(figures.serverMicrosPerOp!.median),
    micros(figures.generatorMicrosPerOp!.median),
    ...PARTS.map((part) => ({ text: found === undefined ? '' : `${Math.round(found.shares[part] * 100)} %` })),
    { text: found === undefined ? '' : `${found.closeTo === undefined ? '' : '~ '}${PART_NAMES[found.bound]}` },
  ];
}
