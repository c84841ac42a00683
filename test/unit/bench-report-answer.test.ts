/** The report's sentences say what the data shows, no more: on reports that are made up. */
import { describe, expect, test } from 'vitest';
import { answer } from '../../bench/report/answer.ts';
import { list, times } from '../../bench/report/words.ts';
import type { Report } from '../../bench/results/report.ts';
import { around, type Made, reportOf } from '../support/reports.ts';

interface Server {
  readonly transport: string;
  readonly runtime: string;
  readonly control?: boolean;
}

const uringBun: Server = { transport: 'uring', runtime: 'bun' };
const bunBun: Server = { transport: 'bun', runtime: 'bun' };
const nodeNode: Server = { transport: 'node', runtime: 'node' };

/** A cell of the matrix that needs so much CPU time per operation. */
function cell(server: Server, batch: number, micros: readonly number[], others: Made['figures'] = {}): Made {
  return {
    dimensions: { control: false, ...server, batch, connections: 50, clientTransport: 'bun' },
    figures: { serverMicrosPerOp: micros, opsPerSecond: micros.map((one) => 500_000 / one), ...others },
  };
}

function sentencesOf(...reports: readonly Report[]): Readonly<Record<string, readonly string[]>> {
  return Object.fromEntries(answer(reports).map(({ question, sentences }) => [question, sentences]));
}

describe('matrix', () => {
  test('a clear order is told with its ratios', () => {
    const report = reportOf('matrix', [
      cell(uringBun, 128, around(0.14)),
      cell(bunBun, 128, around(0.21)),
      cell(nodeNode, 128, around(0.42)),
    ]);
    const said = sentencesOf(report);
    expect(said['Which backend']).toEqual([
      'On this machine, at batch 128, uring on Bun needs 0.140 µs of server CPU per operation, the least of 3 servers: ' +
        '1.5 times less than bun on Bun (0.211 µs) and 3.0 times less than node on Node (0.421 µs).',
      "On Bun, uring needs 1.5 times less at batch 128 than the runtime's own sockets.",
    ]);
    expect(said['How much']).toEqual(['The most operations per second were 3.56 M, of uring on Bun at batch 128.']);
    // There is one batch size, one runtime with the ring, no control: nothing to say of batches, runtimes and reasons.
    expect(Object.keys(said)).toEqual(['Which backend', 'How much']);
  });

  test('what does not differ is told as that, and nothing of an order within', () => {
    const report = reportOf('matrix', [
      cell(uringBun, 128, around(0.14)),
      cell(bunBun, 128, around(0.142)),
      cell(nodeNode, 128, around(0.42)),
    ]);
    expect(sentencesOf(report)['Which backend']).toEqual([
      'On this machine, at batch 128, uring on Bun needs 0.140 µs of server CPU per operation, 3.0 times less than ' +
        'node on Node (0.421 µs). Between it and bun on Bun there is no difference.',
      "On Bun, there is no difference between uring and the runtime's own sockets at batch 128.",
    ]);
  });

  test('when nothing differs, nobody is said to need the least', () => {
    const report = reportOf('matrix', [cell(uringBun, 1, around(6)), cell(nodeNode, 1, around(6.1))]);
    expect(sentencesOf(report)['Which backend']).toEqual([
      'On this machine, at batch 1, uring on Bun needs 6.02 µs of server CPU per operation. Between it and node on Node ' +
        'there is no difference.',
    ]);
  });

  test('those that do not differ from the best are not said to be like each other', () => {
    const report = reportOf('matrix', [
      cell(uringBun, 1, around(6)),
      cell(bunBun, 1, around(6.1)),
      cell(nodeNode, 1, around(6.2)),
    ]);
    expect(sentencesOf(report)['Which backend']![0]).toBe(
      'On this machine, at batch 1, uring on Bun needs 6.02 µs of server CPU per operation. Between it and bun on Bun and ' +
        'node on Node there is no difference.',
    );
  });

  test('no order is told where the rounds say another than the medians', () => {
    // The medians are 6 and 7, and in two of three rounds the second needs less.
    const report = reportOf('matrix', [cell(uringBun, 1, [6, 5, 9]), cell(nodeNode, 1, [7, 4, 8])]);
    expect(sentencesOf(report)['Which backend']).toEqual([
      'On this machine, at batch 1, uring on Bun needs 6.00 µs of server CPU per operation. Between it and node on Node no ' +
        'order can be told. With fewer than 5 rounds it may be noise.',
    ]);
  });

  test('noise that is wider than the difference is no difference', () => {
    const noisy = (value: number): readonly number[] => [1, 2.2, 0.6, 1.9, 0.5, 1.4, 2.5].map((one) => one * value);
    const report = reportOf('matrix', [cell(uringBun, 1, noisy(6)), cell(nodeNode, 1, [...noisy(8)].reverse())]);
    expect(sentencesOf(report)['Which backend']?.[0]).toContain('there is no difference');
  });

  test('few rounds are said to be few', () => {
    const report = reportOf('matrix', [cell(uringBun, 1, [6]), cell(bunBun, 1, [9])]);
    const sentences = sentencesOf(report)['Which backend']!;
    expect(sentences.at(-1)).toBe('There were fewer than 5 rounds, so all of this may be noise.');
    expect(sentences.slice(0, -1).filter((sentence) => sentence.includes('noise'))).toEqual([]);
  });

  test('a server alone is compared with nothing', () => {
    const report = reportOf('matrix', [cell(uringBun, 16, around(0.5))]);
    expect(sentencesOf(report)['Which backend']).toEqual([
      'On this machine, at batch 16, uring on Bun needs 0.501 µs of server CPU per operation; nothing was measured beside it.',
    ]);
  });

  test('where the ring costs more, or the largest batch gains nothing, that is said', () => {
    const report = reportOf('matrix', [
      cell(uringBun, 1, around(9)),
      cell(bunBun, 1, around(6)),
      cell(uringBun, 128, around(0.1)),
      cell(bunBun, 128, around(0.2)),
      cell(uringBun, 512, around(0.1)),
      cell(bunBun, 512, around(0.1)),
    ]);
    const said = sentencesOf(report);
    expect(said['Which backend']).toContain(
      "On Bun, uring needs 2.0 times less at batch 128 and 1.5 times more at batch 1 than the runtime's own sockets; at batch 512 there is no difference.",
    );
    expect(said['Which batch']).toEqual([
      'From batch 1 to 128, an operation of uring on Bun gets 90 times cheaper: 9.03 µs to 0.100 µs.',
      'From batch 128 to 512 there is no difference in what an operation of uring on Bun costs.',
    ]);
  });

  test('runtimes are compared by the same transport', () => {
    const on = (runtime: string): Server => ({ transport: 'uring', runtime });
    const report = reportOf('matrix', [
      cell(on('bun'), 128, around(0.14)),
      cell(on('node'), 128, around(0.14)),
      cell(on('deno'), 128, around(0.21)),
    ]);
    expect(sentencesOf(report)['Which runtime']).toEqual([
      'With the transport uring at batch 128, Bun needs 0.140 µs of server CPU per operation, 1.5 times less than Deno ' +
        '(0.211 µs). Between it and Node there is no difference.',
    ]);
  });

  test('the controls say what the transport alone costs', () => {
    const echo = { ...uringBun, control: true };
    const report = reportOf('matrix', [
      cell(uringBun, 1, around(6)),
      cell(echo, 1, around(5.9)),
      cell(uringBun, 512, around(0.1)),
      cell(echo, 512, around(0.03)),
    ]);
    const said = sentencesOf(report);
    expect(said.Why).toEqual([
      'A bare echo over the transport of uring on Bun shows what the transport alone costs: at batch 1 it takes 98 % ' +
        "(not told apart from all) and at batch 512 it takes 30 % of the server's CPU time. So what carries the bytes " +
        'decides at batch 1 and engine and protocol decide at batch 512.',
    ]);
    // The echo is cheaper, and no server.
    expect(said['Which backend']![0]).toContain('nothing was measured beside it');
  });

  test('noise around a control that is small makes it no large one', () => {
    const noisy = (value: number): readonly number[] => [1, 12, 0.6, 9, 0.5, 1.4, 2.5].map((one) => one * value);
    const report = reportOf('matrix', [
      cell(uringBun, 1, noisy(6)),
      cell({ ...uringBun, control: true }, 1, [...noisy(2)].reverse()),
    ]);
    expect(sentencesOf(report).Why).toEqual([
      'A bare echo over the transport of uring on Bun shows what the transport alone costs: at batch 1 it takes 33 % ' +
        "(not told apart from all) of the server's CPU time.",
    ]);
  });

  test('throughput that the generator limited is a bound', () => {
    const report = reportOf('matrix', [
      cell(uringBun, 128, around(0.14), { generatorCores: around(0.97) }),
      cell(bunBun, 128, around(0.21), { generatorCores: around(0.6) }),
    ]);
    expect(sentencesOf(report)['How much']).toEqual([
      'The most operations per second were at least 3.56 M, of uring on Bun at batch 128.',
      'In 1 of 2 cells the load generator had no CPU left: their throughput is a lower bound of what the server can do. ' +
        'CPU time per operation still counts.',
    ]);
  });
});

describe('the other suites', () => {
  test('system calls per operation', () => {
    const made = (server: Server, operations: number, calls: number): Made => ({
      dimensions: { ...server, operations, connections: 1, order: 'random' },
      figures: { serverCallsPerOp: around(calls) },
    });
    const report = reportOf('syscalls', [
      made(uringBun, 500, 1.5),
      made(bunBun, 500, 1.1),
      made(uringBun, 2000, 1),
      made(bunBun, 2000, 3),
    ]);
    expect(sentencesOf(report)).toEqual({
      Why: [
        'For one operation after the other over 1 connection, uring on Bun makes 1.00 system calls per operation, the least ' +
          'of 2 servers: 3.0 times less than bun on Bun (3.01).',
      ],
    });
  });

  test('blocks, by what the suite concluded', () => {
    const made = (server: Server, valueSize: number, attribution: string): Made => ({
      dimensions: { ...server, valueSize, workload: 'set', clientTransport: 'bun' },
      figures: { valueBytesPerSecond: around(1e9) },
      notes: { bound: attribution, attribution: `bound by ${attribution}` },
    });
    const report = reportOf('blocks', [
      made(uringBun, 64, 'syscalls'),
      made(bunBun, 64, 'syscalls'),
      made(uringBun, 4096, 'syscalls'),
      made(bunBun, 4096, 'memory copies'),
      made(uringBun, 1 << 20, 'memory copies'),
      made(bunBun, 1 << 20, 'memory copies'),
    ]);
    expect(sentencesOf(report).Why).toEqual([
      'In set with uring on Bun, blocks of 64 B to 4 KiB are bound by syscalls and those of 1 MiB by memory copies.',
      'In set with bun on Bun, blocks of 64 B are bound by syscalls and those of 4 KiB to 1 MiB by memory copies.',
    ]);
  });

  test('the highest rate below the limit, of those that kept it', () => {
    const made = (server: Server, rate: number, p99Micros: number): Made => ({
      dimensions: { ...server, rate },
      figures: { opsPerSecond: around(rate), p99Micros: around(p99Micros) },
    });
    const report = reportOf('rate', [
      made(uringBun, 100_000, 300),
      made(uringBun, 200_000, 900),
      made(uringBun, 300_000, 4000),
      made(bunBun, 100_000, 500),
      made(bunBun, 200_000, 1500),
      made(nodeNode, 100_000, 2000),
    ]);
    expect(sentencesOf(report)['How much']).toEqual([
      'The highest rates that were measured with p99 below 1 ms, in operations per second: 201 k (uring on Bun) and 100 k (bun on Bun).',
    ]);
  });

  test('a rate above which the generator was the limit is a bound', () => {
    const made = (rate: number, p99Micros: number, notes: Record<string, string> = {}): Made => ({
      dimensions: { ...uringBun, rate },
      figures: { opsPerSecond: around(rate), p99Micros: around(p99Micros) },
      notes,
    });
    const report = reportOf('rate', [made(100_000, 300), made(200_000, 4000, { limit: 'generator' })]);
    expect(sentencesOf(report)['How much']).toEqual([
      'The highest rates that were measured with p99 below 1 ms, in operations per second: at least 100 k (uring on Bun).',
    ]);
  });

  test('other servers, beside the best of ours', () => {
    const made = (dimensions: Made['dimensions'], micros: number): Made => ({
      dimensions,
      figures: { serverMicrosPerOp: around(micros) },
    });
    const report = reportOf('peers', [
      made({ peer: 'redis', batch: 1 }, 6),
      made({ peer: null, ...uringBun, batch: 1 }, 6.1),
      made({ peer: null, ...nodeNode, batch: 1 }, 8),
      made({ peer: 'redis', batch: 128 }, 0.48),
      made({ peer: null, ...uringBun, batch: 128 }, 0.16),
      made({ peer: null, ...nodeNode, batch: 128 }, 0.2),
    ]);
    expect(sentencesOf(report)['Beside other servers']).toEqual([
      'Of server CPU per operation, redis needs 3.0 times more than uring on Bun at batch 128 (0.481 µs, not 0.160 µs); there is ' +
        'no difference to uring on Bun at batch 1.',
    ]);
  });

  test('what more servers give', () => {
    const made = (servers: number, generators: number, ops: number): Made => ({
      dimensions: { ...uringBun, servers, generators },
      figures: { opsPerSecond: around(ops) },
    });
    const report = reportOf('scale', [
      made(1, 1, 2e6),
      made(1, 2, 1.8e6),
      made(2, 1, 1.5e6),
      made(2, 2, 3e6),
      made(4, 2, 2e6),
    ]);
    expect(sentencesOf(report)['How much']).toEqual([
      'Of uring on Bun, one server does 2.01 M operations per second; 2 give 1.5 times as much (75 % of linear) and 4 give no more.',
    ]);
  });

  test('a write as the store grows', () => {
    const made = (server: Server, keys: number, ops: number): Made => ({
      dimensions: { ...server, keys },
      figures: { opsPerSecond: around(ops) },
    });
    const report = reportOf('writes', [
      made(uringBun, 100, 3e6),
      made(uringBun, 1e6, 2e6),
      made(bunBun, 100, 1e6),
      made(bunBun, 1e6, 1e6),
    ]);
    expect(sentencesOf(report)['As the store grows']).toEqual([
      'From 100 to 1M keys, a write gets 1.5 times slower on uring on Bun and no slower on bun on Bun.',
    ]);
  });

  test('what has not the figures, and what is not known, says nothing', () => {
    const empty = { dimensions: { ...uringBun, batch: 1 }, figures: { somethingElse: around(1) } };
    const names = [
      'matrix',
      'syscalls',
      'blocks',
      'rate',
      'peers',
      'ycsb',
      'scale',
      'tcp',
      'direct',
      'writes',
      'tomorrow',
    ];
    for (const name of [...names, 'constructor', '__proto__'])
      expect(answer([reportOf(name, [empty])]), name).toEqual([]);
    expect(answer([])).toEqual([]);
  });
});

test('words', () => {
  expect(list([])).toBe('');
  expect(list(['a'])).toBe('a');
  expect(list(['a', 'b', 'c'])).toBe('a, b and c');
  expect(list(['a', 'b', 'c', 'd'], 3)).toBe('a, b and 2 more');
  expect([times(1.5), times(0.5), times(44.4), times(1.06)]).toEqual([
    '1.5 times',
    '2.0 times',
    '44 times',
    '1.06 times',
  ]);
});
