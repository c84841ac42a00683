/**
 * Clients that write as fast as they are answered until their server is gone, and remember what was acknowledged: what a
 * server that starts again must have.
 *
 * Each write is a frame of two operations. One sets a key of its own, to a value that follows from its number; the other
 * overwrites the same key of its client each time, so that a log which is replayed in another order is found out.
 */
import { setMaxListeners } from 'node:events';
import { type Client, type ClientState, connect } from '../../../runtime/client.ts';
import { Random } from '../../load/random.ts';

/** Clients that write at the same time, and frames that each has in flight: so that commits have something to gather. */
const CLIENTS = 8;
const DEPTH = 4;

/** Values have up to so many bytes. */
const VALUE_BYTES_MAX = 400;

/** Keys that are read in one frame when it is looked what is there. */
const READ_BATCH = 500;

/** What a server that was started again must answer for. */
export interface Acknowledged {
  readonly seed: number;
  /** By their numbers, when they were acknowledged. Unit of the values: milliseconds, of `performance.now`. */
  readonly writes: ReadonlyMap<number, number>;
  /** Writes that were begun: those from here on must not be there. */
  readonly begun: number;
  /** Of each client, the number of its last write that was acknowledged; -1 for none. */
  readonly lastOfClient: readonly number[];
}

/** What became of the acknowledged writes. */
export interface Survivors {
  readonly persisted: number;
  /** The numbers of those that are not there, or whose key was set back to an earlier value. */
  readonly lost: readonly number[];
  /** Writes that are there although nobody was told so, as is their right. */
  readonly unacknowledged: number;
}

/**
 * Writes until the server is gone: it is the caller who ends it. `onAcknowledged` is told how many writes are acknowledged,
 * each time. Resolves when no client can write any more.
 */
export async function writeUntilGone(
  address: string,
  seed: number,
  onAcknowledged: (count: number) => void,
): Promise<Acknowledged> {
  const acknowledged = new Map<number, number>();
  const lastOfClient = new Array<number>(CLIENTS).fill(-1);
  // A client would wait for the server to come back, and so would we.
  const gone = new AbortController();
  setMaxListeners(CLIENTS * DEPTH, gone.signal);
  const onState = (state: ClientState): void => {
    if (state !== 'connected') gone.abort();
  };
  let begun = 0;
  const write = async (client: Client, place: number): Promise<void> => {
    while (!gone.signal.aborted) {
      const number = begun++;
      const batch = client.batch().set(keyOfWrite(number), valueOfWrite(seed, number)).set(keyOfClient(place), number);
      try {
        await batch.send({ signal: gone.signal });
      } catch {
        // It was not acknowledged, and whether it was done is for the server to know.
        return;
      }
      acknowledged.set(number, performance.now());
      lastOfClient[place] = Math.max(lastOfClient[place]!, number);
      onAcknowledged(acknowledged.size);
    }
  };
  const opening = Array.from({ length: CLIENTS }, () =>
    connect({ address, timeoutMs: Number.POSITIVE_INFINITY, onState }),
  );
  const clients = await Promise.all(opening);
  await Promise.all(clients.flatMap((client, place) => Array.from({ length: DEPTH }, () => write(client, place))));
  await Promise.all(clients.map((client) => client.close().catch(() => {})));
  return { seed, writes: acknowledged, begun, lastOfClient };
}

/**
 * Asks a server that was started again for all that was written. Rejects with an `Error` when it has a value that nobody
 * wrote: that is worse than a lost one.
 */
export async function survivors(
  address: string,
  { seed, writes, begun, lastOfClient }: Acknowledged,
): Promise<Survivors> {
  const client = await connect(address);
  try {
    const there = new Set<number>();
    for (let from = 0; from < begun; from += READ_BATCH) {
      const numbers = Array.from({ length: Math.min(READ_BATCH, begun - from) }, (_, at) => from + at);
      const batch = client.batch<unknown[]>();
      for (const number of numbers) batch.get(keyOfWrite(number));
      const values = await batch.send();
      for (const [at, number] of numbers.entries()) {
        const value = values[at];
        if (value === undefined) continue;
        if (value !== valueOfWrite(seed, number)) {
          throw new Error(`after the restart ${keyOfWrite(number)} has a value that nobody wrote, of seed ${seed}`);
        }
        there.add(number);
      }
    }
    const lost = [...writes.keys()].filter((number) => !there.has(number));
    for (const [place, last] of lastOfClient.entries()) {
      const value = await client.get(keyOfClient(place));
      // Frames of one client are executed in their order, so its key may only have gone on.
      if (last >= 0 && !(typeof value === 'number' && value >= last) && there.has(last)) lost.push(last);
    }
    const unacknowledged = [...there].filter((number) => !writes.has(number)).length;
    return { persisted: writes.size - lost.length, lost, unacknowledged };
  } finally {
    await client.close();
  }
}

function keyOfWrite(number: number): string {
  return `write:${number}`;
}

function keyOfClient(place: number): string {
  return `last:${place}`;
}

/** Begins with its number, and has a length of its own. */
function valueOfWrite(seed: number, number: number): string {
  return `${seed}:${number}:`.padEnd(new Random(seed + number).next() % VALUE_BYTES_MAX, 'ringkv');
}
