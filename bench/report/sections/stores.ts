/** The suites that grow a store: without a network, through one client, and writes alone. */
import { servers, valuesOf, where } from '../cells.ts';
import { curves, percentileCurves } from '../charts/curves.ts';
import { heatMap } from '../charts/heat-map.ts';
import type { SectionKind } from './section.ts';

const byKeys = { x: 'keys', xScale: 'band', panel: 'runtime' } as const;

export const directSection: SectionKind = {
  title: 'The store without a network',
  about: 'One operation after the other on a store in the same process, and the same through a client and a server.',
  charts: ({ cells }) => [
    ...['get', 'set'].map((workload) =>
      curves(where(cells, { workload }), {
        ...byKeys,
        id: `direct-${workload}`,
        title: `Operations per second, ${workload}`,
        about: 'By the number of keys in the store.',
        figure: 'opsPerSecond',
        yScale: 'log',
      }),
    ),
    heatMap(where(cells, { store: 'direct' }), {
      id: 'direct-factor',
      title: 'What the network costs',
      about: 'How many times more operations a second a store in the same process does than one behind a client.',
      column: 'keys',
      figures: ['networkFactor', 'meanMicros', 'standardDeviationMicros'],
    }),
  ],
};

export const tcpSection: SectionKind = {
  title: 'One client, one operation at a time',
  about: 'The round trip: nothing else is in flight.',
  charts: ({ cells }) => {
    const largest = valuesOf(cells, 'keys').at(-1);
    return [
      curves(where(cells, { workload: 'get' }), {
        ...byKeys,
        id: 'tcp-get',
        title: 'Mean time of a get',
        about: 'By the number of keys in the store.',
        figure: 'meanMicros',
        yScale: 'linear',
      }),
      heatMap(where(cells, { keys: Number(largest) }), {
        id: 'tcp-heat',
        title: `Operations, with ${Number(largest).toLocaleString('en')} keys`,
        about: 'Best row first. The darker, the further from the best of the column.',
        column: 'workload',
        figures: ['meanMicros', 'standardDeviationMicros', 'opsPerSecond', 'serverMicrosPerOp'],
      }),
      percentileCurves(where(cells, { keys: Number(largest), workload: 'get' }), {
        id: 'tcp-percentiles',
        title: 'Latency of a get',
        about: `With ${Number(largest).toLocaleString('en')} keys.`,
        panel: 'runtime',
      }),
    ];
  },
};

export const writesSection: SectionKind = {
  title: 'Writes against store size',
  about: 'How much slower a write gets as the store grows.',
  charts: ({ cells }) => [
    curves(servers(cells), {
      ...byKeys,
      id: 'writes-throughput',
      title: 'Writes per second',
      about: 'By the number of keys in the store.',
      figure: 'opsPerSecond',
      yScale: 'log',
    }),
    curves(servers(cells), {
      ...byKeys,
      id: 'writes-cpu',
      title: 'Server CPU per write',
      about: 'By the number of keys in the store.',
      figure: 'serverMicrosPerOp',
      yScale: 'linear',
    }),
  ],
};
