/**
 * The conformance suite of the server once more, with a log, whose replies wait until it has what they show: over every transport,
 * under every policy. The segments are shorter than the longest requests.
 */
import { join } from 'node:path';
import { describe } from 'vitest';
import { FSYNC_POLICIES } from '../../core/log/committer.ts';
import { describeTransports } from '../support/cells.ts';
import { temporaryDirectory } from '../support/data.ts';
import { serverSuite } from './server-suite.ts';

const folder = temporaryDirectory();

describeTransports(({ runtime, transport, kinds }) => {
  const kind = kinds.includes('tcp') ? 'tcp' : 'ws';
  describe.each(FSYNC_POLICIES)('--fsync %s', (policy) => {
    const data = join(folder, `${transport}-${policy}`);
    const flags = ['--data', data, '--fsync', policy, '--max-log', '16m'];
    serverSuite({ runtime, transport, listen: `${kind}://127.0.0.1:0`, flags });
  });
});
