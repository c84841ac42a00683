import { heatMap } from '../charts/heat-map.ts';
import type { SectionKind } from './section.ts';

export const logSection: SectionKind = {
  title: 'Durability',
  about:
    'What making writes durable costs, by policy: synced before they are answered, about every second, when the system likes, or no log at all. Rows that name no other server are ringkv.',
  charts: ({ cells }) => [
    heatMap(cells, {
      id: 'log-heat',
      title: 'Acknowledged operations, and what they take',
      about: 'Best row first. The darker, the further from the best of the column.',
      column: 'batch',
      figures: ['opsPerSecond', 'serverMicrosPerOp', 'p50Micros', 'p99Micros'],
    }),
  ],
};
