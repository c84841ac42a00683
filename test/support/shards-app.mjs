/**
 * A server of two shards whose threads die when they are told to (see `mortal-shard.mjs`), over the transport that is the
 * first argument, with the data of the directory that is the second one, if there is one. Prints its addresses, then the supervisor's reports; SIGINT asks it for INFO, SIGUSR2 closes it and prints
 * what it held of the kernel before it was started and what it holds once its rings must have come round, SIGTERM closes it, prints what became of that, and ends it, SIGHUP ends it
 * at once.
 */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import process from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { divideSlots } from '../../dist/core/slots.js';
import { openDataDirectory } from '../../dist/runtime/disk/data-directory.js';
import { Supervisor } from '../../dist/runtime/supervisor.js';
import { TICK_MS } from '../../dist/transports/transport.js';

const print = (line) => process.stdout.write(`${line}\n`);

/** How many descriptors of rings and eventfds there are, and mappings of rings. */
function held() {
  const names = readdirSync('/proc/self/fd').map((descriptor) => {
    try {
      return readlinkSync(`/proc/self/fd/${descriptor}`);
    } catch {
      // The one that the folder was read by.
      return '';
    }
  });
  const maps = readFileSync('/proc/self/maps', 'utf8').split('\n');
  return {
    rings: names.filter((name) => name.includes('io_uring')).length,
    eventfds: names.filter((name) => name.includes('eventfd')).length,
    mappings: maps.filter((line) => line.includes('io_uring')).length,
  };
}

const SEGMENT_BYTES = 256 * 1024;

const [transport, data] = process.argv.slice(2);
if (data !== undefined) await openDataDirectory(data, divideSlots(2), SEGMENT_BYTES);
const log = {
  data,
  fsync: 'everysec',
  segmentBytes: SEGMENT_BYTES,
  maxLogBytes: 4 * SEGMENT_BYTES,
  snapshotEveryMs: 0,
};

const before = held();
const supervisor = await Supervisor.start({
  listen: 'tcp://127.0.0.1:0',
  transport,
  engine: 'swiss',
  shards: 2,
  log: data && log,
  script: fileURLToPath(new URL('mortal-shard.mjs', import.meta.url)),
  report: (line) => print(`report ${line}`),
});
process.on('SIGTERM', async () => {
  const failure = await supervisor.close(200).then(
    () => undefined,
    ({ message }) => message,
  );
  print(failure ?? 'closed');
  process.exit(failure === undefined ? 0 : 1);
});
process.on('SIGUSR2', async () => {
  await supervisor.close(0);
  await sleep(2 * TICK_MS);
  print(`held ${JSON.stringify({ before, after: held() })}`);
});
process.on('SIGINT', async () => print(`info ${JSON.stringify(await supervisor.info())}`));
process.on('SIGHUP', () => process.exit(7));
// It does not end by itself when it has been closed.
setInterval(() => {}, 1000);
print(`addresses ${supervisor.addresses.join(' ')}`);
