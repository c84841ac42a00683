// The tables of docs/study.md, made from the JSON beside it: node scripts/study-tables.mjs. A test looks that they stand there.
import { readFileSync } from 'node:fs';
import process from 'node:process';

const folder = new URL('../docs/study/', import.meta.url);
const RUNTIMES = { node: 'Node', bun: 'Bun', deno: 'Deno' };

const read = (suite) => JSON.parse(readFileSync(new URL(`${suite}.json`, folder), 'utf8')).cells;
const round = (value) => (value >= 100 ? String(Math.round(value)) : String(Number(value.toPrecision(3))));
const millions = (value) => (value >= 1e6 ? `${round(value / 1e6)} M` : `${round(value / 1e3)} k`);
const interval = ({ median, low, high }) => `${round(median)} (${round(low)}–${round(high)})`;
const server = ({ transport, runtime, peer }) => peer ?? `\`${transport}\` on ${RUNTIMES[runtime]}`;

/** One row for each server, one column for each value of a dimension; the rows with the least first column first. */
function table(cells, corner, column, columns, text) {
  const lines = [...byServer(cells)].map(([name, own]) => {
    const found = columns.map((value) => own.find(({ dimensions }) => dimensions[column.dimension] === value));
    return { name, found };
  });
  lines.sort((a, b) => column.order(a.found[0]) - column.order(b.found[0]));
  return [
    `| ${[corner, ...columns.map(column.title)].join(' | ')} |`,
    `|${'---|'.repeat(columns.length + 1)}`,
    ...lines.map(({ name, found }) => `| ${[name, ...found.map((cell) => (cell ? text(cell) : '–'))].join(' | ')} |`),
  ].join('\n');
}

function byServer(cells) {
  const groups = new Map();
  for (const cell of cells) {
    const name = server(cell.dimensions);
    groups.set(name, [...(groups.get(name) ?? []), cell]);
  }
  return groups;
}

const cpu = ({ figures }) => interval(figures.serverMicrosPerOp);
const byBatch = {
  dimension: 'batch',
  title: (batch) => `batch ${batch}`,
  order: (cell) => cell.figures.serverMicrosPerOp.median,
};

const matrix = read('matrix');
const batches = [1, 16, 128, 512];
const throughput = ({ figures, generatorLimited }) =>
  (generatorLimited ? '≥ ' : '') + millions(figures.opsPerSecond.median);
const syscalls = read('syscalls').filter(({ dimensions }) => dimensions.operations === 2000);
const blocks = read('blocks').filter(({ dimensions }) => !dimensions.control);
const sizes = [4096, 64 * 1024, 256 * 1024, 1024 * 1024, 4 * 1024 * 1024];
const ofClient = (client) => blocks.filter(({ dimensions }) => dimensions.clientTransport === client);
const bySize = {
  dimension: 'valueSize',
  title: (bytes) =>
    bytes < 1024 ? `${bytes} B` : bytes < 1024 ** 2 ? `${bytes / 1024} KiB` : `${bytes / 1024 ** 2} MiB`,
  order: (cell) => cell.figures.serverMicrosPerOp.median,
};
const gigabytes = ({ figures }) => round(figures.valueBytesPerSecond.median / 1e9);

const tables = {
  'server CPU, µs per operation, medians and 95 % intervals': table(
    matrix.filter(({ dimensions }) => !dimensions.control),
    'server',
    byBatch,
    batches,
    cpu,
  ),
  'of bare echoes': table(
    matrix.filter(({ dimensions }) => dimensions.control),
    'echo',
    byBatch,
    batches,
    cpu,
  ),
  'operations a second': table(
    matrix.filter(({ dimensions }) => !dimensions.control),
    'server',
    byBatch,
    batches,
    throughput,
  ),
  'beside other servers, server CPU, µs per operation': table(read('peers'), 'server', byBatch, [1, 128], cpu),
  'system calls per operation': table(
    syscalls,
    'server',
    {
      dimension: 'operations',
      title: () => 'calls per operation',
      order: ({ figures }) => figures.serverCallsPerOp.median,
    },
    [2000],
    ({ figures }) => figures.serverCallsPerOp.median.toFixed(2),
  ),
  "GB/s of blocks, a client on Bun's sockets": table(ofClient('bun'), 'server', bySize, sizes, gigabytes),
  'GB/s of blocks, a client on a ring': table(ofClient('uring'), 'server', bySize, sizes, gigabytes),
};

for (const [name, text] of Object.entries(tables)) process.stdout.write(`${name}\n\n${text}\n\n`);
