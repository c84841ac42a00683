/** A server on `uring` under Bun, as `serve` runs it, but that its shard's thread has a profiler. Says where it listens, closes when it is told a line, and says so. */
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { currentRuntime } from '../../../runtime/choose.ts';
import { Supervisor } from '../../../runtime/supervisor.ts';
import { nextOrder, runScript, say } from '../../servers/script.ts';

/** What clients may take to leave. Unit: milliseconds. */
const GRACE_MS = 1000;

const runtime = currentRuntime();

async function serve(): Promise<void> {
  const supervisor = await Supervisor.start({
    listen: 'tcp://127.0.0.1:0',
    transport: 'uring',
    engine: 'swiss',
    shards: 1,
    report: (line) => process.stderr.write(`${line}\n`),
    script: fileURLToPath(new URL('./bun-shard-worker.js', import.meta.url)),
  });
  say(supervisor.addresses[0]!);
  // Whatever the order says: there is but one.
  await nextOrder();
  await supervisor.close(GRACE_MS);
  say('closed');
}

await runScript(runtime, serve);
