/**
 * A server of two shards whose threads die when they are told to (see `mortal-shard.mjs`), over the transport that is the
 * first argument. Prints its addresses, then the supervisor's reports; SIGTERM closes it, SIGINT asks it for INFO,
 * SIGHUP ends it at once.
 */
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { Supervisor } from '../../dist/runtime/supervisor.js';

const print = (line) => process.stdout.write(`${line}\n`);

const supervisor = await Supervisor.start({
  listen: 'tcp://127.0.0.1:0',
  transport: process.argv[2],
  engine: 'swiss',
  shards: 2,
  script: fileURLToPath(new URL('mortal-shard.mjs', import.meta.url)),
  report: (line) => print(`report ${line}`),
});
process.on('SIGTERM', async () => {
  await supervisor.close(200);
  print('closed');
  process.exit(0);
});
process.on('SIGINT', async () => print(`info ${JSON.stringify(await supervisor.info())}`));
process.on('SIGHUP', () => process.exit(7));
print(`addresses ${supervisor.addresses.join(' ')}`);
