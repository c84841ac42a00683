/** The conformance suite of the transports: `memory` in this process first, then every runtime × transport that is here. */
import { describe } from 'vitest';
import { createMemoryTransport } from '../../transports/memory.ts';
import { naturalTransport } from '../../transports/transports.ts';
import { runtimes } from '../support/children.ts';
import { floodBytes } from '../support/transport-app.mjs';
import { startMemoryServer } from '../support/transport-peers.ts';
import { serverSuite, socketSuite } from './transport-suite.ts';

const memory = createMemoryTransport();
let names = 0;
describe('memory', () => serverSuite(() => startMemoryServer(memory, `memory:${++names}`), floodBytes));

for (const runtime of runtimes()) {
  for (const transport of new Set(['node', naturalTransport(runtime.name)] as const)) {
    for (const kind of ['tcp', 'unix'] as const) {
      describe(`${transport} on ${runtime.name}, ${kind}`, () => socketSuite({ transport, runtime, kind }, floodBytes));
    }
  }
}
