/**
 * The conformance suite of the server once more, with a log, whose replies wait until it has what they show: over the transports
 * whose ways of sending differ, under the policy that makes them wait longest, and under the others over one of them. The segments
 * are shorter than the longest requests.
 */
import { join } from 'node:path';
import { describe } from 'vitest';
import { FSYNC_POLICIES } from '../../core/log/committer.ts';
import { describeTransports } from '../support/cells.ts';
import { temporaryDirectory } from '../support/data.ts';
import { serverSuite } from './server-suite.ts';

const folder = temporaryDirectory();

describeTransports(({ runtime, transport, kinds }) => {
  if (!kinds.includes('tcp')) {
    describe.skip('replies that are messages are held like all others, by the shard', () => {});
    return;
  }
  const policies = FSYNC_POLICIES.filter((policy) => policy === 'always' || transport === 'uring');
  describe.each(policies)('--fsync %s', (policy) => {
    const data = join(folder, `${transport}-${policy}`);
    const flags = ['--data', data, '--fsync', policy, '--max-log', '16m'];
    serverSuite({ runtime, transport, listen: 'tcp://127.0.0.1:0', flags });
  });
});
