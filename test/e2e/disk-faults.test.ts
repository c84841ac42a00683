/**
 * Disks that are slow, fail or are full: no write is acknowledged that may be lost, reads go on, and writes do once they can.
 * Syncs are delayed and made to fail by strace, which sees those of the runtimes; those of a ring fail on a disk that does. Deno
 * names errors by their number.
 */
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { Op } from '../../core/protocol.ts';
import { createUringTransport } from '../../transports/uring.ts';
import { type Child, root, runtimes } from '../support/children.ts';
import { type RunOptions, type ServerChild, startServe } from '../support/command.ts';
import { temporaryDirectory } from '../support/data.ts';
import { FailingDisk, noFailingDisk } from '../support/failing-disk.ts';
import { WireClient } from '../support/wire.ts';

const DELAY_MS = 400;

const folder = temporaryDirectory();

const children: Child[] = [];
const tracers: ChildProcess[] = [];
afterEach(async () => {
  for (const tracer of tracers.splice(0)) await stop(tracer);
  await Promise.all(children.splice(0).map((child) => child.stop('SIGKILL')));
});

async function serve(args: readonly string[], options: RunOptions = {}): Promise<ServerChild & { client: WireClient }> {
  const server = await startServe(['--max-log', '1m', ...args], options);
  children.push(server.child);
  return { ...server, client: await WireClient.dial(server.ready.address) };
}

/** Attaches strace to all threads of a process, with what it is to do to the system calls. */
async function inject(pid: number, what: string): Promise<ChildProcess> {
  const tracer = spawn('strace', ['-f', '-p', String(pid), '-e', 'trace=fsync,fdatasync', '-e', `inject=${what}`]);
  tracers.push(tracer);
  let stderr = '';
  await new Promise<void>((resolve, reject) => {
    tracer.stderr!.on('data', (text) => {
      stderr += text;
      if (stderr.includes('attached')) resolve();
    });
    tracer.once('exit', () => reject(new Error(`strace ended: ${stderr}`)));
  });
  return tracer;
}

async function stop(tracer: ChildProcess): Promise<void> {
  if (tracer.exitCode !== null || tracer.signalCode !== null) return;
  tracer.kill('SIGINT');
  await once(tracer, 'exit');
}

/** Sets a key until that succeeds; everything else that is answered is LOG. */
async function setAgain(client: WireClient, key: string): Promise<void> {
  for (;;) {
    const [result] = await client.call([Op.SET, key, 'again']);
    if (result === true) return;
    expect(result).toMatchObject({ error: 'LOG' });
  }
}

async function infoOf(client: WireClient): Promise<Record<string, unknown>> {
  const [info] = await client.call([Op.INFO]);
  return info as Record<string, unknown>;
}

const uring = createUringTransport().availability();

const hasStrace = spawnSync('strace', ['-o', '/dev/null', 'true']).status === 0;

describe.skipIf(!hasStrace)(`syncs${hasStrace ? '' : ' (needs strace, and the right to trace)'}`, () => {
  test('that take long hold up the replies under always', async () => {
    const { child, client } = await serve(['--data', join(folder, 'slow'), '--fsync', 'always', '--transport', 'node']);
    const other = await WireClient.dial(child.lines.at(-1)!.split(' ')[3]!);
    await inject(child.pid, `fdatasync:delay_enter=${DELAY_MS * 1000}`);
    const startMs = performance.now();
    const written = client.call([Op.SET, 'k', 1]).then((result) => ({ result, ms: performance.now() - startMs }));
    // A read that shows the write waits with it.
    let value: unknown = null;
    while (value === null) [value] = await other.call([Op.GET, 'k']);
    const readMs = performance.now() - startMs;
    const { result, ms } = await written;
    expect(result).toEqual([true]);
    expect(ms).toBeGreaterThanOrEqual(DELAY_MS);
    expect(readMs).toBeGreaterThanOrEqual(DELAY_MS);
    await Promise.all([client.close(), other.close()]);
  });

  test('that take long do not under everysec', async () => {
    const { child, client } = await serve(['--data', join(folder, 'lazy'), '--transport', 'node']);
    await inject(child.pid, `fdatasync:delay_enter=${DELAY_MS * 1000}`);
    expect(await client.call([Op.SET, 'k', 1])).toEqual([true]);
    expect((await infoOf(client)).logUnsynced).toBe(1);
    while ((await infoOf(client)).logUnsynced !== 0);
    await client.close();
  });

  test.each(['node', ...(uring.available ? ['uring'] : [])])(
    'whose last fails end the server with 1: %s',
    async (transport) => {
      const data = join(folder, `last-${transport}`);
      const { child, client } = await serve(['--data', data, '--transport', transport]);
      await inject(child.pid, 'fdatasync:error=EIO');
      expect(await client.call([Op.SET, 'k', 1])).toEqual([true]);
      await client.close();
      expect(await child.stop()).toBe(1);
      expect(child.stderr).toMatch(
        /^ringkv: the log in \S+ has failed \(.*(EIO|os error 5).*\) and was not made durable at the end: /m,
      );
    },
  );

  describe.each(runtimes())('that fail, on $name', (runtime) => {
    test.each(['always', 'everysec'])(
      '%s: no write is acknowledged after it, reads go on, writes in new files',
      async (fsync) => {
        const data = join(folder, `${runtime.name}-${fsync}`);
        const transport = ['--transport', 'node'];
        const { child, client } = await serve(['--data', data, '--fsync', fsync, ...transport], { runtime });
        expect(await client.call([Op.SET, 'before', 1])).toEqual([true]);
        while ((await infoOf(client)).logUnsynced !== 0);
        const tracer = await inject(child.pid, 'fsync,fdatasync:error=EIO');
        if (fsync === 'always') {
          expect(await client.call([Op.SET, 'k', 1], [Op.GET, 'before'])).toEqual([
            expect.objectContaining({ error: 'LOG' }),
            expect.objectContaining({ error: 'LOG' }),
          ]);
        } else expect(await client.call([Op.SET, 'k', 1])).toEqual([true]);
        while ((await infoOf(client)).logState !== 'read-only');
        expect(await client.call([Op.SET, 'l', 1], [Op.GET, 'before'])).toEqual([
          expect.objectContaining({ error: 'LOG' }),
          1,
        ]);
        await expect.poll(() => child.stderr).toMatch(/the log in .* has failed \(.*(EIO|os error 5)/);
        await stop(tracer);
        await setAgain(client, 'after');
        expect((await infoOf(client)).logState).toBe('writable');
        await client.close();
        await child.stop('SIGKILL');
        const again = await serve(['--data', data, ...transport]);
        const values = await again.client.call([Op.GET, 'before'], [Op.GET, 'k'], [Op.GET, 'l'], [Op.GET, 'after']);
        // What was acknowledged before the sync failed is in the new files; of what was refused with it nobody knows.
        const unknown = expect.toBeOneOf([1, null]);
        expect(values).toEqual([1, fsync === 'always' ? unknown : 1, null, 'again']);
        await again.client.close();
      },
    );
  });
});

const isRoot = process.getuid?.() === 0;

const canCut =
  process.platform === 'linux' && process.arch === 'x64' && hasStrace && spawnSync('cc', ['-v']).status === 0;

describe.skipIf(!canCut)(
  `writes that are cut short${canCut ? '' : ' (needs cc, and the right to trace, on Linux x64)'}`,
  () => {
    const tracer = join(folder, 'short-writes');
    beforeAll(() => {
      execFileSync('cc', ['-o', tracer, join(root, 'test/support/short-writes.c')]);
    });

    test.each(runtimes())('on $name: they go on, and nothing is lost', async (runtime) => {
      const where = ['--data', join(folder, `short-${runtime.name}`), '--fsync', 'always', '--transport', 'node'];
      const traced = { ...runtime, command: [tracer, ...runtime.command] };
      const { child, client, ready } = await serve(where, { runtime: traced });
      const value = (i: number): string => String(i).repeat(1 + ((i * 37) % 3000));
      const keys = Array.from({ length: 100 }, (_, i) => i);
      for (const i of keys) expect(await client.call([Op.SET, `key-${i}`, value(i)])).toEqual([true]);
      expect((await infoOf(client)).logFailures).toBe(0);
      await client.close();
      process.kill(ready.pid, 'SIGKILL');
      await child.exit;
      const [, cut] = /short-writes: (\d+) were cut/.exec(child.stderr)!;
      expect(Number(cut)).toBeGreaterThan(keys.length);
      const again = await serve(where, { runtime });
      expect(await again.client.call(...keys.map((i) => [Op.GET, `key-${i}`]))).toEqual(keys.map(value));
      await again.client.close();
    });
  },
);

describe.skipIf(!isRoot)(`a full disk${isRoot ? '' : ' (needs root, to mount one)'}`, () => {
  const mounts: string[] = [];
  afterAll(() => {
    for (const mount of mounts) execFileSync('umount', ['-l', mount]);
  });

  const cells = runtimes().flatMap((runtime) => [
    { runtime, name: runtime.name, transport: 'node', fsync: 'everysec' },
    ...(uring.available ? [{ runtime, name: runtime.name, transport: 'uring', fsync: 'always' }] : []),
  ]);
  test.each(cells)(
    '$transport on $name, $fsync: writes answer LOG, reads go on, writes do when there is space',
    async (cell) => {
      const { runtime, name, transport, fsync } = cell;
      const data = join(folder, `full-${name}-${transport}`);
      mkdirSync(data);
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=2m', 'tmpfs', data]);
      mounts.push(data);
      const { child, client } = await serve(['--data', data, '--fsync', fsync, '--transport', transport], { runtime });
      const value = 'x'.repeat(10_000);
      let acknowledged = 0;
      let result: unknown = true;
      for (let i = 0; result === true && i < 1000; i++) {
        [result] = await client.call([Op.SET, `key-${i}`, value]);
        if (result === true) acknowledged = i;
      }
      expect(result).toMatchObject({ error: 'LOG' });
      expect(await client.call([Op.GET, 'key-0'], [Op.SET, 'l', 1])).toEqual([
        value,
        expect.objectContaining({ error: 'LOG' }),
      ]);
      // The reply may be there before the line, which goes through another thread.
      await expect.poll(() => child.stderr).toMatch(/has failed \(.*(ENOSPC|os error 28)/);
      await client.close();
      await child.stop('SIGKILL');
      // With space for a lock, and none for another segment, what is there can still be read.
      execFileSync('mount', ['-o', 'remount,size=2080k', data]);
      const full = await serve(['--data', data, '--fsync', fsync, '--transport', transport], { runtime });
      expect(await full.client.call([Op.GET, 'key-0'])).toEqual([value]);
      execFileSync('mount', ['-o', 'remount,size=64m', data]);
      await setAgain(full.client, 'after');
      await full.client.close();
      await full.child.stop('SIGKILL');
      const again = await serve(['--data', data], { runtime });
      const keys = Array.from({ length: acknowledged + 1 }, (_, i) => [Op.HAS, `key-${i}`]);
      const results = await again.client.call(...keys, [Op.GET, 'after']);
      expect(results).toEqual([...keys.map(() => true), 'again']);
      await again.client.close();
      await again.child.stop('SIGKILL');
    },
  );

  // What a torn write leaves is kept in a file of its own, for which there is no room.
  test('a server is started on one whose last write was cut short', async () => {
    const data = join(folder, 'torn');
    mkdirSync(data);
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=4m', 'tmpfs', data]);
    mounts.push(data);
    const { child, client } = await serve(['--data', data, '--transport', 'node']);
    expect(await client.call([Op.SET, 'before', 1])).toEqual([true]);
    const [result] = await client.call([Op.SET, 'large', Buffer.alloc(4 * 1024 * 1024)]);
    expect(result).toMatchObject({ error: 'LOG' });
    await client.close();
    await child.stop('SIGKILL');
    execFileSync('mount', ['-o', 'remount,size=4128k', data]);
    const again = await serve(['--data', data, '--transport', 'node']);
    await expect.poll(() => again.child.stderr).toMatch(/ended in a torn write: .* could not be kept/);
    expect(await again.client.call([Op.GET, 'before'], [Op.GET, 'large'])).toEqual([1, null]);
    await setAgain(again.client, 'after');
    await again.client.close();
    await again.child.stop('SIGKILL');
  });
});

const whyNot = noFailingDisk() ?? (uring.available ? undefined : `io_uring ${uring.reason}`);

describe.skipIf(whyNot !== undefined)(`syncs of a ring that fail${whyNot === undefined ? '' : ` (${whyNot})`}`, () => {
  test.each(runtimes())(
    'on $name: no write is acknowledged after it, reads go on, nothing is lost',
    async (runtime) => {
      using disk = new FailingDisk(mkdtempSync(join(folder, 'disk-')));
      const where = ['--data', join(disk.path, 'data'), '--fsync', 'always', '--transport', 'uring'];
      const { child, client } = await serve(where, { runtime });
      const value = 'x'.repeat(1000);
      expect(await client.call([Op.SET, 'before', value])).toEqual([true]);
      disk.fail();
      const refused = expect.objectContaining({ error: 'LOG' });
      expect(await client.call([Op.SET, 'unknown', value], [Op.GET, 'before'])).toEqual([refused, refused]);
      expect(await client.call([Op.SET, 'refused', 1], [Op.GET, 'before'])).toEqual([refused, value]);
      expect(await infoOf(client)).toMatchObject({ logState: 'read-only', logFailures: 1 });
      await expect.poll(() => child.stderr).toMatch(/the log in .* has failed \(write failed: EIO\)/);
      await client.close();
      await child.stop('SIGKILL');
      disk.replace();
      const again = await serve(where, { runtime });
      expect(await again.client.call([Op.GET, 'before'], [Op.GET, 'refused'])).toEqual([value, null]);
      await again.client.close();
      await again.child.stop('SIGKILL');
    },
  );
});
