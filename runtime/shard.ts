/** One shard on the thread that calls: its engine and its transport, put together. */
import type { Info } from '../core/info.ts';
import { Shard } from '../core/server/shard.ts';
import { ALL_SLOTS, type ShardMap } from '../core/slots.ts';
import { formatAddress, parseAddress } from '../transports/address.ts';
import type { BlockedThread, TransportName, TransportOptions } from '../transports/transport.ts';
import { createTransport } from '../transports/transports.ts';
import { currentRuntime } from './choose.ts';
import { createEngine, type EngineName } from './engine.ts';
import { packageVersion } from './package.ts';

/** Plain data, so that it can be given to a thread. */
export interface ShardSettings {
  readonly listen: string;
  readonly transport: TransportName;
  readonly engine: EngineName;
  /** Default: that of `ShardOptions`. */
  readonly maxFrameBytes?: number | undefined;
  /** Default: that of `EngineOptions`. */
  readonly memoryBytesMax?: number | undefined;
  /**
   * Which of the server's shards this is, counted from 0, and all of them, as far as their addresses are known before they
   * listen. Default: the only one, with all slots, where it listens.
   */
  readonly among?: { readonly shard: number; readonly map: ShardMap } | undefined;
}

export interface OpenShard {
  /** Where it listens, with the real port. */
  readonly address: string;
  /** What others need of the thread, if the transport blocks it. */
  readonly thread: BlockedThread | undefined;
  /** What HELLO and `MOVED` tell of all shards. */
  map: ShardMap;
  /** What INFO answers. */
  info(): Info<string | number>;
  /** As `Listener.close`. */
  close(graceMs: number): Promise<void>;
}

/**
 * Opens a shard on this thread, which has other things to do, or with `ownsThread` nothing else; it accepts connections once
 * this resolves. Rejects with an `Error` when the address is none or can't be listened at, and when the transport can't run
 * here; the message says why and what would help.
 */
export async function openShard(settings: ShardSettings, options: TransportOptions = {}): Promise<OpenShard> {
  const { among, maxFrameBytes, memoryBytesMax } = settings;
  const runtime = currentRuntime();
  const transport = createTransport(settings.transport, options);
  const asked = parseAddress(settings.listen);
  const alone = (url: string): ShardMap => [[ALL_SLOTS.first, ALL_SLOTS.last, url]];
  const open = { map: among?.map ?? alone(formatAddress(asked)) };
  const [first, last] = open.map[among?.shard ?? 0]!;
  const shard = new Shard({
    engine: await createEngine(settings.engine, {
      slots: { first, last },
      ...(memoryBytesMax === undefined ? {} : { memoryBytesMax }),
    }),
    identity: { version: packageVersion, runtime: `${runtime.name}/${runtime.version}`, transport: transport.name },
    now: Date.now,
    shards: () => open.map,
    ...(maxFrameBytes === undefined ? {} : { maxFrameBytes }),
    processFigures() {
      const { userMicros, systemMicros } = runtime.cpuTime();
      return { pid: runtime.pid, cpuUserMicros: userMicros, cpuSystemMicros: systemMicros, ...runtime.memoryUse() };
    },
  });
  const listener = await transport.listen(asked, shard);
  const address = formatAddress(listener.address);
  if (among === undefined) open.map = alone(address);
  return Object.assign(open, {
    address,
    info: () => shard.info(),
    close: (graceMs: number) => listener.close(graceMs),
    thread: listener.thread,
  });
}
