/** The conformance suite of the server, against every runtime × transport × kind of address that is here. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe } from 'vitest';
import { naturalTransport } from '../../transports/transports.ts';
import { runtimes } from '../support/children.ts';
import { serverSuite } from './server-suite.ts';

const folder = mkdtempSync(join(tmpdir(), 'ringkv-'));
afterAll(() => rmSync(folder, { recursive: true }));

for (const runtime of runtimes()) {
  for (const transport of new Set(['node', naturalTransport(runtime.name)] as const)) {
    for (const listen of ['tcp://127.0.0.1:0', `unix:${join(folder, `${runtime.name}-${transport}`)}`]) {
      describe(`${transport} on ${runtime.name}, ${listen.split(':')[0]}`, () => {
        serverSuite({ runtime, transport, listen });
      });
    }
  }
}
