/** The cells of suites that take few of them unless told otherwise. */
import type { RuntimeName } from '../../runtime/runtime.ts';
import type { TransportName } from '../../transports/transport.ts';
import { naturalTransport } from '../../transports/transports.ts';
import { cellLabel } from './cell.ts';
import { type Survey, selectCells } from './survey.ts';

/**
 * The cells that were asked for, as `selectCells` has them; without a word about transports, each runtime's own and the ring.
 * Throws likewise.
 */
export function selectServers(
  all: Survey,
  runtimes: readonly RuntimeName[],
  transports: readonly TransportName[] | undefined,
): Survey {
  if (transports !== undefined) return selectCells(all, runtimes, transports);
  const usual = (runtime: RuntimeName): readonly TransportName[] => [naturalTransport(runtime), 'uring'];
  const labels = new Set(
    runtimes.flatMap((runtime) => [runtime, ...usual(runtime).map((one) => cellLabel(one, runtime))]),
  );
  const chosen = selectCells(all, runtimes, runtimes.flatMap(usual));
  return {
    ...chosen,
    cells: chosen.cells.filter(({ runtime, transport }) => usual(runtime.name).includes(transport)),
    skipped: chosen.skipped.filter(({ label }) => labels.has(label)),
  };
}
