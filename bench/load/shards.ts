/** The shards of a server, as those see them who make frames: one frame has keys of one shard only. */
import { slotOf } from '../../core/slots.ts';
import type { Client } from '../../runtime/client.ts';
import { parseAddress } from '../../transports/address.ts';
import type { Address } from '../../transports/transport.ts';
import { KEY_BYTES, writeKey } from './workload.ts';

/** Part of a server, or of several: who wants one of its keys has to ask there. */
export interface Part {
  /** Of several servers, each has all keys of the part. */
  readonly address: Address | readonly Address[];
  /** Whether the key is one of this part. Undefined when all are. */
  readonly owns?: (keyNumber: number) => boolean;
}

/** The shards of the server at `address`; the whole of it when it has one. */
export async function shardsOf(client: Client, address: Address): Promise<readonly Part[]> {
  const { shards } = await client.hello();
  if (shards.length < 2) return [{ address }];
  const key = new Uint8Array(KEY_BYTES);
  return shards.map(([first, last, url]) => ({
    address: parseAddress(url),
    owns: (keyNumber) => {
      writeKey(key, 0, keyNumber);
      const slot = slotOf(key);
      return slot >= first && slot <= last;
    },
  }));
}
