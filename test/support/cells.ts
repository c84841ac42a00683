/** Every runtime × transport that the conformance tests are for, and why one of them can't run here. */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { describe } from 'vitest';
import type { Address, SecureAddress, TransportName } from '../../transports/transport.ts';
import { type Runtime, type RuntimeName, root, runtimes } from './children.ts';

export interface Cell {
  readonly runtime: Runtime;
  readonly transport: SocketTransportName;
  /** The kinds of address it serves without TLS. */
  readonly kinds: readonly SocketKind[];
  /** The kind that it serves with TLS; undefined when it has none. */
  readonly secureKind: SecureKind | undefined;
}

export type SocketTransportName = Exclude<TransportName, 'memory'>;
export type SecureKind = SecureAddress['kind'];
export type SocketKind = Exclude<Address['kind'], 'memory' | SecureKind>;

interface Row {
  /** Its own comes first. */
  readonly runtimes: readonly RuntimeName[];
  readonly kinds: readonly SocketKind[];
  readonly secureKind?: SecureKind;
  /** It may be missing where all is well: an optional dependency, or something the kernel need not have. */
  readonly isOptional?: true;
}

const sockets = ['tcp', 'unix'] as const;

/** Which transport is made for which runtimes. The others refuse it, which the tests of the transports look at. */
const rows: Readonly<Record<SocketTransportName, Row>> = {
  node: { runtimes: ['node', 'bun', 'deno'], kinds: sockets, secureKind: 'tls' },
  bun: { runtimes: ['bun'], kinds: sockets, secureKind: 'tls' },
  deno: { runtimes: ['deno'], kinds: sockets, secureKind: 'tls' },
  uring: { runtimes: ['node', 'bun', 'deno'], kinds: sockets, isOptional: true },
  uws: { runtimes: ['node'], kinds: ['ws'], secureKind: 'wss', isOptional: true },
  'bun-ws': { runtimes: ['bun'], kinds: ['ws'], secureKind: 'wss' },
  'deno-ws': { runtimes: ['deno'], kinds: ['ws'], secureKind: 'wss' },
};

/** Describes each cell by `suite`. One that can't run here is skipped, and its title says why. */
export function describeCells(suite: (cell: Cell) => void): void {
  describeRows(suite, (madeFor, name) => madeFor.includes(name));
}

/** The same for each transport on one runtime alone, its own: for tests of what other runtimes can't change. */
export function describeTransports(suite: (cell: Cell) => void): void {
  describeRows(suite, ([own], name) => own === name);
}

/** The same for those that serve TLS. */
export function describeSecureTransports(suite: (cell: Cell & { readonly secureKind: SecureKind }) => void): void {
  describeRows(
    ({ secureKind, ...cell }) => suite({ ...cell, secureKind: secureKind! }),
    ([own], name, { secureKind }) => own === name && secureKind !== undefined,
  );
}

function describeRows(
  suite: (cell: Cell) => void,
  isMeant: (madeFor: readonly RuntimeName[], runtime: RuntimeName, row: Row) => boolean,
): void {
  const here = runtimes();
  for (const name of ['node', 'bun', 'deno'] as const) {
    const runtime = here.find((one) => one.name === name);
    if (runtime === undefined) {
      describe.skip(`${name}: neither in node_modules/.bin nor on PATH`, () => {});
      continue;
    }
    const reasons = unavailable(runtime);
    for (const [transport, row] of Object.entries(rows) as [SocketTransportName, Row][]) {
      const { runtimes: madeFor, kinds, secureKind, isOptional } = row;
      if (!isMeant(madeFor, name, row)) continue;
      // What must be there is tested even if it says that it can't run: then the tests fail, as they should.
      const reason = isOptional ? reasons[transport] : null;
      if (reason === null) describe(`${transport} on ${name}`, () => suite({ runtime, transport, kinds, secureKind }));
      else describe.skip(`${transport} on ${name}: ${reason}`, () => {});
    }
  }
}

/** Why each transport can't run under a runtime; null when it can. */
function unavailable({ command: [program, ...args] }: Runtime): Readonly<Record<SocketTransportName, string | null>> {
  const script = join(root, 'test/support/availability.mjs');
  const { stdout, stderr } = spawnSync(program!, [...args, script, ...Object.keys(rows)], { encoding: 'utf8' });
  if (stdout === '') throw new Error(`${program} does not tell which transports can run: ${stderr}`);
  return JSON.parse(stdout) as Record<SocketTransportName, string | null>;
}
