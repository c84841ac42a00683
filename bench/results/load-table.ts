/** What suites show of a server under load. */
import type { FigureColumn } from './cells-table.ts';
import { formatMicros, formatNumber } from './table.ts';

export const loadColumns: readonly FigureColumn[] = [
  { title: 'ops/s', figure: 'opsPerSecond', best: 'highest', format: formatNumber },
  { title: '', figure: 'opsPerSecond', bar: true, format: formatNumber },
  { title: 'server µs/op', figure: 'serverMicrosPerOp', best: 'lowest', format: formatNumber },
  { title: '', figure: 'serverMicrosPerOp', bar: true, format: formatNumber },
  { title: 'client µs/op', figure: 'generatorMicrosPerOp', format: formatNumber },
  { title: 'p50', figure: 'p50Micros', best: 'lowest', format: formatMicros },
  { title: 'p99', figure: 'p99Micros', best: 'lowest', format: formatMicros },
  { title: 'p99.9', figure: 'p999Micros', format: formatMicros },
];
