/**
 * The conformance suite of the server once more, with a log, whose replies wait until it has what they show: in every cell under
 * the policy that has them wait for the disk, over every transport under the one that has not; `no` differs from that by when it
 * syncs alone. The segments are shorter than the longest requests.
 */
import { join } from 'node:path';
import { describe } from 'vitest';
import type { FsyncPolicy } from '../../core/log/committer.ts';
import { type Cell, describeCells, describeTransports } from '../support/cells.ts';
import { temporaryDirectory } from '../support/data.ts';
import { serverSuite } from './server-suite.ts';

const folder = temporaryDirectory();

const suite =
  (policy: FsyncPolicy) =>
  ({ runtime, transport, kinds }: Cell): void => {
    const kind = kinds.includes('tcp') ? 'tcp' : 'ws';
    describe(`--fsync ${policy}`, () => {
      const data = join(folder, `${runtime.name}-${transport}-${policy}`);
      const flags = ['--data', data, '--fsync', policy, '--max-log', '16m'];
      serverSuite({ runtime, transport, listen: `${kind}://127.0.0.1:0`, flags });
    });
  };

describeCells(suite('always'));
describeTransports(suite('everysec'));
