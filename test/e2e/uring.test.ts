/** A server over io_uring where things are not as usual. */
import { afterEach, describe, expect, test } from 'vitest';
import { Op } from '../../core/protocol.ts';
import { createUringTransport } from '../../transports/uring.ts';
import { type Child, runtimes } from '../support/children.ts';
import { startServe } from '../support/command.ts';
import { request, WireClient } from '../support/wire.ts';

const availability = createUringTransport().availability();
const bun = runtimes().find(({ name }) => name === 'bun');
const why = bun === undefined ? 'there is no Bun' : availability.available ? '' : availability.reason;

const children: Child[] = [];
afterEach(async () => {
  await Promise.all(children.splice(0).map((child) => child.stop('SIGKILL')));
});

describe.skipIf(why !== '')(`uring on bun, whose WebAssembly memories move when they grow ${why}`, () => {
  test('a reply that waits for its peer is what it was, whatever is stored meanwhile', async () => {
    // Bun reserves address space for a few memories of a process only. The kernel once went on sending from where the
    // reply had been, which were other clients' values by then.
    const env = { BUN_JSC_maxNumWasmFastMemories: '0' };
    const { child, ready } = await startServe(['--transport', 'uring'], { runtime: bun!, env });
    children.push(child);
    const value = Buffer.alloc(12 * 1024 * 1024);
    for (let i = 0; i < value.length; i++) value[i] = (i * 31 + (i >>> 10)) & 0xff;
    const client = await WireClient.dial(ready.address);
    expect(await client.call([Op.SET, 'large', value])).toEqual([true]);
    const slow = await WireClient.dial(ready.address);
    slow.peer.pause();
    slow.peer.write(request([Op.GET, 'large']));
    for (let i = 0; i < 200; i++) {
      expect(await client.call([Op.SET, `other ${i}`, Buffer.alloc(500_000, `other ${i}`)])).toEqual([true]);
    }
    slow.peer.resume();
    const [got] = (await slow.reply()) as [Uint8Array];
    expect(Buffer.compare(got, value)).toBe(0);
    await Promise.all([client.close(), slow.close()]);
  });
});
