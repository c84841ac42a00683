/** The benchmark as a user runs it, small, so that it cannot rot: what it measures, what it says, and what it refuses. */
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, expect, test, vi } from 'vitest';
import { LatencyHistogram } from '../../bench/load/latency.ts';
import type { GeneratorEvent, GeneratorPlan } from '../../bench/load/plan.ts';
import { cellKey } from '../../bench/results/report.ts';
import { readReport } from '../../bench/results/validate.ts';
import type { MatrixReport } from '../../bench/suites/matrix/matrix.ts';
import { type Child, root, runtimes, startChild } from '../support/children.ts';
import { entry, node, run, startServe } from '../support/command.ts';

/** What measures several cells takes its time where others work, too. */
vi.setConfig({ testTimeout: 180_000 });

const folder = mkdtempSync(join(tmpdir(), 'ringkv-bench-'));
const here = runtimes().map(({ name }) => name);
const ends: (() => unknown)[] = [];

afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

function stopAfterwards(child: Child): Child {
  ends.push(() => child.stop('SIGKILL'));
  return child;
}

const SMALL = ['--keys', '2000', '--connections', '4'];

test('matrix measures every cell that works and says why the others do not', async () => {
  const file = join(folder, 'matrix.json');
  const names = here.filter((name) => name !== 'deno');
  const args = [
    '--runtimes',
    names.join(','),
    '--transports',
    'node,bun',
    '--batches',
    '1,16',
    '--rounds',
    '2',
    '--seconds',
    '0.3',
  ];
  const { code, stdout, stderr } = await run(['bench', 'matrix', ...SMALL, ...args, '--seed', '5', '--json', file]);
  expect(stderr).toBe('');
  expect(code).toBe(0);

  const cells = [...names.map((name) => `node on ${name}`), ...(names.includes('bun') ? ['bun on bun'] : [])];
  const report = readReport(file) as MatrixReport;
  expect(report).toMatchObject({
    schema: 'ringkv-bench',
    schemaVersion: 3,
    suite: 'matrix',
    interrupted: false,
    flags: { keys: 2000, batches: [1, 16], connections: [4], rounds: 2, seed: 5, valueSize: 100, controls: 'on' },
    machine: { cpus: expect.any(Number), kernel: expect.any(String) },
    workload: expect.stringMatching(/^[0-9a-f]{16}$/),
  });
  expect(Object.keys(report.versions).sort()).toEqual([...names].sort());
  expect(report.skipped.map(({ label }) => label)).toContain('bun on node');
  // Two rounds of two batch sizes, each cell and its control.
  expect(report.rounds).toHaveLength(2 * 2 * 2 * cells.length);
  expect(report.rounds.filter(({ dimensions }) => dimensions.control)).toHaveLength(report.rounds.length / 2);
  expect(new Set(report.cells.map(({ dimensions: { transport, runtime } }) => `${transport} on ${runtime}`))).toEqual(
    new Set(cells),
  );
  for (const { round, dimensions, figures, percentiles, latency } of report.rounds) {
    expect([1, 2]).toContain(round);
    expect(dimensions).toMatchObject({ connections: 4, depth: 1, keys: 2000, valueSize: 100, generators: 1 });
    expect(figures.seconds).toBeGreaterThanOrEqual(0.25);
    expect(figures.operations! % dimensions.batch!).toBe(0);
    expect(figures.opsPerSecond).toBeCloseTo(figures.operations! / figures.seconds!, 5);
    expect(figures.valueBytesPerSecond).toBeCloseTo(figures.opsPerSecond! * 100, 3);
    expect(percentiles!.p50Micros).toBeGreaterThan(0);
    expect(percentiles!.p99Micros).toBeGreaterThanOrEqual(percentiles!.p50Micros);
    expect(percentiles!.maxMicros).toBeGreaterThanOrEqual(percentiles!.p9999Micros);
    expect(LatencyHistogram.merged([latency!]).percentiles().p50Micros / percentiles!.p50Micros).toBeCloseTo(1, 2);
    const { serverUserMicrosPerOp: user, serverSystemMicrosPerOp: system } = figures;
    expect(figures.serverMicrosPerOp).toBeCloseTo(user! + system!, 10);
    expect(figures.serverMicrosPerOp).toBeGreaterThan(0);
    expect(figures.serverPeakBytes).toBeGreaterThan(10 * 1024 * 1024);
  }
  for (const { dimensions, figures, percentiles } of report.cells) {
    const same = report.rounds.filter((one) => cellKey(one.dimensions) === cellKey(dimensions));
    expect(same).toHaveLength(2);
    const samples = same.map((one) => one.figures.opsPerSecond!);
    expect(figures.opsPerSecond).toMatchObject({ min: Math.min(...samples), max: Math.max(...samples) });
    expect(percentiles!.maxMicros).toBe(Math.max(...same.map((one) => one.percentiles!.maxMicros)));
  }

  expect(stdout).toMatch(/^batch 1, 4 connections$/m);
  expect(stdout).toMatch(/^batch 16, 4 connections$/m);
  for (const cell of cells) {
    expect(stdout).toContain(`\n${cell}  `);
    expect(stdout).toContain(`\necho: ${cell}  `);
  }
  expect(stdout).toMatch(/ added µs\/op$/m);
  expect(stdout).not.toContain('GB/s');
  expect(stdout).toMatch(/^skipped bun on node: .*Bun/m);
  expect(stdout).toContain('seed 5');
  expect(stdout).toContain(report.workload);
});

test('matrix tells bytes per second of large values, over the transport that was asked for, and without controls', async () => {
  const file = join(folder, 'large.json');
  const cell = ['--runtimes', 'node', '--transports', 'node,uws', '--generator', 'node', '--client-transports', 'node'];
  const sizes = ['--value-size', '64k', '--batches', '1,4', '--connections', '4', '--rounds', '1', '--seconds', '0.2'];
  const { code, stdout, stderr } = await run([
    'bench',
    'matrix',
    ...cell,
    ...sizes,
    '--controls',
    'off',
    '--json',
    file,
  ]);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  const report = readReport(file) as MatrixReport;
  // So many values of 64 KiB take 256 MiB.
  expect(report).toMatchObject({ flags: { keys: 4096 } });
  for (const { dimensions, figures } of report.rounds) {
    const clientTransport = dimensions.transport === 'uws' ? 'uws' : 'node';
    expect(dimensions).toMatchObject({ control: false, clientRuntime: 'node', clientTransport });
    expect(figures.valueBytesPerSecond).toBeCloseTo(figures.opsPerSecond! * 64 * 1024, 0);
  }
  expect(stdout).toContain('values GB/s');
  expect(stdout).not.toContain('echo:');
});

test('connections tells what many of them cost, and how late they are served', async () => {
  const file = join(folder, 'connections.json');
  const sizes = ['--idle', '20', '--connections', '150', '--idle-seconds', '0.3', '--seconds', '0.6'];
  const { code, stdout, stderr } = await run([
    'bench',
    'connections',
    ...['--runtimes', 'node', '--transports', 'node', ...sizes, '--json', file],
  ]);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  const report = readReport(file);
  expect(report).toMatchObject({ schemaVersion: 3, suite: 'connections', flags: { idle: 20, connections: 150 } });
  expect(report.rounds).toHaveLength(1);
  const { figures, percentiles } = report.rounds[0]!;
  expect(figures.operations).toBeGreaterThan(0);
  expect(figures.idleServerCores).toBeGreaterThan(0);
  expect(figures.serverMicrosPerOp).toBeGreaterThan(0);
  expect(figures.lateP99Micros).toBeGreaterThan(0);
  expect(percentiles!.p99Micros).toBeGreaterThanOrEqual(percentiles!.p50Micros);
  expect(percentiles!.maxMicros).toBeGreaterThanOrEqual(percentiles!.p999Micros);
  expect(report.cells[0]!.percentiles!.p99Micros).toBe(percentiles!.p99Micros);
  expect(stdout).toMatch(/^node on node +[\d.]+ %/m);
});

test('beside measures the same clients alone and beside others', async () => {
  const file = join(folder, 'beside.json');
  const sizes = ['--connections', '4', '--rate', '200', '--keys', '1000', '--rounds', '1', '--seconds', '0.3'];
  const cell = ['--runtimes', 'node', '--transports', 'node', '--generator', 'node'];
  // One of each sort: those that stay, those that come again, and what is no client.
  const phases = ['slow', 'malformed', 'snapshot'];
  const beside = ['--beside', phases.join(','), '--json', file];
  const { code, stdout, stderr } = await run(['bench', 'beside', ...cell, ...sizes, ...beside]);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  const { cells, rounds } = readReport(file);
  expect(rounds.map(({ dimensions }) => dimensions.phase)).toEqual(phases.flatMap((phase) => ['alone', phase]));
  expect(cells.map(({ dimensions }) => dimensions.phase)).toEqual(['alone', ...phases]);
  for (const { figures, percentiles } of cells) {
    expect(figures.opsPerSecond!.median).toBeGreaterThan(0);
    expect(figures.turns!.median).toBeGreaterThan(0);
    expect(percentiles!.p99Micros).toBeGreaterThan(0);
  }
  for (let i = 0; i < rounds.length; i += 2) {
    const [alone, disturbed] = rounds.slice(i, i + 2);
    const timesAlone = disturbed!.percentiles!.p99Micros / alone!.percentiles!.p99Micros;
    expect([alone!.figures.timesAlone, disturbed!.figures.timesAlone]).toEqual([undefined, timesAlone]);
  }
  expect(cells.at(-1)!.figures.snapshotShare!.median).toBeGreaterThan(0);
  expect(stdout).toMatch(/^node on node, slow /m);
});

test('connections says which limit is too low, and what to do', async () => {
  const script = 'ulimit -n 300 && exec "$NODE" "$ENTRY" bench connections --idle 10 --connections 1000';
  const env = { ...process.env, NODE: node.command[0], ENTRY: entry };
  const { status, stdout, stderr } = spawnSync('sh', ['-c', script], { env, encoding: 'utf8' });
  expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
  expect(stderr).toMatch(
    /--connections 1000 takes 1100 open files .* "ulimit -H -n" allows 300: .*--connections 200$/m,
  );
});

test('engine and start tell their figures', async () => {
  const engineFile = join(folder, 'engine.json');
  const sizes = ['--keys', '2000', '--grow-to', '20000', '--seconds', '0.1', '--rounds', '1'];
  const engine = await run(['bench', 'engine', '--runtimes', 'node', ...sizes, '--json', engineFile]);
  expect(engine).toMatchObject({ code: 0, stderr: '' });
  const { cells } = readReport(engineFile);
  const named = cells.map(
    ({ dimensions: { engine, phase, control } }) => `${engine} ${phase}${control ? ' idle' : ''}`,
  );
  expect([...named].sort()).toEqual(['map run', 'swiss growth', 'swiss growth idle', 'swiss run']);
  const of = (name: string) => cells[named.indexOf(name)]!;
  expect(of('swiss run').figures.overheadBytesPerKey!.median).toBeGreaterThan(0);
  const turns = of('swiss growth').percentiles!;
  expect(turns.maxMicros).toBeGreaterThanOrEqual(turns.p50Micros);
  expect(of('swiss growth idle').percentiles!.p50Micros).toBeGreaterThanOrEqual(turns.p50Micros);
  expect(engine.stdout).toMatch(/^swiss on node +\d/m);

  const startFile = join(folder, 'start.json');
  const start = await run(['bench', 'start', '--runtimes', 'node', '--rounds', '2', '--json', startFile]);
  expect(start).toMatchObject({ code: 0, stderr: '' });
  const report = readReport(startFile);
  expect(report.rounds.map(({ round, dimensions }) => `${round} ${dimensions.runtime}`)).toEqual(['1 node', '2 node']);
  expect(report.cells[0]!.figures.readyMillis!.min).toBeGreaterThan(0);
});

test('what makes no sense is refused before anything is measured', async () => {
  const refusals: readonly [args: readonly string[], code: number, message: RegExp][] = [
    [['matrix', '--transports', 'nodes'], 2, /--transports nodes: expected .*did you mean node\?/],
    [['matrix', '--batches', '1,0'], 2, /--batches 1,0: expected a whole number/],
    [['matrix', '--runtimes', 'node', '--transports', 'bun'], 2, /bun on node: .*Bun/],
    [['matrix', '--json', join(folder, 'no', 'such', 'folder.json')], 1, /--json .*ENOENT/],
    [['matrix', '--runtimes', 'node', '--client-transports', 'bun', '--generator', 'node'], 2, /on node over bun; /],
    [['matrix', '--client-transports', 'uws'], 2, /--client-transports uws: expected node, bun/],
    [['matrix', '--generators', '5', '--connections', '9,4'], 2, /--generators 5: expected at most --connections 4/],
    [['matrix', '--controls', 'yes'], 2, /--controls yes: expected on, off or only/],
    [['connections', '--connections', '10', '--idle', '11'], 2, /--connections 10: expected at least --idle 11/],
    [['connections', '--connections', '30000'], 2, /--connections 30000: expected a whole number from 1 to 25000/],
    [['engine', '--keys', '1000', '--grow-to', '1000'], 2, /--grow-to 1000: expected more than --keys 1000/],
  ];
  for (const [args, code, message] of refusals) {
    const outcome = await run(['bench', ...args]);
    expect(outcome).toMatchObject({ code, stdout: '' });
    expect(outcome.stderr).toMatch(message);
  }
});

test.skipIf(!existsSync('/proc/self/stat'))('a signal ends it, and all that it has started', async () => {
  const child = stopAfterwards(
    startChild(node, 'dist/ringkv.js', ['bench', 'matrix', ...SMALL, '--runtimes', 'node', '--seconds', '100']),
  );
  // Its two children are the server and the load generator; the doctor, which comes before them, is alone.
  const started = await waitFor(() => {
    const pids = childrenOf(child.pid);
    return pids.length === 2 ? pids : undefined;
  });
  child.stop('SIGINT').catch(() => {});
  expect(await child.exit).toBe(130);
  for (const pid of started) expect(existsSync(`/proc/${pid}`)).toBe(false);
  expect(child.lines).toContain('interrupted before anything was measured');
});

test.each(['SIGINT', 'SIGTERM'] as const)('%s keeps what was measured until then', async (signal) => {
  const file = join(folder, `${signal}.json`);
  const args = [
    '--runtimes',
    'node',
    '--transports',
    'node',
    '--batches',
    '1',
    '--rounds',
    '1000',
    '--seconds',
    '0.05',
  ];
  const child = stopAfterwards(
    startChild(node, 'dist/ringkv.js', ['bench', 'matrix', ...SMALL, ...args, '--controls', 'off', '--json', file]),
  );
  // Servers follow one another: with the third, two rounds are complete.
  const seen = new Set<number>();
  await waitFor(() => {
    for (const pid of childrenOf(child.pid)) if (isServer(pid)) seen.add(pid);
    return seen.size >= 3 ? seen : undefined;
  });
  child.stop(signal).catch(() => {});
  expect(await child.exit).toBe(signal === 'SIGINT' ? 130 : 143);
  expect(child.stderr).toBe('');
  const report = readReport(file);
  expect(report.interrupted).toBe(true);
  expect(report.rounds.length).toBeGreaterThanOrEqual(2);
  expect(report.rounds.map(({ round }) => round)).toEqual(report.rounds.map((_, at) => at + 1));
  expect(report.cells[0]!.figures.opsPerSecond!.min).toBeGreaterThan(0);
  expect(child.lines).toContain(
    `interrupted in round ${report.rounds.length + 1} of 1000; shown are the ${report.rounds.length} rounds before`,
  );
});

test('compare tells which file is worse, and fails when it is told to', async () => {
  const measured = readReport(await matrixFile('before.json', '--rounds', '5'));
  const files = ['a', 'b', 'other', 'short'].map((name) => join(folder, `${name}.json`));
  const [a, b, other, short] = files as [string, string, string, string];
  const slower = measured.rounds.map((one) => {
    return { ...one, figures: { ...one.figures, serverMicrosPerOp: 100 * one.figures.serverMicrosPerOp! } };
  });
  const reports = [
    measured,
    { ...measured, rounds: slower },
    { ...measured, workload: 'f00d' },
    { ...measured, suite: 'x' },
  ];
  for (const [at, report] of reports.entries()) writeFileSync(files[at]!, JSON.stringify(report));

  const same = await run(['bench', 'compare', a, a, '--fail-above', '1']);
  expect(same).toMatchObject({ code: 0, stderr: '' });
  expect(same.stdout).toMatch(/^3 compared: 0 worse, 0 better, 3 without a difference$/m);
  const worse = await run(['bench', 'compare', a, b]);
  expect(worse).toMatchObject({ code: 0, stderr: '' });
  expect(worse.stdout).toMatch(/^serverMicrosPerOp\n.*\n.* 100\.000 .* worse$/m);
  expect((await run(['bench', 'compare', a, b, '--fail-above', '20'])).code).toBe(1);
  expect((await run(['bench', 'compare', b, a, '--fail-above', '20'])).code).toBe(0);

  const refusals: readonly [files: readonly string[], message: RegExp][] = [
    [[a], /expected two files, got 1/],
    [[a, other], /their operations are not the same/],
    [[a, short], /is of the suite matrix, .* of x/],
    [[a, join(folder, 'nowhere.json')], /nowhere\.json: ENOENT/],
    [[a, join(root, 'package.json')], /package\.json: schema: expected "ringkv-bench"/],
  ];
  for (const [given, message] of refusals) {
    const outcome = await run(['bench', 'compare', ...given]);
    expect(outcome).toMatchObject({ code: 2, stdout: '' });
    expect(outcome.stderr).toMatch(message);
  }
});

// Other tests run beside this one, so what it decides is not looked at here: .ci/run asks it again when it is alone.
test('aa measures a cell, the same again and one that is slowed, and decides what differs', async () => {
  const file = join(folder, 'aa.json');
  const sizes = ['--rounds', '5', '--slices', '8', '--seconds', '0.03', '--keys', '1000', '--connections', '4'];
  const args = ['bench', 'aa', '--runtime', 'node', '--planted', '50', ...sizes, '--json', file];
  const { code, stdout, stderr } = await run(args);
  expect(stderr).toBe('');
  const [, same, found] =
    /^no difference between A and B: ([01]) of 1; the planted 50 % found: ([01]) of 1$/m.exec(stdout) ?? [];
  expect(code).toBe(same === '1' && found === '1' ? 0 : 1);
  const { rounds, flags } = readReport(file);
  expect(flags).toMatchObject({ rounds: 5, roundsPerDecision: 5 });
  expect(rounds.filter(({ dimensions }) => dimensions.side === 'slowed')).toHaveLength(5 * 8);
});

/** A small run of `matrix`, of one cell. */
async function matrixFile(name: string, ...args: readonly string[]): Promise<string> {
  const file = join(folder, name);
  const cell = ['--runtimes', 'node', '--transports', 'node', '--batches', '16', '--seconds', '0.05'];
  const outcome = await run(['bench', 'matrix', ...SMALL, ...cell, '--controls', 'off', '--json', file, ...args]);
  expect(outcome).toMatchObject({ code: 0, stderr: '' });
  return file;
}

function isServer(pid: number): boolean {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').includes('serve');
  } catch {
    // It has ended meanwhile.
    return false;
  }
}

const lies: readonly [what: string, lie: (chunk: Buffer) => Buffer | undefined, message: RegExp][] = [
  [
    'a value of another key',
    // The last digit of the key that each value begins with.
    (chunk) => replaceBytes(chunk, /(user\d{11})\d/g, '$1x'),
    /GET user\d{12} answered a value that was never stored under it/,
  ],
  ['nil for a value', () => Buffer.concat([frameHeader(2), Buffer.of(0x91, 0xc0)]), /answered nil/],
  [
    'an error',
    () => Buffer.concat([frameHeader(10), Buffer.from('\x91\xc7\x06\x01\x92\xa2OP\xa1x', 'latin1')]),
    /answered the error OP: x/,
  ],
  ['nothing, and hangs up', () => undefined, /the server ended a connection|a connection to the server is lost/],
];

test.each(lies)('a server that answers %s fails the run', async (_what, lie, message) => {
  const server = await startServe();
  stopAfterwards(server.child);
  const plan: GeneratorPlan = {
    addresses: [await proxy(server.ready.address, lie)],
    language: 'ringkv',
    index: 0,
    connections: 2,
    depth: 1,
    keys: 2000,
    valueBytes: 100,
    batches: [1],
    warmupSeconds: 0.05,
    seconds: 60,
    seed: 1,
  };
  const generator = stopAfterwards(startChild(node, 'dist/bench/load/generator.js', [JSON.stringify(plan)]));
  generator.stdin.write('warm up\n');
  expect(await generator.exit).toBe(1);
  const events = generator.lines.map((line) => (JSON.parse(line) as GeneratorEvent).event);
  expect(events).toEqual(['loaded']);
  expect(generator.stderr).toMatch(message);
});

/**
 * An address that is connected to the server's. Once a chunk of replies is long enough to be a value, which no reply is
 * while keys are stored, `lie` changes it; undefined hangs up.
 */
async function proxy(address: string, lie: (chunk: Buffer) => Buffer | undefined): Promise<string> {
  const { hostname, port } = new URL(address);
  const listener = createServer((near) => {
    const far = connect(Number(port), hostname);
    near.pipe(far);
    far.on('data', (chunk: Buffer) => {
      const told = chunk.includes('user') ? lie(chunk) : chunk;
      if (told === undefined) near.destroy();
      else near.write(told);
    });
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      one.on('error', () => other.destroy());
      one.on('close', () => other.destroy());
    }
  });
  listener.listen(0, '127.0.0.1');
  await once(listener, 'listening');
  ends.push(() => listener.close());
  return `tcp://127.0.0.1:${(listener.address() as AddressInfo).port}`;
}

function frameHeader(length: number): Buffer {
  const header = Buffer.alloc(5, 0xce);
  header.writeUInt32BE(length, 1);
  return header;
}

function replaceBytes(bytes: Buffer, pattern: RegExp, replacement: string): Buffer {
  return Buffer.from(bytes.toString('latin1').replace(pattern, replacement), 'latin1');
}

function childrenOf(parent: number): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      try {
        // After the name in brackets: the state, then the parent's id.
        return Number(/\) \S (\d+)/.exec(readFileSync(`/proc/${pid}/stat`, 'utf8'))?.[1]) === parent;
      } catch {
        // It has ended meanwhile.
        return false;
      }
    })
    .map(Number);
}

async function waitFor<T>(look: () => T | undefined): Promise<T> {
  for (;;) {
    const found = look();
    if (found !== undefined) return found;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
