/**
 * What was synced survives a loss of power, and what was not need not: servers on a file system of their own that is shut down
 * under them. `RINGKV_POWER_LOSS_ROUNDS` says how many rounds `always` gets, 5 by default. Needs root and Linux.
 */
import { existsSync, mkdtempSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { EVERYSEC_LOSS_MS_MAX } from '../../bench/suites/durability/durability.ts';
import { LossyVolume, noPowerLoss } from '../../bench/suites/durability/power-loss.ts';
import { type Policy, type TrialOptions, trial } from '../../bench/suites/durability/trial.ts';
import { Op } from '../../core/protocol.ts';
import type { TransportName } from '../../transports/transport.ts';
import { createTransport } from '../../transports/transports.ts';
import { type RuntimeName, runtimes, startChild } from '../support/children.ts';
import { entry, startServe } from '../support/command.ts';
import { temporaryDirectory } from '../support/data.ts';
import { WireClient } from '../support/wire.ts';

const ROUNDS = Number(process.env.RINGKV_POWER_LOSS_ROUNDS ?? 5);

const TIMEOUT = { timeout: 120_000 };

/** The runtimes whose calls of the file system differ, and the ring, which makes its own. */
const cells: readonly (readonly [TransportName, RuntimeName])[] = [
  ['uring', 'node'],
  ['node', 'node'],
  ['bun', 'bun'],
  ['deno', 'deno'],
];

const here = runtimes();
const hasRing = createTransport('uring').availability().available;
const cellsHere = cells.flatMap(([transport, name]) => {
  const runtime = here.find((one) => one.name === name);
  return runtime === undefined || (transport === 'uring' && !hasRing) ? [] : [[transport, runtime] as const];
});

/** Rounds of each moment that is met on purpose: each cell once, and more of them in a full run. */
const MOMENT_ROUNDS = Math.max(cellsHere.length, Math.ceil(ROUNDS / 5));

const cellAt = (at: number) => cellsHere[at % cellsHere.length]!;
const numbers = (count: number): number[] => Array.from({ length: count }, (_, at) => at);

const folder = temporaryDirectory();

const reason = await noPowerLoss();

type Moment = TrialOptions['moment'];

/** Some syncs and more than two seconds into the work, in each cell at another point between two syncs. Unit: milliseconds. */
const LIFE_MS = 2500;
const LIFE_STEP_MS = 130;

/** In the middle of a snapshot that was asked for: so long after it was seen to be made. */
function inSnapshot(delayMs: number): Moment {
  return async ({ address, child }) => {
    const client = await WireClient.dial(address);
    const info = async () => (await client.call([Op.INFO]))[0] as Record<string, number>;
    while ((await info()).logWrites! < 20) await sleep(1);
    process.kill(child.pid, 'SIGUSR2');
    while ((await info()).snapshotIsRunning === 0) await sleep(1);
    await sleep(delayMs);
  };
}

/** When the log has gone on in another segment so many times: then one more is prepared. The first is prepared at the start. */
function atSegmentChange(changes: number): Moment {
  return async (_, data) => {
    const newest = (): string => segmentsOf(data).sort().at(-1)!;
    for (let prepared = 0; prepared <= changes; prepared++) {
      const before = newest();
      while (newest() === before) await sleep(1);
    }
  };
}

/** The longest that no write was answered, of so long. Unit: milliseconds. */
async function longestSilence(address: string, lifeMs: number): Promise<number> {
  const client = await WireClient.dial(address);
  let answeredMs = performance.now();
  let longestMs = 0;
  const heard = (): void => {
    longestMs = Math.max(longestMs, performance.now() - answeredMs);
    answeredMs = performance.now();
  };
  const asking = (async () => {
    for (;;) {
      await client.call([Op.SET, 'silence', 1]);
      heard();
      await sleep(5);
    }
  })();
  // It ends with the connection.
  asking.catch(() => {});
  await sleep(lifeMs);
  heard();
  return longestMs;
}

/**
 * How old a lost write may be when nothing was answered for so long. Half a second after a sync has begun the answers wait for
 * it, so silence tells how long a sync takes that takes longer than that. The one after it begins half a second later at the
 * latest, and may be under way when the power goes: what was answered since the first began is lost then.
 */
function lossMsMax(silenceMs: number): number {
  return silenceMs < 100 ? EVERYSEC_LOSS_MS_MAX : 500 + 2 * (500 + silenceMs) + 100;
}

function segmentsOf(data: string): string[] {
  return readdirSync(data, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.log'));
}

describe.skipIf(reason !== undefined)(`a loss of power${reason === undefined ? '' : `: ${reason}`}`, () => {
  const lose = (at: number, policy: Policy, moment: Moment, flags: readonly string[] = []) => {
    const { signal } = new AbortController();
    const [transport, { name, command }] = cellAt(at);
    const cell = { runtime: { name, executable: command[0]! }, transport };
    return trial({ entry, cell, policy, death: 'power-loss', moment, seed: 1 + at, signal, flags });
  };

  const keepsAll = async (at: number, moment: Moment): Promise<void> => {
    // Small segments, so that they change, and are gathered in snapshots.
    const { acknowledged, lost } = await lose(at, 'always', moment, ['--max-log', '1m']);
    expect(acknowledged).toBeGreaterThan(0);
    expect(lost).toBe(0);
  };

  test.each(numbers(ROUNDS))('loses nothing that always has acknowledged, round %i', TIMEOUT, async (round) => {
    // In one of four it hardly gets to its first write.
    await keepsAll(round, { writes: round % 4 === 3 ? 20 : 8000 });
  });

  test.each(numbers(MOMENT_ROUNDS))('nor in the middle of a snapshot, round %i', TIMEOUT, async (round) => {
    await keepsAll(round, inSnapshot(5 * round));
  });

  test.each(numbers(MOMENT_ROUNDS))('nor when the log goes on in another segment, round %i', TIMEOUT, async (round) => {
    await keepsAll(round, atSegmentChange(1 + (round % 3)));
  });

  test.each(numbers(MOMENT_ROUNDS))(
    'is no obstacle to a server that starts for the first time, round %i',
    TIMEOUT,
    async (round) => {
      const [transport, runtime] = cellAt(round);
      await using volume = await LossyVolume.make(mkdtempSync(join(folder, 'first-')));
      const data = join(volume.path, 'data');
      const args = ['--transport', transport, '--data', data, '--fsync', 'always', '--max-log', '1m'];
      const first = startChild(runtime, 'dist/ringkv.js', ['serve', '--listen', 'tcp://127.0.0.1:0', ...args]);
      while (!existsSync(data)) await sleep(1);
      await sleep(3 * round);
      volume.losePower();
      await first.stop('SIGKILL');
      await volume.unmount();
      await volume.mount();
      const { child, ready } = await startServe(args, { runtime });
      const client = await WireClient.dial(ready.address);
      expect(await client.call([Op.COUNT], [Op.SET, 'k', 1])).toEqual([0, true]);
      await client.close();
      expect(await child.stop()).toBe(0);
    },
  );

  test.each(numbers(cellsHere.length))(
    'loses a second of what everysec has answered at most, cell %i',
    TIMEOUT,
    async (at) => {
      let silenceMs = 0;
      const { writtenMillis, lostSpanMillis } = await lose(at, 'everysec', async ({ address }) => {
        silenceMs = await longestSilence(address, LIFE_MS + at * LIFE_STEP_MS);
      });
      expect(writtenMillis).toBeGreaterThan(2 * EVERYSEC_LOSS_MS_MAX);
      expect(lostSpanMillis, `silent for ${silenceMs} ms`).toBeLessThanOrEqual(lossMsMax(silenceMs));
    },
  );

  test('loses more than that of what was never synced, or the tests above would prove nothing', TIMEOUT, async () => {
    const { lostSpanMillis } = await lose(0, 'no', () => sleep(LIFE_MS));
    expect(lostSpanMillis).toBeGreaterThan(EVERYSEC_LOSS_MS_MAX);
  });
});
