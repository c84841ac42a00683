/** The conformance suite of the server, against every runtime × transport × kind of address that is here. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe } from 'vitest';
import { describeCells } from '../support/cells.ts';
import { hasOpenssl, serverCertificate, whyNoOpenssl } from '../support/certificates.ts';
import { serverSuite } from './server-suite.ts';

const folder = mkdtempSync(join(tmpdir(), 'ringkv-'));
afterAll(() => rmSync(folder, { recursive: true }));
const secrets = hasOpenssl ? serverCertificate() : undefined;

describeCells(({ runtime, transport, kinds, secureKind }) => {
  for (const kind of kinds) {
    const listen = kind === 'unix' ? `unix:${join(folder, `${runtime.name}-${transport}`)}` : `${kind}://127.0.0.1:0`;
    describe(kind, () => serverSuite({ runtime, transport, listen }));
  }
  if (secureKind === undefined) return;
  const listen = `${secureKind}://127.0.0.1:0`;
  const flags = secrets === undefined ? [] : ['--tls-cert', secrets.cert, '--tls-key', secrets.key];
  describe.skipIf(secrets === undefined)(`${secureKind}${whyNoOpenssl}`, () =>
    serverSuite({ runtime, transport, listen, flags }),
  );
});
