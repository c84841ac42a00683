/**
 * The script of a shard's thread whose ring takes `RINGKV_TEST_SYNC_MS` longer for each write of the log. One that has begun leaves a
 * file at `RINGKV_TEST_SYNCED` with `.begun` added, one that has ended a file at `RINGKV_TEST_SYNCED`. All else is the real script's.
 */
import fs from 'node:fs';
import process from 'node:process';
import { Loop } from '../../dist/transports/uring/loop.js';

const synced = process.env.RINGKV_TEST_SYNCED;
const { register } = Loop.prototype;
Loop.prototype.register = function (target) {
  if (target.constructor.name === 'FileWrite') {
    const complete = target.complete.bind(target);
    fs.writeFileSync(`${synced}.begun`, '');
    target.complete = (...completion) => {
      setTimeout(() => {
        fs.writeFileSync(synced, '');
        complete(...completion);
      }, Number(process.env.RINGKV_TEST_SYNC_MS));
    };
  }
  return register.call(this, target);
};

await import('../../dist/runtime/shard-worker.js');
