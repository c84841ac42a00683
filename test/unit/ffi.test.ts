/** Foreign functions do the same on every runtime, and what the kernel was told of stays where it is. */
import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { type Runtime, root, runtimes, startChild } from '../support/children.ts';

const linux = process.platform === 'linux';

async function report(runtime: Runtime, script = 'test/support/ffi-app.mjs', args: string[] = []): Promise<unknown> {
  const child = startChild(runtime, script, args);
  const [line] = await child.waitForLine(/^\{.*/);
  await child.exit;
  return JSON.parse(line);
}

describe.skipIf(!linux).each(runtimes())(
  `foreign functions on $name${linux ? '' : ': this is not Linux'}`,
  (runtime) => {
    test('calls, errors, memory at an address and the address of memory', async () => {
      const name = { node: /^koffi /, bun: /^bun:ffi$/, deno: /^Deno\.dlopen$/ }[runtime.name];
      expect(await report(runtime)).toEqual({
        calls: {
          name: expect.stringMatching(name),
          errno: true,
          view: [2, 3],
          address: true,
          shared: [9, 9],
          missing: expect.stringMatching(/^FfiError: libdoes-not-exist\.so can't be opened: /),
        },
        lifetimes: true,
        growth: true,
      });
    });

    test('a system call filter is told from other reasons', async () => {
      expect(await report(runtime, 'test/support/ffi-app.mjs', ['seccomp'])).toEqual({
        availability: {
          available: false,
          reason:
            "is refused by this process's system call filter (seccomp), as containers have one: io_uring_setup failed: EPERM",
          remedy:
            "allow io_uring_setup, io_uring_enter and io_uring_register in the container's profile, or take the runtime's " +
            'own sockets: --transport auto',
        },
      });
    });
  },
);

describe('without foreign functions', () => {
  test('Node needs koffi', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'ringkv-'));
    cpSync(join(root, 'dist'), join(folder, 'dist'), { recursive: true });
    cpSync(join(root, 'package.json'), join(folder, 'package.json'));
    cpSync(join(root, 'test/support/ffi-app.mjs'), join(folder, 'test/support/ffi-app.mjs'));
    const node: Runtime = { name: 'node', command: [process.execPath] };
    try {
      expect(await report(node, join(folder, 'test/support/ffi-app.mjs'), ['probe'])).toEqual({
        availability: {
          available: false,
          reason: linux
            ? 'needs foreign functions: Node calls them through koffi, which is not here'
            : expect.anything(),
          remedy: linux ? 'npm install koffi' : expect.anything(),
        },
      });
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  const deno = runtimes().find(({ name }) => name === 'deno');
  test.skipIf(deno === undefined || !linux)('Deno needs the permission', async () => {
    const [program = ''] = deno!.command;
    const denied: Runtime = { name: 'deno', command: [program, 'run', '--allow-all', '--deny-ffi'] };
    expect(await report(denied, 'test/support/ffi-app.mjs', ['probe'])).toEqual({
      availability: {
        available: false,
        reason: 'needs foreign functions: Deno may not call them',
        remedy: 'start it with --allow-ffi',
      },
    });
  });
});
