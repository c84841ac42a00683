/** The transport `uws` where uWebSockets.js can't be loaded: it says why, and still connects, which needs no binary. */
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { decode } from '@msgpack/msgpack';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { WebSocketServer } from 'ws';
import { encode } from '../support/bytes.ts';
import { root, startChild } from '../support/children.ts';
import { entry, node, run } from '../support/command.ts';

/** Has `require` of uWebSockets.js fail with a message. */
const preload = (message: string): string => `
import Module from 'node:module';
const load = Module._load;
Module._load = function (request, ...rest) {
  if (request === 'uWebSockets.js') throw new Error(${JSON.stringify(message)});
  return load.call(this, request, ...rest);
};
`;

let folder: string;
let count = 0;

/** Node with a uWebSockets.js that fails so. */
function nodeWithout(message: string) {
  const file = join(folder, `${++count}.mjs`);
  writeFileSync(file, preload(message));
  return { ...node, command: [...node.command, '--import', pathToFileURL(file).href] };
}

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'ringkv-uws-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

describe('serving', () => {
  const failures: [string, string, RegExp][] = [
    [
      'not installed',
      "Cannot find module 'uWebSockets.js'\nRequire stack:",
      /it needs uWebSockets\.js, which is not installed; /,
    ],
    [
      'no binary for this Node',
      "This version supports only …\n\nError: Cannot find module './uws_linux_x64_999.node'\nRequire stack:",
      /it needs a binary of uWebSockets\.js for Node \d+\.\d+\.\d+ \(ABI \d+\) on \w+ \w+, which the installed one has not; /,
    ],
    [
      'a library of the system is too old',
      "This version supports only …\n\nError: /lib/libc.so.6: version `GLIBC_2.38' not found",
      /it needs uWebSockets\.js, which can't be loaded: Error: .*version `GLIBC_2\.38' not found; /,
    ],
  ];
  test.each(failures)('%s: one line says so, and what to do', async (_, message, expected) => {
    const outcome = await run(['serve', '--transport', 'uws'], { runtime: nodeWithout(message) });
    expect(outcome.code).toBe(2);
    expect(outcome.stderr).toMatch(expected);
    expect(outcome.stderr.trim().split('\n').length).toBe(1);
    expect(outcome.stderr).toContain('use --transport node');
  });
});

test('connecting to ws:// works all the same', async () => {
  const server = new WebSocketServer({ host: '127.0.0.1', port: 0 });
  await once(server, 'listening');
  server.on('connection', (peer) =>
    peer.on('message', (message: Buffer) => {
      const operations = decode(message) as [number, unknown?][];
      const hello = {
        server: 'ringkv',
        version: '0',
        protocol: 1,
        maxFrame: 65_536,
        shards: [[0, 16_383, 'ws://other:1']],
      };
      peer.send(encode(operations.map(([code]) => (code === 32 ? hello : 'PONG'))));
    }),
  );
  const address = `ws://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const child = startChild(nodeWithout('not here'), entry, ['shell', '--connect', address, 'ping'], { cwd: root });
  await child.waitForLine(/PONG/);
  expect(await child.exit).toBe(0);
  server.close();
});
