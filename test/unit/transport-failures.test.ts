/** What a failure leaves behind, on every runtime that is here. They run what `npm run build` put into `dist/`. */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { describe, expect, test } from 'vitest';
import { naturalTransport } from '../../transports/transports.ts';
import { type Runtime, root, runtimes } from '../support/children.ts';

const evaluate = { node: ['--input-type=module', '--eval'], bun: ['--eval'], deno: ['eval'] } as const;

const prelude = `
import process from 'node:process';
import { getEventListeners } from 'node:events';
import { createTransport } from ${JSON.stringify(pathToFileURL(join(root, 'dist/transports/transports.js')).href)};
const local = { kind: 'tcp', host: '127.0.0.1', port: 0 };
const nothing = { data() {}, drain() {}, end() {}, close() {} };
`;

/** Runs the code under a runtime; returns the lines it printed. */
function run(runtime: Runtime, code: string): string[] {
  const args = [...evaluate[runtime.name], prelude + code];
  return execFileSync(runtime.command[0]!, args, { encoding: 'utf8', timeout: 20_000 }).trim().split('\n');
}

const found = runtimes();

describe('a signal outlives the attempts to connect, and none leaves a listener on it', () => {
  const cells = found.flatMap((runtime) =>
    [...new Set(['node', naturalTransport(runtime.name)])].map((transport) => ({
      name: `${transport} on ${runtime.name}`,
      runtime,
      transport,
    })),
  );
  test.each(cells)('$name', ({ runtime, transport }) => {
    const code = `
      const transport = createTransport('${transport}');
      const { signal } = new AbortController();
      const attempt = (address) => transport.connect(address, () => nothing, signal);
      await attempt({ kind: 'unix', path: '/nonexistent/ringkv.sock' }).catch(({ code }) => console.log(code));
      console.log(getEventListeners(signal, 'abort').length);
      const listener = await transport.listen(local, { open: () => nothing, turnEnd: () => false });
      await attempt(listener.address);
      console.log(getEventListeners(signal, 'abort').length);
      process.exit();`;
    expect(run(runtime, code)).toEqual(['ENOENT', '0', '0']);
  });
});

const deno = found.find(({ name }) => name === 'deno');
describe.skipIf(deno === undefined)('accepting, on deno', () => {
  test('a handler that breaks its contract costs its own connection only, and is seen', () => {
    const code = `
      addEventListener('error', (event) => {
        event.preventDefault();
        console.log(event.error.message);
      });
      let opened = 0;
      const open = (connection) => {
        if (++opened === 1) throw new Error('broken');
        connection.end();
        return nothing;
      };
      const listener = await createTransport('deno').listen(local, { open, turnEnd: () => false });
      for (let i = 0; i < 2; i++) {
        const conn = await Deno.connect({ port: listener.address.port });
        console.log(await conn.read(new Uint8Array(1)));
        conn.close();
      }
      await listener.close(60_000);
      console.log('closed');`;
    expect(run(deno!, code)).toEqual(['broken', 'null', 'null', 'closed']);
  });

  test('a connection whose setNoDelay fails is served like any other', () => {
    const code = `
      const open = (connection) => {
        connection.end();
        return nothing;
      };
      const listener = await createTransport('deno').listen(local, { open, turnEnd: () => false });
      for (let i = 0; i < 2; i++) {
        const conn = await Deno.connect({ port: listener.address.port });
        console.log(await conn.read(new Uint8Array(1)));
        Object.getPrototypeOf(conn).setNoDelay = () => {
          throw new Error('invalid argument');
        };
        conn.close();
      }
      await listener.close(60_000);
      console.log('closed');`;
    expect(run(deno!, code)).toEqual(['null', 'null', 'closed']);
  });
});
