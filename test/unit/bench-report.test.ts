/** The JSON of the benchmark: what a suite makes of its rounds, and what is refused when a file is read. */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, platform, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test, vi } from 'vitest';
import { z } from 'zod';
import { LatencyHistogram } from '../../bench/load/latency.ts';
import { mergeMeasurements } from '../../bench/load/merge.ts';
import type { Figures, Measurement } from '../../bench/load/plan.ts';
import { type Report, type ReportRound, SCHEMA_VERSION, summarizeRounds } from '../../bench/results/report.ts';
import { runSuite, type Suite } from '../../bench/results/run.ts';
import { readReport, reportProblem, reportSchema } from '../../bench/results/validate.ts';
import { parseCoreList, pinned, shareCores } from '../../bench/servers/pinning.ts';
import { root } from '../support/children.ts';

const folder = mkdtempSync(join(tmpdir(), 'ringkv-report-'));

afterAll(() => rmSync(folder, { recursive: true, force: true }));

function timed(millis: readonly number[]) {
  const histogram = new LatencyHistogram();
  for (const one of millis) histogram.record(one);
  return { latency: histogram.encode(), percentiles: histogram.percentiles() };
}

const rounds: readonly ReportRound[] = [
  { round: 1, dimensions: { runtime: 'bun', batch: 1 }, figures: { cpu: 3, generatorCores: 0.97 }, ...timed([1, 2]) },
  { round: 1, dimensions: { batch: 16, runtime: 'bun' }, figures: { cpu: 1, generatorCores: 0.5 } },
  { round: 2, dimensions: { batch: 16, runtime: 'bun' }, figures: { cpu: 2, generatorCores: 0.5 } },
  { round: 2, dimensions: { batch: 1, runtime: 'bun' }, figures: { cpu: 5, generatorCores: 0.99 }, ...timed([1, 9]) },
];

function sound(): Report {
  return {
    schema: 'ringkv-bench',
    schemaVersion: SCHEMA_VERSION,
    suite: 'matrix',
    startedAt: '2026-01-01T00:00:00.000Z',
    ringkv: '0.1.0',
    git: { revision: 'abc', modified: false },
    machine: { cpu: 'x', cpus: 2, governor: null, memoryBytes: 1, platform: 'linux/x64', kernel: '6' },
    versions: { bun: '1.4.5' },
    flags: { rounds: 2, seed: 1 },
    skipped: [{ label: 'bun on node', reason: 'it needs Bun' }],
    interrupted: false,
    rounds,
    cells: summarizeRounds(rounds),
  };
}

describe('cells', () => {
  test('are rounds of the same dimensions, in the order that is given', () => {
    expect(summarizeRounds(rounds).map(({ dimensions }) => dimensions.batch)).toEqual([1, 16]);
    const [second, first] = summarizeRounds(rounds, [{ runtime: 'bun', batch: 16 }, { runtime: 'deno' }]);
    expect(second).toMatchObject({ dimensions: { batch: 16 }, generatorLimited: false });
    expect(second).not.toHaveProperty('percentiles');
    expect(first).toMatchObject({
      generatorLimited: true,
      figures: { cpu: { median: 4, min: 3, max: 5 } },
      percentiles: { maxMicros: 9000 },
    });
    // Of 1, 1, 2 and 9 ms: no mean of the medians of the rounds.
    expect(first!.percentiles!.p50Micros / 1000).toBeCloseTo(1, 2);
  });

  test('of several generators are limited when all of them are', () => {
    const of = (generatorCores: number) =>
      summarizeRounds([{ round: 1, dimensions: { generators: 2 }, figures: { generatorCores } }])[0]!.generatorLimited;
    expect([1.8, 1.95].map(of)).toEqual([false, true]);
  });
});

test('what several generators measured is as if one had', () => {
  const figures = (opsPerSecond: number): Figures => ({
    seconds: 2,
    operations: 2 * opsPerSecond,
    opsPerSecond,
    valueBytesPerSecond: 100 * opsPerSecond,
    // The server's cores are the same in both, set against each one's own operations.
    serverUserMicrosPerOp: 0.6e6 / opsPerSecond,
    serverSystemMicrosPerOp: 0.2e6 / opsPerSecond,
    serverMicrosPerOp: 0.8e6 / opsPerSecond,
    generatorMicrosPerOp: 0.5e6 / opsPerSecond,
    serverCores: 0.8,
    generatorCores: 0.5,
    serverPeakBytes: opsPerSecond,
  });
  const measurement = (opsPerSecond: number, millis: readonly number[]): Measurement => {
    return { batch: 4, figures: figures(opsPerSecond), ...timed(millis) };
  };
  const one = measurement(1000, [1, 1, 1]);
  expect(mergeMeasurements([one])).toBe(one);
  const merged = mergeMeasurements([one, measurement(3000, [1, 1, 5])]);
  expect(merged.figures).toEqual({
    seconds: 2,
    operations: 8000,
    opsPerSecond: 4000,
    valueBytesPerSecond: 400_000,
    serverUserMicrosPerOp: expect.closeTo(150),
    serverSystemMicrosPerOp: expect.closeTo(50),
    serverMicrosPerOp: expect.closeTo(200),
    generatorMicrosPerOp: expect.closeTo(250),
    serverCores: 0.8,
    generatorCores: 1,
    serverPeakBytes: 3000,
  });
  expect(merged.percentiles.maxMicros).toBe(5000);
  expect(LatencyHistogram.merged([merged.latency]).percentiles().p50Micros / 1000).toBeCloseTo(1, 2);
});

describe('a report that is read', () => {
  const written = (text: string): string => {
    const file = join(folder, 'report.json');
    writeFileSync(file, text);
    return file;
  };

  test('is what was written, fields and dimensions of later suites included', () => {
    const report = { ...sound(), workload: 'abc' };
    expect(readReport(written(JSON.stringify(report)))).toEqual(report);
    const more = rounds.map((one) => ({ ...one, dimensions: { ...one.dimensions, colour: 'red' }, more: 1 }));
    expect(reportProblem({ ...report, rounds: more, cells: summarizeRounds(more) })).toBeUndefined();
  });

  test('has to be there, and JSON', () => {
    expect(() => readReport(join(folder, 'nowhere'))).toThrow(/nowhere: ENOENT/);
    expect(() => readReport(written('{'))).toThrow(/report\.json: no JSON: /);
    expect(() => readReport(written(' '))).toThrow(/report\.json: is empty/);
    expect(() => readReport(written('{}'))).toThrow(/report\.json: schema: expected "ringkv-bench"/);
  });

  type Malformed = readonly [field: string, change: (report: ReturnType<typeof mutable>) => unknown];
  const mutable = () => JSON.parse(JSON.stringify(sound()));
  const malformed: readonly Malformed[] = [
    ['schema', (report) => (report.schema = 'other')],
    ['schemaVersion', (report) => (report.schemaVersion = 2)],
    ['suite', (report) => (report.suite = '')],
    ['startedAt', (report) => (report.startedAt = 'yesterday')],
    ['git.modified', (report) => delete report.git.modified],
    ['machine.cpus', (report) => (report.machine.cpus = 0)],
    ['machine.kernel', (report) => delete report.machine.kernel],
    ['versions.bun', (report) => (report.versions.bun = 1)],
    ['flags.seed', (report) => delete report.flags.seed],
    ['skipped[0].reason', (report) => delete report.skipped[0].reason],
    ['interrupted', (report) => delete report.interrupted],
    ['rounds', (report) => (report.rounds = [])],
    ['rounds[1].round', (report) => (report.rounds[1].round = 0)],
    ['rounds[1].dimensions.batch', (report) => (report.rounds[1].dimensions.batch = '16')],
    ['rounds[1].dimensions.colour', (report) => (report.rounds[1].dimensions.colour = {})],
    ['rounds[0].figures.cpu', (report) => (report.rounds[0].figures.cpu = null)],
    ['rounds[0].latency', (report) => (report.rounds[0].latency = '?')],
    ['rounds[0].latency', (report) => (report.rounds[0].latency = 'bm8gaGlzdG9ncmFt')],
    ['rounds[0].percentiles.p9999Micros', (report) => delete report.rounds[0].percentiles.p9999Micros],
    ['cells[0].figures.cpu.low', (report) => delete report.cells[0].figures.cpu.low],
    ['cells[0].figures.cpu', (report) => (report.cells[0].figures.cpu.median = 99)],
    ['cells[0].generatorLimited', (report) => (report.cells[0].generatorLimited = 'yes')],
    ['cells[1].dimensions', (report) => (report.cells[1].dimensions.batch = 1)],
    ['cells[1].dimensions', (report) => (report.cells[1].dimensions.batch = 17)],
  ];
  test.each(malformed)('is refused for %s', (field, change) => {
    const report = mutable();
    change(report);
    expect(() => readReport(written(JSON.stringify(report)))).toThrow(`report.json: ${field}: `);
  });

  test('has the schema that is documented', async () => {
    const file = join(root, 'docs/bench.schema.json');
    const schema = z.toJSONSchema(reportSchema, { io: 'input' });
    await expect(`${JSON.stringify(schema, null, 2)}\n`).toMatchFileSnapshot(file);
  });
});

describe('a suite', () => {
  const controller = new AbortController();
  const suite = (more: Partial<Suite<string>>): Suite<string> => ({
    name: 'matrix',
    flags: { rounds: 6, seed: 3 },
    versions: {},
    skipped: [],
    subjects: ['a', 'b', 'c'],
    label: (subject) => subject,
    measure: async (subject) => [{ dimensions: { runtime: subject }, figures: { cpu: 1 } }],
    format: () => '',
    json: undefined,
    signal: controller.signal,
    ...more,
  });
  const order = async (seed: number): Promise<string[]> => {
    const asked: string[] = [];
    const measure: Suite<string>['measure'] = async (subject, { round }) => {
      asked.push(`${round}${subject}`);
      return [{ dimensions: { runtime: subject }, figures: { cpu: 1 } }];
    };
    expect(await runSuite(suite({ flags: { rounds: 6, seed }, measure }))).toBe(0);
    return asked;
  };

  test('measures everything in every round, in an order that follows from the seed', async () => {
    const first = await order(3);
    expect(await order(3)).toEqual(first);
    expect(await order(4)).not.toEqual(first);
    for (let round = 1; round <= 6; round++) {
      const names = first.slice(3 * (round - 1), 3 * round);
      expect([...names].sort()).toEqual(['a', 'b', 'c'].map((name) => `${round}${name}`));
    }
  });

  test('fails as a whole, and says where, when one of its cells fails', async () => {
    const json = join(folder, 'failed.json');
    const measure = async (subject: string, { round }: { readonly round: number }) => {
      if (subject === 'b' && round === 2) throw new Error('a wrong reply');
      return [{ dimensions: {}, figures: {} }];
    };
    await expect(runSuite(suite({ measure, json }))).rejects.toThrow('round 2 of 6, b: a wrong reply');
    expect(existsSync(json)).toBe(false);
  });

  test('that is interrupted before anything was measured leaves the file as it was, or none', async () => {
    const [fresh, existing] = [join(folder, 'fresh.json'), join(folder, 'existing.json')];
    writeFileSync(existing, 'of another run');
    for (const json of [fresh, existing]) {
      const ending = new AbortController();
      const measure: Suite<string>['measure'] = async () => {
        ending.abort();
        throw ending.signal.reason;
      };
      expect(await runSuite(suite({ measure, json, signal: ending.signal }))).toBe(1);
    }
    expect(existsSync(fresh)).toBe(false);
    expect(readFileSync(existing, 'utf8')).toBe('of another run');
  });

  test('has its file before its tables, whose reader may have gone', async () => {
    const json = join(folder, 'unread.json');
    const there: boolean[] = [];
    const write = vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
      if (text === 'the tables\n') there.push(existsSync(json));
      return true;
    });
    try {
      await runSuite(suite({ json, format: () => 'the tables\n' }));
    } finally {
      write.mockRestore();
    }
    expect(there).toEqual([true]);
  });

  test('that is interrupted in its first round keeps the cells that were measured', async () => {
    const json = join(folder, 'interrupted.json');
    const ending = new AbortController();
    let asked = 0;
    const measure: Suite<string>['measure'] = async (subject) => {
      if (++asked === 3) ending.abort();
      ending.signal.throwIfAborted();
      return [{ dimensions: { runtime: subject }, figures: { cpu: 1 } }];
    };
    await runSuite(suite({ measure, json, signal: ending.signal }));
    const report = readReport(json);
    expect(report.interrupted).toBe(true);
    expect(report.rounds).toHaveLength(2);
    expect(report.cells).toHaveLength(2);
  });

  test('that is interrupted later has the rounds alone that its cells are made of', async () => {
    const json = join(folder, 'interrupted-later.json');
    const ending = new AbortController();
    let asked = 0;
    const measure: Suite<string>['measure'] = async (subject) => {
      if (++asked === 5) ending.abort();
      ending.signal.throwIfAborted();
      return [{ dimensions: { runtime: subject }, figures: { cpu: 1 } }];
    };
    const numbers: number[] = [];
    const own: Suite<string>['own'] = (counted) => {
      numbers.push(...counted.map(({ round }) => round));
      return {};
    };
    await runSuite(suite({ measure, own, json, signal: ending.signal }));
    expect(numbers).toEqual([1, 1, 1]);
    // Else the page, and `compare`, would count a round that no cell has anything of.
    expect(readReport(json).rounds.map(({ round }) => round)).toEqual(numbers);
  });

  test('decides on the exit code by what it measured', async () => {
    expect(await runSuite(suite({ exitCode: ({ cells }) => (cells.length === 3 ? 1 : 0) }))).toBe(1);
  });
});

describe('cores', () => {
  test('are read as taskset writes them', () => {
    expect(parseCoreList('0')).toEqual([0]);
    expect(parseCoreList('0-3,8,10-11')).toEqual([0, 1, 2, 3, 8, 10, 11]);
  });

  test('are shared in proportion, and never by a server and a generator', () => {
    expect(shareCores([4, 5], 1, 1)).toEqual([[4], [5]]);
    expect(shareCores([4, 5], 4, 1)).toEqual([[4], [5]]);
    expect(shareCores([0, 1, 2, 3, 4, 5, 6, 7], 1, 3)).toEqual([
      [0, 1],
      [2, 3, 4, 5, 6, 7],
    ]);
    expect(() => shareCores([3], 1, 1)).toThrow(/--pin: needs two cores/);
  });

  test.skipIf(platform() !== 'linux' || availableParallelism() < 2)('are not shared by shards', () => {
    const [taskset, , cores, ...command] = pinned().server(['serve']);
    expect([taskset, ...command]).toEqual(['taskset', 'serve']);
    expect(parseCoreList(cores!)).toHaveLength(1);
    expect(() => pinned(1, 1, 10_000)).toThrow(/--pin: 10000 shards need a core each, and servers get \d+$/);
  });
});
