/** Names of clients, for tables and sections whose cells are not all reached by the same one: it is part of what comes out. */
import { cellLabel } from '../servers/cell.ts';
import type { ReportCell } from './report.ts';

/** `uring on bun`; undefined where the cell says nothing of a client, as that of a store without a network. */
export function clientLabel({ dimensions: { clientTransport, clientRuntime } }: ReportCell): string | undefined {
  if (clientTransport === undefined || clientRuntime === undefined) return undefined;
  return cellLabel(clientTransport, clientRuntime);
}

/** What stands behind a cell's name: ` < uring on bun` where these cells have several clients, else nothing. */
export function clientMark(cells: readonly ReportCell[]): (cell: ReportCell) => string {
  const clients = new Set(cells.map(clientLabel).filter((label) => label !== undefined));
  return (cell) => {
    const label = clientLabel(cell);
    return clients.size < 2 || label === undefined ? '' : ` < ${label}`;
  };
}
