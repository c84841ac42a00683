/** The small suites: what a server costs before and beside its work. */
import { where } from '../cells.ts';
import { figureBars } from '../charts/bars.ts';
import { percentileCurves } from '../charts/curves.ts';
import type { SectionKind } from './section.ts';

export const connectionsSection: SectionKind = {
  title: 'Many connections',
  about: 'Thousands of connections, idle first, then with one operation a second each.',
  charts: ({ cells }) => [
    percentileCurves(cells, {
      id: 'connections-percentiles',
      title: 'Latency from the time an operation was due',
      about: 'An open loop, so a server that stalls is charged for all that was due meanwhile.',
      panel: 'runtime',
    }),
    figureBars(cells, 'serverMicrosPerOp', {
      id: 'connections-cpu',
      title: 'Server CPU per operation',
      about: 'With few operations in a turn, each costs more than in the matrix.',
    }),
    figureBars(cells, 'bytesPerConnection', {
      id: 'connections-memory',
      title: 'Memory per connection',
      about: 'Of the server in RAM, beyond that before the first connection.',
    }),
  ],
};

export const engineSection: SectionKind = {
  title: 'The engines alone',
  about: 'Batches of YCSB-B in one process, without protocol handling of connections and without a network.',
  charts: ({ cells }) => [
    figureBars(where(cells, { phase: 'run' }), 'opsPerSecond', {
      id: 'engine-throughput',
      title: 'Operations per second',
      about: 'Shortest bar first: the longer, the better.',
    }),
    figureBars(where(cells, { phase: 'run' }), 'overheadBytesPerKey', {
      id: 'engine-memory',
      title: 'Memory per key',
      about: 'Beyond the bytes of key and value.',
    }),
  ],
};

export const startSection: SectionKind = {
  title: 'Start',
  about: 'From being started to accepting connections.',
  charts: ({ cells }) => [
    figureBars(cells, 'readyMillis', { id: 'start-ready', title: 'Time until ready', about: 'Until the ready line.' }),
  ],
};
