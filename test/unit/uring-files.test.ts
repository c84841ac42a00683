/** Files written through a ring: what was written is there, all of it, and what goes wrong is told once. And its time-outs. */
import { execFileSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, truncateSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { parseAddress } from '../../transports/address.ts';
import type { Durable, FileWriter, Listener } from '../../transports/transport.ts';
import { createUringTransport } from '../../transports/uring.ts';

const availability = createUringTransport().availability();
const why = availability.available ? '' : ` (${availability.reason})`;

const folder = mkdtempSync(join(tmpdir(), 'ringkv-files-'));
afterAll(() => rmSync(folder, { recursive: true }));

let listener: Listener;
async function listen(): Promise<FileWriter> {
  listener = await createUringTransport().listen(parseAddress('tcp://127.0.0.1:0'), {
    open: () => ({ data() {}, drain() {}, end() {}, close() {} }),
    turnEnd: () => false,
    tick() {},
  });
  return listener.files!;
}
afterEach(() => listener?.close(0));

function write(
  files: FileWriter,
  descriptor: number,
  offset: number,
  bytes: Uint8Array,
  durable: Durable,
): Promise<void> {
  return new Promise((resolve, reject) => {
    files.write(descriptor, offset, bytes, durable, (error) => (error === undefined ? resolve() : reject(error)));
  });
}

describe.skipIf(!availability.available)(`files of a ring${why}`, () => {
  test('writes go where they are told to, and a sync can come alone', async () => {
    const files = await listen();
    const path = join(folder, 'plain');
    const descriptor = openSync(path, 'w');
    await write(files, descriptor, 0, Buffer.from('hello '), 'write');
    await write(files, descriptor, 6, Buffer.from('world'), 'write');
    await write(files, descriptor, 0, new Uint8Array(0), 'file');
    await write(files, descriptor, 5_000_000_000, Buffer.from('far'), 'file');
    closeSync(descriptor);
    expect(execFileSync('tail', ['-c', '3', path]).toString()).toBe('far');
    truncateSync(path, 11);
    expect(readFileSync(path, 'utf8')).toBe('hello world');
  });

  test('many at a time, more than the queue has entries, each done once', async () => {
    const files = await listen();
    const path = join(folder, 'many');
    const descriptor = openSync(path, 'w');
    const count = 3000;
    const done = new Array<number>(count).fill(0);
    await Promise.all(
      done.map(async (_, i) => {
        await write(files, descriptor, 4 * i, Buffer.from(String(i).padStart(4)), i % 100 === 0 ? 'file' : 'write');
        done[i]!++;
      }),
    );
    closeSync(descriptor);
    expect(done.every((times) => times === 1)).toBe(true);
    expect(readFileSync(path, 'utf8')).toBe(Array.from({ length: count }, (_, i) => String(i).padStart(4)).join(''));
  });

  test('a file that is not open, or not for writing, is an error with its code', async () => {
    const files = await listen();
    await expect(write(files, 1_000_000, 0, Buffer.from('x'), 'write')).rejects.toMatchObject({ code: 'EBADF' });
    const descriptor = openSync('/dev/null', 'r');
    await expect(write(files, descriptor, 0, Buffer.from('x'), 'write')).rejects.toMatchObject({ code: 'EBADF' });
    await expect(write(files, descriptor, 0, new Uint8Array(0), 'file')).rejects.toMatchObject({ code: 'EINVAL' });
    closeSync(descriptor);
  });

  test('what is being written when the listener is closed goes on until it is done', async () => {
    const files = await listen();
    const path = join(folder, 'last');
    const descriptor = openSync(path, 'w');
    const written = write(files, descriptor, 0, Buffer.alloc(8 * 1024 * 1024, 'x'), 'file');
    expect(files.isOpen).toBe(true);
    await listener.close(0);
    expect(files.isOpen).toBe(false);
    await written;
    closeSync(descriptor);
    expect(readFileSync(path).length).toBe(8 * 1024 * 1024);
  });
});

describe.skipIf(!availability.available)(`time-outs of a ring${why}`, () => {
  test('a listener calls back after the time it was told, while nothing else happens, and not once it is closed', async () => {
    await listen();
    const began = performance.now();
    const order: number[] = [];
    await new Promise<void>((resolve) => {
      listener.after!(60, () => {
        order.push(60);
        resolve();
      });
      listener.after!(5, () => order.push(5));
    });
    expect(order).toEqual([5, 60]);
    expect(performance.now() - began).toBeGreaterThanOrEqual(60);
    listener.after!(20, () => order.push(20));
    await listener.close(0);
    // It may have taken longer than that.
    const before = [...order];
    await new Promise((resolve) => setTimeout(resolve, 40));
    expect(order).toEqual(before);
  });
});

const isRoot = process.getuid?.() === 0;

describe.skipIf(!availability.available || !isRoot)(`a full disk${why}${isRoot ? '' : ' (needs root)'}`, () => {
  const mount = join(folder, 'small');
  beforeAll(() => {
    execFileSync('mkdir', [mount]);
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', mount]);
  });
  afterAll(() => execFileSync('umount', [mount]));

  test.each(['write', 'file'] as const)(
    'a write that is cut short goes on, and ends with ENOSPC (%s)',
    async (durable) => {
      execFileSync('mount', ['-o', 'remount,size=64k', mount]);
      const files = await listen();
      const path = join(mount, durable);
      const descriptor = openSync(path, 'w');
      await write(files, descriptor, 0, Buffer.alloc(32 * 1024, 'a'), durable);
      await expect(write(files, descriptor, 32 * 1024, Buffer.alloc(128 * 1024, 'b'), durable)).rejects.toMatchObject({
        code: 'ENOSPC',
      });
      execFileSync('mount', ['-o', 'remount,size=1m', mount]);
      await write(files, descriptor, 32 * 1024, Buffer.alloc(128 * 1024, 'b'), durable);
      closeSync(descriptor);
      expect(readFileSync(path).toString()).toBe('a'.repeat(32 * 1024) + 'b'.repeat(128 * 1024));
      rmSync(path);
    },
  );
});
