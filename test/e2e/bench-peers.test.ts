/** The suite `peers` as a user runs it, small: every store that is here gets the same work, and is gone afterwards. */
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { afterAll, expect, test } from 'vitest';
import { readReport } from '../../bench/results/validate.ts';
import { unpinned } from '../../bench/servers/pinning.ts';
import { WatchedProcess, whyNoProcessFigures } from '../../bench/servers/process-figures.ts';
import { PEER_NAMES, type PeerName } from '../../bench/suites/peers/peer-names.ts';
import { findPeers, startPeer } from '../../bench/suites/peers/peer-server.ts';
import type { PeersReport } from '../../bench/suites/peers/peers.ts';
import { run } from '../support/command.ts';

const folder = mkdtempSync(join(tmpdir(), 'ringkv-peers-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const { found, skipped } = await findPeers(PEER_NAMES);
const reason = whyNoProcessFigures() ?? (found.length > 0 ? '' : skipped.map((one) => one.reason).join('; '));
const why = reason === '' ? '' : ` (skipped: ${reason})`;

test.skipIf(reason !== '')(`peers measures ringkv and others alike${why}`, { timeout: 180_000 }, async () => {
  const file = join(folder, 'peers.json');
  const cells = ['--runtimes', 'node', '--transports', 'node', '--generator', 'node', '--batches', '1,16'];
  const sizes = ['--keys', '2000', '--connections', '4', '--depth', '2', '--rounds', '1', '--seconds', '0.3'];
  const { code, stdout, stderr } = await run(['bench', 'peers', ...cells, ...sizes, '--json', file]);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });

  const report = readReport(file) as PeersReport;
  const names = [null, ...found.map(({ name }) => name)];
  expect(report.workload).toMatch(/^[0-9a-f]{16}$/);
  expect(report.cells.map(({ dimensions }) => [dimensions.batch, dimensions.peer])).toEqual(
    [1, 16].flatMap((batch) => names.map((name) => [batch, name])),
  );
  expect(report.skipped).toEqual(expect.arrayContaining([...skipped]));
  for (const { name, version } of found) expect(report.versions[name]).toBe(version);
  for (const { dimensions, figures, percentiles } of report.rounds) {
    expect(figures.operations! % dimensions.batch!).toBe(0);
    expect(figures.opsPerSecond).toBeGreaterThan(0);
    expect(figures.serverMicrosPerOp).toBeGreaterThan(0);
    expect(figures.serverMicrosPerOp! * figures.opsPerSecond!).toBeCloseTo(figures.serverCores! * 1e6, 0);
    expect(figures.serverPeakBytes).toBeGreaterThan(1024 * 1024);
    expect(percentiles!.p9999Micros).toBeGreaterThanOrEqual(percentiles!.p50Micros);
  }
  for (const name of ['node on node', ...found.map((one) => one.name)]) expect(stdout).toContain(`\n${name}  `);
  for (const one of skipped) expect(stdout).toContain(`skipped ${one.label}: ${one.reason}\n`);
});

test('peers says what is missing, and where Debian has it', async () => {
  const path = { ...process.env, PATH: folder };
  const args = ['bench', 'peers', '--peers', 'redis,memcached', '--runtimes', 'node'];
  const { code, stdout, stderr } = await run(args, { env: path });
  expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
  if (whyNoProcessFigures() === undefined) {
    expect(stderr).toContain("redis: redis-server is not on the PATH; it is in Debian's package redis-server");
    expect(stderr).toContain("memcached: memcached is not on the PATH; it is in Debian's package memcached");
  }
});

const leftovers = (name: PeerName): string[] =>
  readdirSync(tmpdir()).filter((entry) => entry.startsWith(`ringkv-bench-${name}-`));

test.skipIf(reason !== '')(`a store is ended by its process id, and its folder removed${why}`, async () => {
  for (const { name } of found) {
    const before = leftovers(name);
    const needs = { keys: 10, valueBytes: 100, connections: 1 };
    const controller = new AbortController();
    const peer = await startPeer(name, needs, { signal: controller.signal, pinning: unpinned });
    expect(new WatchedProcess(peer.pid).figures().peakResidentBytes).toBeGreaterThan(0);
    expect(leftovers(name).length).toBeGreaterThan(before.length);
    await peer[Symbol.asyncDispose]();
    expect(existsSync(`/proc/${peer.pid}`)).toBe(false);
    expect(leftovers(name)).toEqual(before);
  }
});

test.skipIf(whyNoProcessFigures() !== undefined)('what /proc tells of a process is what it tells of itself', () => {
  const endMs = performance.now() + 200;
  while (performance.now() < endMs);
  const { user, system } = process.cpuUsage();
  const { cpuUserMicros, cpuSystemMicros, peakResidentBytes } = new WatchedProcess(process.pid).figures();
  const told = cpuUserMicros + cpuSystemMicros;
  // Threads that have ended count only in what the process tells of itself; the clock of /proc is up to a tick behind.
  expect(told).toBeLessThan((user + system) * 1.1 + 50_000);
  expect(told).toBeGreaterThan(50_000);
  expect(peakResidentBytes).toBeGreaterThan(10 * 1024 * 1024);
});

test.skipIf(whyNoProcessFigures() !== undefined)('a thread that ends takes none of its CPU time with it', async () => {
  const watched = new WatchedProcess(process.pid);
  const total = (): number => {
    const { cpuUserMicros, cpuSystemMicros } = watched.figures();
    return cpuUserMicros + cpuSystemMicros;
  };
  // Busy, then still there, until it is ended.
  const script = `const endMs = performance.now() + 300;
    while (performance.now() < endMs);
    require('node:worker_threads').parentPort.postMessage('done');
    setInterval(() => {}, 1000);`;
  const worker = new Worker(script, { eval: true });
  await new Promise((resolve) => worker.once('message', resolve));
  const before = total();
  await worker.terminate();
  expect(total()).toBeGreaterThanOrEqual(before);
});
