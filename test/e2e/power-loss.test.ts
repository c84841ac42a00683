/**
 * What was synced survives a loss of power, and what was not need not: servers on a file system of their own that is shut down
 * under them. `RINGKV_POWER_LOSS_ROUNDS` says how many rounds `always` gets, 5 by default. Needs root and Linux.
 */
import { describe, expect, test } from 'vitest';
import { EVERYSEC_LOSS_MS_MAX } from '../../bench/suites/durability/durability.ts';
import { noPowerLoss } from '../../bench/suites/durability/power-loss.ts';
import { type Policy, type TrialFigures, trial } from '../../bench/suites/durability/trial.ts';
import type { TransportName } from '../../transports/transport.ts';
import { createTransport } from '../../transports/transports.ts';
import { type RuntimeName, runtimes } from '../support/children.ts';
import { entry } from '../support/command.ts';

const ROUNDS = Number(process.env.RINGKV_POWER_LOSS_ROUNDS ?? 5);

/** The runtimes whose calls of the file system differ, and the ring, which makes its own. */
const cells: readonly (readonly [TransportName, RuntimeName])[] = [
  ['uring', 'node'],
  ['node', 'node'],
  ['bun', 'bun'],
  ['deno', 'deno'],
];

const here = cells.filter(
  ([transport, name]) =>
    runtimes().some((one) => one.name === name) &&
    (transport !== 'uring' || createTransport(transport).availability().available),
);

const reason = await noPowerLoss();

describe.skipIf(reason !== undefined)(`a loss of power${reason === undefined ? '' : `: ${reason}`}`, () => {
  const lose = (at: number, policy: Policy, seed: number, options: { writes: number; flags?: readonly string[] }) => {
    const [transport, name] = here[at % here.length]!;
    const runtime = runtimes().find((one) => one.name === name)!;
    const cell = { runtime: { name, executable: runtime.command[0]! }, transport };
    const { signal } = new AbortController();
    return trial({ entry, cell, policy, death: 'power-loss', seed, signal, ...options });
  };

  test.each(Array.from({ length: ROUNDS }, (_, round) => round))(
    'loses nothing that always has acknowledged, round %i',
    { timeout: 120_000 },
    async (round) => {
      // Small segments, so that they change and are gathered in snapshots meanwhile; and one that hardly gets to its first.
      const writes = round % 4 === 3 ? 20 : 8000;
      const { acknowledged, lost } = await lose(round, 'always', 1 + round, { writes, flags: ['--max-log', '1m'] });
      expect(acknowledged).toBeGreaterThan(0);
      expect(lost).toBe(0);
    },
  );

  test('loses a second of everysec at most', { timeout: 120_000 }, async () => {
    const { lostSpanMillis } = await lose(0, 'everysec', 7, { writes: 60_000 });
    expect(lostSpanMillis).toBeLessThanOrEqual(EVERYSEC_LOSS_MS_MAX);
  });

  test('loses writes that were never synced, or the tests above would prove nothing', {
    timeout: 120_000,
  }, async () => {
    const results: TrialFigures[] = [];
    for (let at = 0; at < 3 && results.every(({ lost }) => lost === 0); at++) {
      results.push(await lose(at, 'no', 11 + at, { writes: 3000 }));
    }
    expect(results.at(-1)!.lost, JSON.stringify(results)).toBeGreaterThan(0);
  });
});
