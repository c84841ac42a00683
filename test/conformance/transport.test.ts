/** The conformance suite of the transports: `memory` in this process first, then every runtime × transport. */
import { describe, expect, it } from 'vitest';
import { createMemoryTransport } from '../../transports/memory.ts';
import { describeCells, describeSecureTransports } from '../support/cells.ts';
import { hasOpenssl, serverCertificate, whyNoOpenssl } from '../support/certificates.ts';
import { runtimes, startChild } from '../support/children.ts';
import { floodBytes } from '../support/transport-app.mjs';
import { startMemoryServer, startServer } from '../support/transport-peers.ts';
import { serverSuite, socketSuite } from './transport-suite.ts';

const memory = createMemoryTransport();
let names = 0;
const traits = { framing: 'stream', resets: true, opensDescriptors: false, isSecure: false } as const;
describe('memory', () => serverSuite(() => startMemoryServer(memory, `memory:${++names}`), floodBytes, traits));

const secrets = hasOpenssl ? serverCertificate() : undefined;

describeCells(({ runtime, transport, kinds }) => {
  for (const kind of kinds) describe(kind, () => socketSuite({ transport, runtime, kind }, floodBytes));
});

/** With TLS, each transport on its own runtime, and as a server alone; what its clients do, the end-to-end tests of TLS look at. */
describeSecureTransports(({ runtime, transport, secureKind }) => {
  const framing = secureKind === 'wss' ? 'message' : 'stream';
  // The TLS that Deno (2.9) has for Node tells of a reset as of an end.
  const resets = !(secureKind === 'tls' && runtime.name === 'deno');
  const traits = { framing, resets, opensDescriptors: runtime.name === 'deno', isSecure: true } as const;
  describe.skipIf(secrets === undefined)(`${secureKind}${whyNoOpenssl}`, () =>
    serverSuite(() => startServer(runtime, transport, `${secureKind}://127.0.0.1:0`, secrets), floodBytes, traits),
  );
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
