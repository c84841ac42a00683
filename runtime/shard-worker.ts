/** What a shard's thread runs: it opens the shard it was given the settings of, and does what the supervisor orders. */
import { openShard, type ShardSettings } from './shard.ts';
import type { ShardOrder, ShardReport } from './shard-thread.ts';
import { thisWorker } from './workers.ts';

const { data, post, onOrder } = thisWorker<ShardSettings, ShardOrder, ShardReport>();

try {
  const shard = await openShard(data, { ownsThread: true });
  onOrder((order) => {
    switch (order.kind) {
      case 'map':
        shard.map = order.map;
        post({ kind: 'mapped' });
        return;
      case 'info':
        post({ kind: 'info', id: order.id, info: shard.info() });
        return;
      case 'close':
        void shard.close(order.graceMs).then(() => post({ kind: 'closed' }));
    }
  });
  post({ kind: 'listening', address: shard.address, thread: shard.thread });
} catch (error) {
  post({ kind: 'failed', message: error instanceof Error ? error.message : String(error) });
}
