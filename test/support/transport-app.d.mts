import type { Address, Transport } from '../../transports/transport.ts';

export function floodBytes(from?: number, to?: number): Uint8Array;
export function startApp(
  transport: Transport,
  address: Address,
  formatAddress: (address: Address) => string,
  print: (line: string) => void,
): Promise<{ command(line: string): Promise<void> }>;
export function playScenario(transport: Transport, address: Address, scenario: string): Promise<string>;
