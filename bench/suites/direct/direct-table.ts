/** The suite `direct` for people: a table for each operation, a row per store. */
import { explainCells, renderCells } from '../../results/cells-table.ts';
import type { Report, ReportCell } from '../../results/report.ts';
import { explainSequential, sequentialColumns, titleOf } from '../../results/sequential-table.ts';
import { formatNumber } from '../../results/table.ts';
import type { DirectFlags } from './direct.ts';

/** The tables, and how to read them. */
export function formatDirect({ cells }: Report, flags: DirectFlags): string {
  const { operations, valueSize, rounds, seconds } = flags;
  return [
    `one operation after the other, values of ${valueSize} bytes; ${rounds} × ${seconds} s\n`,
    ...operations.flatMap((operation) => {
      const shown = cells.filter(({ dimensions }) => dimensions.workload === operation);
      if (shown.length === 0) return [];
      const table = renderCells({
        label: rowLabel,
        columns: [
          ...sequentialColumns,
          { title: '× tcp', figure: 'networkFactor', best: 'highest', format: formatNumber },
          { title: 'CPU µs/op', figure: 'generatorMicrosPerOp', format: formatNumber },
        ],
        cells: shown,
        compared: ({ dimensions }) => dimensions.store === 'direct',
        // Each runtime's own.
        namesClient: () => false,
      });
      return [`\n${titleOf(operation)}\n${table}`];
    }),
    '\n× tcp: how many times the operations per second of a client and a server of the same runtime over TCP.\n',
    explainSequential(cells),
    explainCells(cells),
  ].join('');
}

function rowLabel({ dimensions }: ReportCell): string {
  const { store, engine, runtime, keys } = dimensions;
  return `${keys} keys, ${store === 'tcp' ? 'tcp' : engine} on ${runtime}`;
}
