/** The conformance suite of the transports: `memory` in this process first, then every runtime × transport. */
import { describe, expect, it } from 'vitest';
import { createMemoryTransport } from '../../transports/memory.ts';
import { describeCells } from '../support/cells.ts';
import { runtimes, startChild } from '../support/children.ts';
import { floodBytes } from '../support/transport-app.mjs';
import { startMemoryServer } from '../support/transport-peers.ts';
import { serverSuite, socketSuite } from './transport-suite.ts';

const memory = createMemoryTransport();
let names = 0;
const traits = { framing: 'stream', resets: true, opensDescriptors: false } as const;
describe('memory', () => serverSuite(() => startMemoryServer(memory, `memory:${++names}`), floodBytes, traits));

describeCells(({ runtime, transport, kinds }) => {
  for (const kind of kinds) describe(kind, () => socketSuite({ transport, runtime, kind }, floodBytes));
});

/** The transports that are part of one runtime. */
const belonging = [
  ['bun', 'bun'],
  ['deno', 'deno'],
  ['uws', 'node'],
  ['bun-ws', 'bun'],
  ['deno-ws', 'deno'],
] as const;

for (const runtime of runtimes()) {
  const { name } = runtime;
  for (const [foreign, needed] of belonging.filter(([, owner]) => owner !== name)) {
    it(`${foreign} on ${name} is refused with reason and remedy`, async () => {
      const args = [foreign, 'serve', 'tcp://127.0.0.1:0'];
      const child = startChild(runtime, 'test/support/transport-app.mjs', args);
      const [line] = await child.waitForLine(/^(refused|listening).*/);
      expect(line.toLowerCase()).toMatch(
        new RegExp(
          `^refused unavailable transport ${foreign} can't run here: needs ${needed}; ` +
            `this is ${name} [0-9.]+; start with --runtime ${needed}$`,
        ),
      );
      await child.stop();
    });
  }
}
