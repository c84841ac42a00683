/** The torture of every runtime × transport, over TCP. */
import { describeCells } from '../support/cells.ts';
import { tortureSuite } from './torture.ts';

describeCells(({ runtime, transport, kinds }) => {
  const kind = kinds.includes('tcp') ? 'tcp' : 'ws';
  tortureSuite({ runtime, transport, listen: `${kind}://127.0.0.1:0` });
});
