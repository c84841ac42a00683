/** The conformance suite of the transports: `memory` in this process first, then every runtime × transport. */
import { describe, expect, it } from 'vitest';
import { createMemoryTransport } from '../../transports/memory.ts';
import { naturalTransport } from '../../transports/transports.ts';
import { runtimes, startChild } from '../support/children.ts';
import { floodBytes } from '../support/transport-app.mjs';
import { startMemoryServer } from '../support/transport-peers.ts';
import { serverSuite, socketSuite } from './transport-suite.ts';

const memory = createMemoryTransport();
let names = 0;
describe('memory', () => serverSuite(() => startMemoryServer(memory, `memory:${++names}`), floodBytes));

const found = runtimes();
for (const name of ['node', 'bun', 'deno'] as const) {
  const runtime = found.find((candidate) => candidate.name === name);
  if (runtime === undefined) {
    describe.skip(`${name}: neither in node_modules/.bin nor on PATH`, () => it('serves', () => {}));
    continue;
  }
  for (const transport of new Set(['node', naturalTransport(name)] as const)) {
    for (const kind of ['tcp', 'unix'] as const) {
      describe(`${transport} on ${name}, ${kind}`, () => socketSuite({ transport, runtime, kind }, floodBytes));
    }
  }
  for (const foreign of (['bun', 'deno'] as const).filter((transport) => transport !== name)) {
    it(`${foreign} on ${name} is refused with reason and remedy`, async () => {
      const args = [foreign, 'serve', 'tcp://127.0.0.1:0'];
      const child = startChild(runtime, 'test/support/transport-app.mjs', args);
      const [line] = await child.waitForLine(/^(refused|listening).*/);
      expect(line.toLowerCase()).toMatch(
        new RegExp(
          `^refused unavailable transport ${foreign} can't run here: needs ${foreign}; ` +
            `this is ${name} [0-9.]+; start with --runtime ${foreign}$`,
        ),
      );
      await child.stop();
    });
  }
}
