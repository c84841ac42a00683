/** The suites of the benchmark that measure stores: one operation after the other, YCSB's, with a log; as a user runs them, small. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test, vi } from 'vitest';
import type { Report, ReportRound } from '../../bench/results/report.ts';
import { readReport } from '../../bench/results/validate.ts';
import type { SweepOwn } from '../../bench/suites/sweep/sweep.ts';
import type { WritesOwn } from '../../bench/suites/writes/writes.ts';
import type { YcsbReport } from '../../bench/suites/ycsb/ycsb.ts';
import { run } from '../support/command.ts';

/** What measures several cells takes its time where others work, too. */
vi.setConfig({ testTimeout: 180_000 });

const folder = mkdtempSync(join(tmpdir(), 'ringkv-bench-stores-'));

afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function bench(suite: string, args: readonly string[]): Promise<{ file: string; stdout: string }> {
  const file = join(folder, `${suite}-${args.length}.json`);
  const { code, stdout, stderr } = await run(['bench', suite, ...args, '--json', file]);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  return { file, stdout };
}

/** What times must be, however busy the machine is. */
function expectTimes({ figures, percentiles }: ReportRound): void {
  const { meanMicros, standardDeviationMicros, minMicros, maxMicros } = figures;
  expect(minMicros).toBeGreaterThan(0);
  expect(meanMicros).toBeGreaterThanOrEqual(minMicros!);
  expect(meanMicros).toBeLessThanOrEqual(maxMicros!);
  expect(standardDeviationMicros).toBeGreaterThan(0);
  expect(standardDeviationMicros).toBeLessThanOrEqual(maxMicros!);
  // Three digits of a histogram.
  expect(percentiles!.p50Micros).toBeGreaterThanOrEqual(minMicros! * 0.998);
  expect(percentiles!.p9999Micros).toBeGreaterThanOrEqual(percentiles!.p50Micros);
  expect(percentiles!.maxMicros / maxMicros!).toBeCloseTo(1, 2);
}

test('direct tells what a store costs, and what the network adds', async () => {
  const args = ['--runtimes', 'node', '--sizes', '0,1k', '--seconds', '0.1', '--rounds', '2'];
  const { file, stdout } = await bench('direct', args);
  const { rounds, cells, flags } = readReport(file);
  expect(flags).toMatchObject({
    sizes: [0, 1000],
    engines: ['swiss', 'map'],
    operations: ['get', 'miss', 'set', 'churn'],
  });
  // Two engines and a server, twice; without keys there is nothing to get or to set.
  expect(rounds).toHaveLength(2 * 3 * (2 + 4));
  for (const one of rounds) {
    const { store, keys, workload } = one.dimensions;
    expectTimes(one);
    expect(one.figures.opsPerSecond).toBeGreaterThan(0);
    expect(one.figures.samples).toBeGreaterThan(0);
    expect(one.figures.clockMicros).toBeGreaterThan(0);
    expect(one.figures.clockStepMicros).toBeGreaterThan(0);
    expect(one.figures.serverMicrosPerOp! > 0).toBe(store === 'tcp');
    if (keys === 0) expect(['miss', 'churn']).toContain(workload);
  }
  for (const { dimensions, figures } of cells) {
    if (dimensions.store !== 'direct') expect(figures).not.toHaveProperty('networkFactor');
    else {
      const server = cells.find(
        (one) =>
          one.dimensions.store === 'tcp' &&
          one.dimensions.keys === dimensions.keys &&
          one.dimensions.workload === dimensions.workload,
      );
      const ratio = figures.opsPerSecond!.median / server!.figures.opsPerSecond!.median;
      expect(figures.networkFactor!.median).toBeCloseTo(ratio, 10);
      // A round trip takes more than a call, on any machine.
      if (dimensions.engine === 'swiss') expect(figures.networkFactor!.median).toBeGreaterThan(1);
    }
  }
  expect(stdout).toMatch(/^1000 keys, swiss on node +\d/m);
  expect(stdout).toMatch(/^0 keys, tcp on node +\d/m);
  expect(stdout).toMatch(/reading the clock takes: [\d.]+ (µs|ms)/);
});

test('direct skips what memory does not allow, and says how much it takes', async () => {
  const args = ['--runtimes', 'node', '--engines', 'swiss', '--operations', 'get', '--value-size', '100k'];
  const { file, stdout } = await bench('direct', [...args, '--sizes', '10,50m', '--seconds', '0.1', '--rounds', '1']);
  const { skipped, cells } = readReport(file);
  expect(skipped.map(({ label }) => label)).toContain('swiss, 50000000 keys');
  expect(cells.map(({ dimensions }) => dimensions.keys)).toEqual([10, 10]);
  expect(stdout).toMatch(/^skipped swiss, 50000000 keys: 50000000 keys take some \d+m in the engine swiss; /m);
});

test('tcp tells the round trip through each transport', async () => {
  const args = ['--runtimes', 'node', '--transports', 'node,uws', '--operations', 'get,miss', '--generator', 'node'];
  const { file, stdout } = await bench('tcp', [...args, '--sizes', '0,500', '--seconds', '0.2', '--rounds', '1']);
  const { rounds, skipped } = readReport(file);
  const transports = ['node', 'uws'].filter((name) => !skipped.some(({ label }) => label === `${name} on node`));
  expect(rounds).toHaveLength(3 * transports.length);
  for (const one of rounds) {
    expectTimes(one);
    expect(one.figures.serverMicrosPerOp).toBeGreaterThan(0);
    expect(one.dimensions).toMatchObject({ clientRuntime: 'node', runtime: 'node', store: 'tcp' });
  }
  expect(stdout).toMatch(/^get: keys that are there, 500 keys$/m);
  expect(stdout).toMatch(/^miss: .*, 0 keys$/m);
  expect(stdout).toMatch(/^node on node < node on node +\d/m);
});

test('ycsb runs its workloads, and tells load and run phase by operation', async () => {
  const sizes = ['--records', '500', '--fields', '3', '--field-size', '20', '--connections', '4', '--seconds', '0.3'];
  const { file, stdout } = await bench('ycsb', [
    '--runtimes',
    'node',
    '--transports',
    'node',
    ...sizes,
    '--rounds',
    '1',
  ]);
  const { rounds, drawn } = readReport(file) as YcsbReport;
  expect(Object.keys(drawn).sort()).toEqual(['A', 'B', 'C', 'D', 'F']);
  const find = (workload: string, operation: string): ReportRound =>
    rounds.find(({ dimensions }) => dimensions.workload === workload && dimensions.operation === operation)!;
  const { figures: load } = find('ycsb', 'all');
  expect(load.operations).toBe(500);
  expect(find('ycsb', 'insert').figures.operations).toBe(500);

  const kinds: Readonly<Record<string, readonly string[]>> = {
    'ycsb-a': ['read', 'update'],
    'ycsb-b': ['read', 'update'],
    'ycsb-c': ['read'],
    'ycsb-d': ['read', 'insert'],
    'ycsb-f': ['read', 'update', 'readModifyWrite'],
  };
  for (const [workload, operations] of Object.entries(kinds)) {
    const all = find(workload, 'all').figures;
    expect(all.serverMicrosPerOp).toBeGreaterThan(0);
    expect(all.generatorMicrosPerOp).toBeGreaterThan(0);
    for (const operation of operations) expectTimes(find(workload, operation));
    const done = operations.map((operation) => find(workload, operation).figures.operations!);
    const sum = done.reduce((before, one) => before + one, 0);
    if (workload === 'ycsb-f') {
      const [reads, updates, changes] = done as [number, number, number];
      // Up to those that were under way at the ends, each change wrote once, and read at least once.
      expect(Math.abs(updates - changes)).toBeLessThanOrEqual(4);
      expect(reads).toBeGreaterThanOrEqual(changes - 4);
      expect(find(workload, 'all').figures.lostPerReadModifyWrite).toBeGreaterThanOrEqual(0);
    } else {
      expect(Math.abs(all.operations! - sum)).toBeLessThanOrEqual(8);
    }
  }
  // The records of 3 fields of 20 bytes: a map of one byte, and names of 7 and texts of 21 with their headers.
  expect(find('ycsb-a', 'all').dimensions).toMatchObject({ keys: 500, valueSize: 1 + 3 * (7 + 21), phase: 'run' });
  expect(stdout).toMatch(/^workload D, read latest: 95 % read, 5 % insert; latest, drawn [0-9a-f]{16}$/m);
  expect(stdout).toMatch(/^ {2}read-modify-write +\d/m);
});

test('ycsb writes back by SET when asked to, over WebSocket, too', async () => {
  const args = ['--workloads', 'f', '--write-back', 'set', '--distribution', 'uniform', '--runtimes', 'node'];
  const sizes = ['--records', '100', '--connections', '3', '--seconds', '0.2', '--rounds', '1', '--generator', 'node'];
  const { file, stdout } = await bench('ycsb', [...args, ...sizes, '--transports', 'node,uws']);
  const { rounds } = readReport(file);
  for (const { dimensions, figures } of rounds) {
    if (dimensions.operation === 'all' && dimensions.phase === 'run') expect(figures.lostPerReadModifyWrite).toBe(0);
  }
  expect(stdout).toContain('50 % read, 50 % read-modify-write; uniform');
  expect(stdout).not.toContain('lost CAS');
});

test('writes tells by which factor they get dearer', async () => {
  const args = [
    '--runtimes',
    'node',
    '--transports',
    'node',
    '--batches',
    '16',
    '--connections',
    '2',
    '--generator',
    'node',
  ];
  const { file, stdout } = await bench('writes', [...args, '--sizes', '100,1k', '--seconds', '0.2', '--rounds', '2']);
  const { rounds, degradation } = readReport(file) as Report & WritesOwn;
  expect(rounds.map(({ dimensions }) => dimensions.keys).sort()).toEqual([100, 100, 1000, 1000]);
  for (const { dimensions, figures } of rounds) {
    expect(dimensions).toMatchObject({ workload: 'set', batch: 16, transport: 'node' });
    expect(figures.serverMicrosPerOp).toBeGreaterThan(0);
  }
  expect(stdout).toMatch(/^564 k writes are drawn, .* to 100 % of 100, 100 % of 1000$/m);
  expect(degradation.map(({ figure }) => figure)).toEqual(['serverMicrosPerOp', 'opsPerSecond']);
  // One tenfold: the factor is the ratio of the geometric means.
  const mean = (keys: number): number => {
    const costs = rounds
      .filter(({ dimensions }) => dimensions.keys === keys)
      .map((one) => one.figures.serverMicrosPerOp!);
    return Math.sqrt(costs[0]! * costs[1]!);
  };
  expect(degradation[0]!.factorPerTenfold).toBeCloseTo(mean(1000) / mean(100), 8);
  expect(stdout).toMatch(
    /^node on node, with each tenfold of the keys: server µs\/op × [\d.]+ \(.*\), ops\/s × [\d.]+/m,
  );
});

test.each([
  ['keys', ['--from', '100', '--to', '10k', '--steps', '3'], [100, 1000, 10_000]],
  ['value-size', ['--points', '1k,10', '--keys', '50'], [10, 1024]],
  ['connections', ['--points', '2,4'], [2, 4]],
  ['batch', ['--points', '1,16'], [1, 16]],
  ['shards', ['--points', '1,2'], [1, 2]],
] as const)('sweep over %s is a curve', async (over, points, expected) => {
  const cell = [
    '--runtimes',
    'node',
    '--transports',
    'node',
    '--generator',
    'node',
    '--seconds',
    '0.1',
    '--rounds',
    '1',
  ];
  const base = Object.entries({ keys: '500', connections: '4', batch: '8' }).flatMap(([name, value]) =>
    name === over || points.some((one) => one === `--${name}`) ? [] : [`--${name}`, value],
  );
  const { file, stdout } = await bench('sweep', ['--over', over, ...points, ...cell, ...base]);
  const { cells, growth, flags } = readReport(file) as Report & SweepOwn;
  const dimension = over === 'value-size' ? 'valueSize' : over;
  expect(flags).toMatchObject({ over, points: expected });
  expect(cells.map(({ dimensions }) => dimensions[dimension])).toEqual(expected);
  for (const { figures } of cells) expect(figures.opsPerSecond!.median).toBeGreaterThan(0);
  expect(growth).toHaveLength(1);
  expect(growth[0]).toMatchObject({ over: dimension, figure: 'serverMicrosPerOp' });
  expect(growth[0]!.dimensions).not.toHaveProperty(dimension);
  for (const point of expected) expect(stdout).toMatch(new RegExp(`^${point} +(≥ )?\\d`, 'm'));
});

test('what makes no sense is refused before anything is measured', async () => {
  const refusals: readonly [args: readonly string[], message: RegExp][] = [
    [['ycsb', '--workloads', 'A,E'], /--workloads A,E: workload E scans .* no ordered scan$/m],
    [['ycsb', '--workloads', 'G'], /--workloads G: expected A, B, C, D or F/],
    [
      ['ycsb', '--fields', '100', '--field-size', '100k'],
      /--fields 100: with --field-size, expected at most \d+ bytes, not 10240000/,
    ],
    [['ycsb', '--write-back', 'add'], /--write-back add: expected cas or set/],
    [['direct', '--sizes', '1x'], /--sizes 1x: expected a whole number from 0 to 100000000; k and m are/],
    [
      ['direct', '--sizes', '0', '--operations', 'get', '--runtimes', 'node'],
      /--sizes 0: there is nothing of get to do/,
    ],
    [['tcp', '--sizes', '0', '--operations', 'get,set'], /--sizes 0: there is nothing of get,set to do/],
    [['writes', '--sizes', '0'], /--sizes 0: expected at least 1/],
    [['sweep', '--over', 'batch', '--batch', '3'], /--batch 3: is what --over lets grow/],
    [['sweep', '--from', '10', '--to', '2'], /--from 10: expected at most --to 2/],
    [['sweep', '--points', '1,2x'], /--points 1,2x|--points 2x: expected a whole number from 1/],
    [['sweep', '--points', '1', '--to', '5'], /--points 1: not together with --from and --to/],
    [['sweep', '--over', 'shards', '--connections', '2'], /2 connections: expected at least 3/],
    [['tcp', '--operations', 'put'], /--operations put: expected get, miss, set or churn/],
  ];
  for (const [args, message] of refusals) {
    const outcome = await run(['bench', ...args]);
    expect(outcome).toMatchObject({ code: 2, stdout: '' });
    expect(outcome.stderr).toMatch(message);
  }
});

test('log measures a log that is new and one that has segments to use again, beside none', async () => {
  const cell = ['--runtimes', 'node', '--transports', 'node', '--policies', 'everysec,none', '--batches', '16'];
  const { file, stdout } = await bench('log', [
    ...cell,
    '--keys',
    '500',
    '--seconds',
    '0.3',
    '--rounds',
    '1',
    '--spares',
    '1',
  ]);
  const report = readReport(file);
  const ours = report.rounds.filter(({ dimensions }) => dimensions.peer === null);
  expect(ours.map(({ dimensions }) => dimensions.fsync).sort()).toEqual(['everysec', 'none']);
  for (const { dimensions, figures } of ours) {
    expect(report.versions).toHaveProperty(dimensions.clientRuntime!);
    expect(figures.operations).toBeGreaterThan(0);
    expect(figures.serverMicrosPerOp).toBeGreaterThan(0);
  }
  expect(stdout).toMatch(/^100 % SET, 500 keys, .* with 1 spare segment; /m);
});
