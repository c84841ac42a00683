/** What a shard's thread runs: it opens the shard it was given the settings of, and does what the supervisor orders. */
import { setImmediate } from 'node:timers/promises';
import { RemoteKeeper } from './log/remote-keeper.ts';
import { openShard, type ShardSettings } from './shard.ts';
import type { ShardOrder, ShardReport } from './shard-thread.ts';
import { thisWorker } from './workers.ts';

/** How often the event loop goes round before the thread is ended that could not open its shard. */
const LAST_ROUNDS = 4;

const { data, post, onOrder } = thisWorker<ShardSettings, ShardOrder, ShardReport>();

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** The message of what is thrown: it would end the thread, with all that its shard holds. */
function refusalOf(doing: () => void): string | undefined {
  try {
    doing();
    return undefined;
  } catch (error) {
    return messageOf(error);
  }
}

try {
  const keeper = new RemoteKeeper((id, task) => post({ kind: 'task', id, task }));
  const report = (line: string): void => post({ kind: 'line', line });
  const shard = await openShard(data, { ownsThread: true, keeper, report });
  onOrder((order) => {
    switch (order.kind) {
      case 'map':
        shard.map = order.map;
        post({ kind: 'mapped' });
        return;
      case 'info':
        post({ kind: 'info', id: order.id, info: shard.info() });
        return;
      case 'secrets':
        post({ kind: 'secrets', id: order.id, refusal: refusalOf(() => shard.setSecrets(order.secrets)) });
        return;
      case 'snapshot':
        shard.snapshot();
        return;
      case 'done':
        keeper.done(order.id, order.result);
        return;
      case 'undone':
        keeper.undone(order.id, order.failure);
        return;
      case 'close':
        shard
          .close(order.graceMs, () => post({ kind: 'syncing' }))
          .then(
            () => post({ kind: 'closed', failure: undefined }),
            (error: unknown) => post({ kind: 'closed', failure: messageOf(error) }),
          );
    }
  });
  post({ kind: 'listening', address: shard.address, thread: shard.thread });
} catch (error) {
  // A transport frees what it has opened when the event loop comes round, which it no longer does once the thread is ended.
  for (let round = 0; round < LAST_ROUNDS; round++) await setImmediate();
  post({ kind: 'failed', message: messageOf(error) });
}
