/**
 * What sending a block is bound by: system calls, memory copies, the server or the client. It is derived from three
 * measurements of the same client and transport, with the CPU times of both processes:
 *
 * - the block itself,
 * - the bare echo of as many bytes, which is what the transports do without a store,
 * - the bare echo of next to none, which is what an exchange costs whatever its length.
 *
 * The time of an operation is then put together of four parts, each in microseconds of both processes:
 *
 * - system calls: the system time of the smallest echo; and time in which neither process ran, since somebody who is not
 *   running has to be woken up
 * - copies: what the echo of as many bytes costs beyond the smallest, in the kernel and outside of it
 * - server: the user time of the server in the smallest echo, and all that it needs beyond its echo
 * - client: likewise
 *
 * The greatest part is what it is bound by. `docs/bench.md` has the rule in words.
 */

/** One measurement. CPU time and time that passed per operation. Unit: microseconds. */
export interface Costs {
  readonly elapsedMicros: number;
  readonly serverUserMicros: number;
  readonly serverSystemMicros: number;
  readonly clientUserMicros: number;
  readonly clientSystemMicros: number;
}

export const PARTS = ['systemCalls', 'copies', 'server', 'client'] as const;
export type Part = (typeof PARTS)[number];

export interface Attribution {
  readonly bound: Part;
  /** The part after it, if it comes so near that noise could turn them round: within `CLOSE_SHARE`. */
  readonly closeTo: Part | undefined;
  /** Of the whole, by part; together 1. */
  readonly shares: Readonly<Record<Part, number>>;
  /** The part of `systemCalls` in which neither process ran. */
  readonly waitingShare: number;
  /** One process has a core full and the other has not: only its own parts count. */
  readonly full: 'server' | 'client' | undefined;
  /** Throughput by that of the bare echo of as many bytes: 1 is as fast. */
  readonly echoShare: number;
  /** How many plain copies of the block in memory would take as long as the part `copies` does. */
  readonly plainCopies: number;
}

/** A process that uses this much of a core has it full. */
export const FULL_CORE = 0.95;

/** Copies are the limit only where throughput comes at least this near to that of the bare echo. */
export const NEAR_ECHO_SHARE = 0.5;

/** Two parts whose shares differ by less are told both. */
export const CLOSE_SHARE = 0.05;

/** `copyMicros` is how long one plain copy of the block takes in memory. */
export function attribute(block: Costs, echo: Costs, smallest: Costs, copyMicros: number): Attribution {
  const full = fullProcess(block);
  const counts = (side: 'server' | 'client'): boolean => full === undefined || full === side;
  const server = counts('server') ? sideParts('server', block, echo, smallest) : NOTHING;
  const client = counts('client') ? sideParts('client', block, echo, smallest) : NOTHING;
  const waiting =
    full === undefined ? Math.max(0, block.elapsedMicros - cpu('server', block) - cpu('client', block)) : 0;
  const copies = server.copies + client.copies;
  const parts: Record<Part, number> = {
    systemCalls: server.systemCalls + client.systemCalls + waiting,
    copies,
    server: server.own,
    client: client.own,
  };
  const whole = PARTS.reduce((sum, part) => sum + parts[part], 0) || 1;
  const share = (part: Part): number => parts[part] / whole;
  const echoShare = echo.elapsedMicros / block.elapsedMicros;
  const candidates = PARTS.filter((part) => part !== 'copies' || echoShare >= NEAR_ECHO_SHARE);
  const [bound, next] = candidates.toSorted((a, b) => parts[b] - parts[a]) as [Part, Part];
  return {
    bound,
    closeTo: share(bound) - share(next) < CLOSE_SHARE ? next : undefined,
    shares: {
      systemCalls: share('systemCalls'),
      copies: share('copies'),
      server: share('server'),
      client: share('client'),
    },
    waitingShare: waiting / whole,
    full,
    echoShare,
    plainCopies: copies / copyMicros,
  };
}

interface SideParts {
  readonly systemCalls: number;
  readonly copies: number;
  readonly own: number;
}

const NOTHING: SideParts = { systemCalls: 0, copies: 0, own: 0 };

function sideParts(side: 'server' | 'client', block: Costs, echo: Costs, smallest: Costs): SideParts {
  return {
    systemCalls: smallest[`${side}SystemMicros`],
    copies: Math.max(0, cpu(side, echo) - cpu(side, smallest)),
    own: smallest[`${side}UserMicros`] + Math.max(0, cpu(side, block) - cpu(side, echo)),
  };
}

function cpu(side: 'server' | 'client', costs: Costs): number {
  return costs[`${side}UserMicros`] + costs[`${side}SystemMicros`];
}

function fullProcess(block: Costs): Attribution['full'] {
  const isFull = (side: 'server' | 'client'): boolean => cpu(side, block) / block.elapsedMicros >= FULL_CORE;
  if (isFull('server') === isFull('client')) return undefined;
  return isFull('server') ? 'server' : 'client';
}
