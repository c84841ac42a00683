/**
 * The client of the suite `syscalls`: a program of its own that stores the keys and then sends exactly as many operations as
 * it is told to, no more and no less, so that what is counted meanwhile belongs to them.
 */
import { currentRuntime } from '../../../runtime/choose.ts';
import { type Client, connect } from '../../../runtime/client.ts';
import { parseAddress } from '../../../transports/address.ts';
import { createTransport } from '../../../transports/transports.ts';
import { FramePool } from '../../load/frames.ts';
import { Load } from '../../load/load.ts';
import { Random } from '../../load/random.ts';
import { infoFigures } from '../../load/server-figures.ts';
import { storeKeys } from '../../load/store-keys.ts';
import { WARMUP_FRAMES_MIN, warmUp } from '../../load/warm-up.ts';
import { type Operations, READ, Values, VERSIONS, YCSB_B_READ_SHARE } from '../../load/workload.ts';
import { nextOrder, runScript, say } from '../../servers/script.ts';
import type { Done, Order, RunOrder, SyscallsEvent, SyscallsPlan } from './plan.ts';

const runtime = currentRuntime();

async function serveOrders(plan: SyscallsPlan): Promise<never> {
  const { address, connections, keys, seed } = plan;
  const values = new Values(plan.valueBytes);
  const transport = createTransport(plan.transport);
  const client = await connect({ address, transport: transport.name });
  const load = await Load.open({ transport, address: parseAddress(address), connections, depth: 1 });
  await storeKeys(load, client, keys, values);
  const poolOf = ({ operations, order }: Pick<RunOrder, 'operations' | 'order'>): FramePool =>
    new FramePool(operationsIn(order, operations, keys, seed), 1, values);
  await warmUp(load, poolOf({ operations: WARMUP_FRAMES_MIN, order: 'random' }));
  tell({ event: 'loaded' });
  for (;;) {
    const order = JSON.parse(await nextOrder()) as RunOrder;
    const pool = poolOf(order);
    tell({ event: 'ready' });
    await nextOrder();
    tell({ event: 'done', done: await measure(load, pool, order.asksFigures ? client : undefined) });
  }
}

async function measure(load: Load, pool: FramePool, asked: Client | undefined): Promise<Done> {
  const serverBefore = asked && (await infoFigures(asked));
  const before = runtime.cpuTime();
  const startMs = performance.now();
  await load.once(pool);
  const elapsedMicros = (performance.now() - startMs) * 1000;
  const after = runtime.cpuTime();
  const serverAfter = asked && (await infoFigures(asked));
  return {
    elapsedMicros,
    client: {
      userMicros: after.userMicros - before.userMicros,
      systemMicros: after.systemMicros - before.systemMicros,
    },
    server:
      serverBefore === undefined || serverAfter === undefined
        ? null
        : {
            userMicros: serverAfter.cpuUserMicros - serverBefore.cpuUserMicros,
            systemMicros: serverAfter.cpuSystemMicros - serverBefore.cpuSystemMicros,
          },
  };
}

/** 95 % GET and 5 % SET, as YCSB's workload B has it. */
function operationsIn(order: Order, count: number, keys: number, seed: number): Operations {
  const random = new Random(seed);
  const keyNumbers = new Uint32Array(count);
  const versions = new Uint8Array(count);
  for (let i = 0; i < count; i++) {
    keyNumbers[i] = order === 'sequential' ? i % keys : Math.floor(random.fraction() * keys);
    const reads = random.fraction() < YCSB_B_READ_SHARE;
    versions[i] = reads ? READ : 1 + (random.next() % (VERSIONS - 1));
  }
  return { keyNumbers, versions };
}

function tell(event: SyscallsEvent): void {
  say(JSON.stringify(event));
}

await runScript(runtime, (argument) => serveOrders(argument as SyscallsPlan));
