/**
 * The script of a shard's thread on a slow disk: each sync of the log takes `RINGKV_TEST_SYNC_MS` longer, and those that have
 * returned leave a file at `RINGKV_TEST_SYNCED`. All else is the real script's.
 */
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import process from 'node:process';

const { fdatasync } = fs;
fs.fdatasync = (descriptor, done) => {
  setTimeout(() => {
    fdatasync(descriptor, (error) => {
      fs.writeFileSync(process.env.RINGKV_TEST_SYNCED, '');
      done(error);
    });
  }, Number(process.env.RINGKV_TEST_SYNC_MS));
};
syncBuiltinESMExports();

await import('../../dist/runtime/shard-worker.js');
