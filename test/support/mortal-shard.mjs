/**
 * The script of a shard's thread that dies when it is told to, by what is written to the unix socket that its data names:
 * `throw`, `reject` or `exit`; `hang` keeps it busy for ever, `deaf` makes it take no orders, `mortal` lets it die when it is closed.
 * All else is the real script's.
 */
import { rmSync } from 'node:fs';
import { createServer } from 'node:net';
import process from 'node:process';
import { parentPort, workerData } from 'node:worker_threads';

const path = `${process.env.RINGKV_TEST_SOCKET}.${workerData.among.shard}`;
rmSync(path, { force: true });

let isDeaf = false;
let isMortal = false;
const on = parentPort.on.bind(parentPort);
parentPort.on = (event, listener) =>
  on(event, (...args) => {
    if (isMortal && args[0].kind === 'close') throw new Error('told to die at the end');
    return isDeaf || listener(...args);
  });

createServer((socket) => {
  socket.on('error', () => {});
  socket.on('data', (bytes) => {
    switch (String(bytes)) {
      case 'throw':
        throw new Error('told to\n  die');
      case 'reject':
        void Promise.reject(new Error('told to reject'));
        return;
      case 'exit':
        process.exit(3);
        return;
      case 'deaf':
        isDeaf = true;
        socket.write('deaf');
        return;
      case 'mortal':
        isMortal = true;
        socket.write('mortal');
        return;
      case 'hang':
        socket.write('hanging', () => {
          for (;;);
        });
    }
  });
}).listen(path);

await import('../../dist/runtime/shard-worker.js');
