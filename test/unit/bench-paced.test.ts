/** The benchmark's open loop: frames leave when they are due, and latency counts from then on. */
import { afterEach, expect, test } from 'vitest';
import { FramePool } from '../../bench/load/frames.ts';
import { PacedRun } from '../../bench/load/paced-run.ts';
import { Peer } from '../../bench/load/peer.ts';
import { loading, Values } from '../../bench/load/workload.ts';
import type { Connection } from '../../transports/transport.ts';
import { encode } from '../support/bytes.ts';
import { frame } from '../support/wire.ts';

const pool = new FramePool(loading(0, 100), 1, new Values(50));
const reply = frame(encode([true]));
const runs: PacedRun[] = [];

afterEach(() => {
  for (const run of runs.splice(0)) run.stop();
});

/** Connections that note when something is sent over them, and which one it was. */
function sinks(count: number, capacity = 100) {
  const sent: { readonly peer: number; readonly atMs: number }[] = [];
  let onSend = (): void => {};
  const peers = Array.from({ length: count }, (_, peer) => {
    const connection: Connection = {
      framing: 'stream',
      pendingBytes: 0,
      send() {
        sent.push({ peer, atMs: performance.now() });
        onSend();
      },
      pauseReading() {},
      resumeReading() {},
      end() {},
      destroy() {},
    };
    return new Peer(connection, capacity);
  });
  const reached = (total: number) =>
    new Promise<void>((resolve) => {
      onSend = () => {
        if (sent.length >= total) resolve();
      };
    });
  return { peers, sent, reached };
}

function start(peers: readonly Peer[], everyMs: number): PacedRun {
  const run = new PacedRun(pool, peers, everyMs);
  runs.push(run);
  return run;
}

test('each connection has its turn, none before its time, whether replies come or not', async () => {
  const { peers, sent, reached } = sinks(4);
  const startMs = performance.now();
  start(peers, 20);
  await reached(12);
  for (const [number, { peer, atMs }] of sent.entries()) {
    expect(peer).toBe(number % 4);
    expect(atMs - startMs).toBeGreaterThanOrEqual(number * 5);
  }
});

test('latency counts from the time a frame was due, however late it was sent', async () => {
  const { peers, sent, reached } = sinks(1, 10_000);
  const run = start(peers, 1);
  // Nothing else runs meanwhile: frames become due and can't be sent.
  const stalledMs = performance.now();
  while (performance.now() - stalledMs < 50);
  await reached(3);
  run.stop();
  for (const _ of sent) peers[0]!.data(reply);
  await run.finished;
  expect(run.framesDone).toBe(sent.length);
  expect(run.lateness.percentiles().maxMicros).toBeGreaterThan(40_000);
  expect(run.latency.percentiles().maxMicros).toBeGreaterThan(40_000);
});

test('a connection with as many frames in flight as it may have sends the next when a reply comes', async () => {
  const { peers, sent, reached } = sinks(2, 3);
  const run = start(peers, 2);
  await reached(6);
  const stalledMs = performance.now();
  while (performance.now() - stalledMs < 50) await new Promise(setImmediate);
  expect(sent).toHaveLength(6);
  peers[1]!.data(reply);
  expect(sent).toHaveLength(7);
  expect(sent[6]!.peer).toBe(1);
  run.stop();
  // What was due before is still sent, and counts from the time it was due.
  const due = sent.length;
  const replies = [0, 1];
  for (const [place, peer] of peers.entries()) {
    for (; replies[place]! < sent.filter((one) => one.peer === place).length; replies[place]!++) peer.data(reply);
  }
  await run.finished;
  expect(sent.length).toBeGreaterThan(due + 20);
  expect(run.framesDone).toBe(sent.length);
  expect(run.latency.percentiles().maxMicros).toBeGreaterThan(40_000);
});

test('records what becomes due from a time on', async () => {
  const { peers, sent, reached } = sinks(1, 10_000);
  const run = start(peers, 1);
  await reached(3);
  const stalledMs = performance.now();
  while (performance.now() - stalledMs < 50);
  const recordingMs = performance.now();
  run.startRecording();
  await reached(sent.length + 60);
  run.stop();
  for (const _ of sent) peers[0]!.data(reply);
  await run.finished;
  expect(run.framesDone).toBe(sent.length);
  // What was due before has waited for longer than this.
  expect(run.latency.percentiles().maxMicros).toBeLessThan((performance.now() - recordingMs) * 1000);
  expect(run.latency.percentiles().maxMicros).toBeGreaterThan(0);
});

test('what is abandoned counts with the time it has waited', async () => {
  const { peers, sent, reached } = sinks(2, 2);
  const run = start(peers, 2);
  await reached(4);
  const stalledMs = performance.now();
  while (performance.now() - stalledMs < 50) await new Promise(setImmediate);
  run.stop();
  run.abandon();
  await run.finished;
  expect(sent).toHaveLength(4);
  expect(run.framesDone).toBe(0);
  expect(run.latency.percentiles().maxMicros).toBeGreaterThan(50_000);
});

test('a generator that is too slow forgets nothing of what was due', async () => {
  const { peers } = sinks(2, 4);
  const startMs = performance.now();
  // Ten million frames a second.
  const run = start(peers, 2 / 10_000);
  run.startRecording();
  while (performance.now() - startMs < 60) await new Promise(setImmediate);
  run.stop();
  run.abandon();
  await run.finished;
  const { p50Micros, maxMicros } = run.latency.percentiles();
  expect(maxMicros).toBeGreaterThan(50_000);
  expect(p50Micros).toBeGreaterThan(25_000);
  expect(run.lateness.percentiles().p50Micros).toBeGreaterThan(20_000);
});

test('a connection that is lost ends the run', async () => {
  const { peers } = sinks(2);
  const run = start(peers, 1000);
  peers[1]!.close();
  await expect(run.finished).rejects.toThrow('a connection to the server is lost');
});
