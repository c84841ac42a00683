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
  const info = await client.info();
  const figure = (name: keyof InfoFigures): number => {
    const value = info[name];
    if (typeof value !== 'number') throw new Error(`the server's INFO has no number called ${name}`);
    return value;
  };
  return {
    cpuUserMicros: figure('cpuUserMicros'),
    cpuSystemMicros: figure('cpuSystemMicros'),
    residentBytes: figure('residentBytes'),
    peakResidentBytes: figure('peakResidentBytes'),
    connections: figure('connections'),
  };
}
