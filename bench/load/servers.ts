/** The servers that a load generator works on: what they speak, what they tell of themselves, and filling them. */
import { connect } from '../../runtime/client.ts';
import { parseAddress } from '../../transports/address.ts';
import type { Address, Transport } from '../../transports/transport.ts';
import { EchoControl, EchoPool } from '../servers/echo-protocol.ts';
import { WatchedProcess } from '../servers/process-figures.ts';
import { clientTransport } from './client-transport.ts';
import { Load } from './load.ts';
import type { GeneratorPlan, Language, ServerFigures } from './plan.ts';
import { infoFigures } from './server-figures.ts';
import { type Part, shardsOf } from './shards.ts';
import { assertCount, type MakePool, makeFramePool, sendKeys } from './store-keys.ts';
import { TextPool } from './text-pool.ts';
import type { Values } from './workload.ts';

/** How many connections fill a server, and with how many frames in flight. */
export interface Filling {
  readonly connections: number;
  readonly depth: number;
}

/** What is known of one server beside its replies to the load. */
interface Acquaintance {
  /** Undefined when it doesn't tell. */
  readonly figures?: () => Promise<ServerFigures>;
  /** Its shards, if it has any. Default: it is one. */
  readonly shards?: readonly Part[];
  /** Rejects when it does not have so many keys; undefined when it holds none, or doesn't tell. */
  readonly assertCount?: (keys: number) => Promise<void>;
  readonly close: () => unknown;
}

const makePools: Readonly<Record<Language, MakePool>> = {
  ringkv: makeFramePool,
  echo: (...content) => new EchoPool(...content),
  resp: (...content) => new TextPool('resp', ...content),
  memcached: (...content) => new TextPool('memcached', ...content),
};

const acquaintances: Readonly<Record<Language, (transport: Transport, address: string) => Promise<Acquaintance>>> = {
  async ringkv(transport, address) {
    const client = await connect({ address, transport: transport.name });
    return {
      figures: () => infoFigures(client),
      shards: await shardsOf(client, parseAddress(address)),
      assertCount: (keys) => assertCount(client, keys),
      close: () => client.close(),
    };
  },
  async echo(transport, address) {
    const control = await EchoControl.open(transport, parseAddress(address));
    return { figures: () => control.figures(), close: () => control.close() };
  },
  // Others are known by their process. That all keys are there shows in the replies: a miss is a wrong one.
  resp: async () => ({ close() {} }),
  memcached: async () => ({ close() {} }),
};

export type ServersPlan = Pick<GeneratorPlan, 'addresses' | 'language' | 'pids' | 'transport'>;

export class Servers {
  readonly transport: Transport;
  readonly address: readonly Address[];
  readonly makePool: MakePool;
  readonly #plan: ServersPlan;
  readonly #acquaintances: readonly Acquaintance[];
  /** Undefined where the servers are asked themselves. */
  readonly #processes: readonly WatchedProcess[] | undefined;

  constructor(plan: ServersPlan, transport: Transport, all: readonly Acquaintance[]) {
    this.transport = transport;
    this.address = plan.addresses.map(parseAddress);
    this.makePool = makePools[plan.language];
    this.#plan = plan;
    this.#acquaintances = all;
    this.#processes = plan.pids?.map((pid) => new WatchedProcess(pid));
  }

  /** What all of them have used together. Rejects when one of them does not tell. */
  readonly figures = async (): Promise<ServerFigures> => {
    const all = this.#processes?.map((one) => one.figures()) ?? (await this.#ask());
    const sum = (name: keyof ServerFigures): number => all.reduce((total, one) => total + one[name], 0);
    return {
      cpuUserMicros: sum('cpuUserMicros'),
      cpuSystemMicros: sum('cpuSystemMicros'),
      peakResidentBytes: sum('peakResidentBytes'),
    };
  };

  /** Stores the keys 0 to `keys` - 1 in each of them. Rejects when one does not have exactly as many afterwards. */
  async storeKeys(keys: number, values: Values, filling: Filling): Promise<void> {
    if (this.#plan.language === 'echo') return;
    for (const [place, server] of this.address.entries()) {
      const { shards = [{ address: server }], assertCount } = this.#acquaintances[place]!;
      for (const { address, owns } of shards) {
        const load = await Load.open({ transport: this.transport, address, ...filling });
        await sendKeys(load, this.makePool, keys, values, owns);
        load.close();
      }
      await assertCount?.(keys);
    }
  }

  /** Where the load goes: to all servers alike, unless one has shards. */
  get parts(): readonly Part[] {
    const shards = this.#acquaintances.flatMap((one) => one.shards ?? []);
    return shards.length > this.address.length ? shards : [{ address: this.address }];
  }

  /** How many there are that have to get warm: servers, or their shards, each of which has code of its own to compile. */
  get young(): number {
    return Math.max(this.address.length, this.parts.length);
  }

  async close(): Promise<void> {
    for (const one of this.#acquaintances) await one.close();
  }

  #ask(): Promise<readonly ServerFigures[]> {
    return Promise.all(
      this.#acquaintances.map(({ figures }) => {
        if (figures === undefined) throw new Error(`a server that speaks ${this.#plan.language} tells no CPU time`);
        return figures();
      }),
    );
  }
}

/** Connects to all of them. Rejects when one of them can't be reached. */
export async function openServers(plan: ServersPlan): Promise<Servers> {
  const transport = clientTransport(parseAddress(plan.addresses[0]!), plan.transport);
  const known = await Promise.all(plan.addresses.map((address) => acquaintances[plan.language](transport, address)));
  return new Servers(plan, transport, known);
}
