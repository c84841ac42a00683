/** The suite `syscalls` for people: a table for each run of operations, a row per cell, a column per system call. */
import { explainCells, type FigureColumn, renderCells } from '../../results/cells-table.ts';
import type { ReportCell } from '../../results/report.ts';
import { formatNumber } from '../../results/table.ts';
import { cellLabel } from '../../servers/cell.ts';
import type { SyscallsFlags, SyscallsReport } from './syscalls.ts';
import { COUNTED, OTHER } from './tracer.ts';

/** A call gets a column when some cell makes it this often. Unit: calls per operation. */
const SHOWN_CALLS_PER_OP_MIN = 0.005;

const timeColumns: readonly FigureColumn[] = [
  { title: 'elapsed µs/op', figure: 'elapsedMicrosPerOp', best: 'lowest', format: formatNumber },
  { title: 'user', figure: 'serverUserMicrosPerOp', format: formatNumber },
  { title: 'system', figure: 'serverSystemMicrosPerOp', format: formatNumber },
  { title: 'waits', figure: 'voluntarySwitchesPerOp', format: formatCalls },
  { title: 'preempted', figure: 'involuntarySwitchesPerOp', format: formatCalls },
];

/** The tables, and how to read them. */
export function formatSyscalls({ cells, tool }: SyscallsReport, flags: SyscallsFlags): string {
  const { keys, valueSize, rounds } = flags;
  const titles = [...new Set(cells.map(groupTitle))];
  return [
    `95 % GET, 5 % SET, one operation per frame, ${keys} keys, values of ${valueSize} bytes, ${rounds} round${rounds === 1 ? '' : 's'}\n`,
    ...titles.map((title) => {
      const group = cells.filter((cell) => groupTitle(cell) === title);
      return `\n${title}\n${renderCells({ label: serverLabel, columns: [...timeColumns, ...callColumns('server', group)], cells: group })}`;
    }),
    ...clientTables(cells),
    '\nUser, system, waits (voluntary context switches) and preempted (involuntary ones): of the server, per operation. Then system calls per operation.\n',
    `Times were measured with nothing attached; calls were counted in a second run, by ${tool}, in which operations took ${formatSlowdowns(cells)} times as long.\n`,
    explainCells(cells),
  ].join('');
}

/** What the clients ask for in the longest runs: it hardly depends on the server. */
function clientTables(cells: readonly ReportCell[]): readonly string[] {
  const most = Math.max(...cells.map(({ dimensions }) => dimensions.operations!));
  const longest = cells.filter(({ dimensions }) => dimensions.operations === most);
  return [...new Set(longest.map(groupTitle))].map((title) => {
    const group = longest.filter((cell) => groupTitle(cell) === title);
    const columns: FigureColumn[] = [
      { title: 'client µs/op', figure: 'generatorMicrosPerOp', format: formatNumber },
      ...callColumns('client', group),
    ];
    const label = (cell: ReportCell): string => {
      const { clientTransport, clientRuntime } = cell.dimensions;
      return `${cellLabel(clientTransport!, clientRuntime!)} > ${serverLabel(cell)}`;
    };
    return `\nthe client, ${title}\n${renderCells({ label, columns, cells: group, namesClient: () => false })}`;
  });
}

function callColumns(side: 'server' | 'client', cells: readonly ReportCell[]): readonly FigureColumn[] {
  const perOp = (cell: ReportCell, name: string): number => cell.figures[`${side}CallsPerOp.${name}`]!.median;
  const shown = [...COUNTED, OTHER].filter((name) => cells.some((cell) => perOp(cell, name) >= SHOWN_CALLS_PER_OP_MIN));
  return [
    { title: 'calls/op', figure: `${side}CallsPerOp`, best: 'lowest', format: formatCalls },
    ...shown.map((name) => ({ title: name, figure: (cell: ReportCell) => perOp(cell, name), format: formatCalls })),
  ];
}

function groupTitle({ dimensions }: ReportCell): string {
  const { operations, order, connections } = dimensions;
  return `${operations} operations, ${order}, ${connections} connection${connections === 1 ? '' : 's'}`;
}

function serverLabel({ dimensions }: ReportCell): string {
  return cellLabel(dimensions.transport!, dimensions.runtime!);
}

/** Three digits that count say nothing of a few calls among thousands of operations. */
function formatCalls(perOp: number): string {
  return perOp.toFixed(2);
}

/** The least and the greatest of the medians. */
function formatSlowdowns(cells: readonly ReportCell[]): string {
  const slowdowns = cells.map(({ figures }) => figures.tracedSlowdown!.median);
  const [least, greatest] = [Math.min(...slowdowns), Math.max(...slowdowns)].map((one) => one.toFixed(1));
  return least === greatest ? `${least}` : `${least} to ${greatest}`;
}
