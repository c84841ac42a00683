/** Which runtime this is, for the transports that belong to one. */
import { versions } from 'node:process';
import type { Availability } from './transport.ts';

const names = { node: 'Node', bun: 'Bun', deno: 'Deno' } as const;

/** The availability of a transport that is part of one runtime. */
export function availableOn(needed: keyof typeof names): Availability {
  // Bun and Deno pass themselves off as Node as well.
  const runtime = versions.bun !== undefined ? 'bun' : versions.deno !== undefined ? 'deno' : 'node';
  if (runtime === needed) return { available: true };
  return {
    available: false,
    reason: `needs ${names[needed]}; this is ${names[runtime]} ${versions[runtime]}`,
    remedy: `start with --runtime ${needed}`,
  };
}
