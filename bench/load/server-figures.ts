/** What a server tells of itself through INFO. */
import type { Client } from '../../runtime/client.ts';
import type { ServerFigures } from './plan.ts';

export interface InfoFigures extends ServerFigures {
  readonly residentBytes: number;
  /** Open connections, that of the client included. */
  readonly connections: number;
}

/** Asks for them. Rejects with an `Error` when one is missing. */
export async function infoFigures(client: Client): Promise<InfoFigures> {
  return askFor(client, ['cpuUserMicros', 'cpuSystemMicros', 'residentBytes', 'peakResidentBytes', 'connections']);
}

/** Asks for the numbers that INFO calls so. Rejects with an `Error` when one is missing. */
export async function askFor<Name extends string>(
  client: Client,
  names: readonly Name[],
): Promise<Readonly<Record<Name, number>>> {
  const info = await client.info();
  const figures = names.map((name) => {
    const value = info[name];
    if (typeof value !== 'number') throw new Error(`the server's INFO has no number called ${name}`);
    return [name, value] as const;
  });
  return Object.fromEntries(figures) as Record<Name, number>;
}
