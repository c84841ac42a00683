/** One test of durability: a server is written to, dies at a random write, starts again, and is asked for what it promised. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Random } from '../../load/random.ts';
import type { Cell } from '../../servers/cell.ts';
import { type ServerChild, startServerChild } from '../../servers/server.ts';
import { LossyVolume } from './power-loss.ts';
import { type Acknowledged, survivors, writeUntilGone } from './writers.ts';

/** When acknowledged writes are made durable; `none` is a server without a log. */
export type Policy = 'always' | 'everysec' | 'no' | 'none';

/** How a server ends. */
export type Death = 'kill' | 'power-loss';

export interface TrialOptions {
  /** The script of the command. */
  readonly entry: string;
  readonly cell: Cell;
  readonly policy: Policy;
  readonly death: Death;
  /**
   * When the server dies, while it is written to: at a random one of so many acknowledged writes, or when what is called with it
   * and its directory of data resolves.
   */
  readonly moment: { readonly writes: number } | ((server: ServerChild, data: string) => Promise<void>);
  /** Further flags of `serve`. */
  readonly flags?: readonly string[];
  readonly seed: number;
  readonly signal: AbortSignal;
}

/** A type, not an interface: figures are read by their names. */
export type TrialFigures = Readonly<{
  /** Writes that the server said were done. */
  acknowledged: number;
  persisted: number;
  lost: number;
  /** Of the acknowledged writes, from 0 to 1. */
  lossRate: number;
  /** From the first acknowledged write to the death: `lostSpanMillis` can be no more. */
  writtenMillis: number;
  /** From when the first lost write was acknowledged to the death; 0 when none was lost. */
  lostSpanMillis: number;
  /** Writes that were not acknowledged and are there. */
  unacknowledgedPersisted: number;
  /** Until the server was ready again. */
  restartMillis: number;
}>;

/** Rejects with an `Error` when the server does not start again, ends by itself, or has a value that nobody wrote. */
export async function trial(options: TrialOptions): Promise<TrialFigures> {
  const { entry, cell, policy, death, flags = [], signal } = options;
  const folder = await mkdtemp(join(tmpdir(), 'ringkv-durability-'));
  try {
    await using volume = death === 'power-loss' ? await LossyVolume.make(folder) : undefined;
    const data = join(volume?.path ?? folder, 'data');
    const logged = policy === 'none' ? [] : ['--data', data, '--fsync', policy];
    const start = () => startServerChild(cell.runtime, entry, cell.transport, { signal, flags: [...logged, ...flags] });

    const { written, diedMs } = await liveAndDie(await start(), data, volume, options);
    await volume?.unmount();
    await volume?.mount();

    const startMs = performance.now();
    const again = await start();
    await using _ = again.child;
    const restartMillis = performance.now() - startMs;
    const { persisted, lost, unacknowledged } = await survivors(again.address, written);
    const acknowledged = written.writes.size;
    const since = (numbers: Iterable<number>): number => {
      let firstMs = diedMs;
      for (const number of numbers) firstMs = Math.min(firstMs, written.writes.get(number)!);
      return diedMs - firstMs;
    };
    return {
      acknowledged,
      persisted,
      lost: lost.length,
      lossRate: acknowledged === 0 ? 0 : lost.length / acknowledged,
      writtenMillis: since(written.writes.keys()),
      lostSpanMillis: since(lost),
      unacknowledgedPersisted: unacknowledged,
      restartMillis,
    };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Writes to the server until its moment has come, and ends it. Resolves when it is gone. */
async function liveAndDie(
  server: ServerChild,
  data: string,
  volume: LossyVolume | undefined,
  { moment, seed }: TrialOptions,
): Promise<{ written: Acknowledged; diedMs: number }> {
  await using child = server.child;
  let diedMs: number | undefined;
  const die = (): void => {
    if (diedMs !== undefined) return;
    diedMs = performance.now();
    volume?.losePower();
    void child.lastLines('SIGKILL');
  };
  const dieAt = typeof moment === 'function' ? Number.POSITIVE_INFINITY : 1 + (new Random(seed).next() % moment.writes);
  const writing = writeUntilGone(server.address, seed, (count) => {
    if (count >= dieAt) die();
  });
  // Writing ends only with the server: an error here must not be waited for in vain.
  if (typeof moment === 'function') await moment(server, data).finally(die);
  const written = await writing;
  if (diedMs === undefined) throw new Error(`the server ended by itself, of seed ${seed}: ${child.stderr}`);
  return { written, diedMs };
}
