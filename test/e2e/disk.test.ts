/** The disk on real files, in each runtime: what it writes, a full disk, and who may have a directory. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type Child, type Runtime, root, runtimes, startChild } from '../support/children.ts';

const SCRIPT = join(root, 'test/support/disk-app.mjs');

let directory: string;
const children: Child[] = [];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'ringkv-disk-'));
});

afterEach(async () => {
  for (const child of children.splice(0)) await child.stop('SIGKILL');
  rmSync(directory, { recursive: true });
});

function start(runtime: Runtime, task: string): Child {
  const child = startChild(runtime, SCRIPT, [directory, task]);
  children.push(child);
  return child;
}

async function runTask(runtime: Runtime, task: string): Promise<void> {
  const child = start(runtime, task);
  expect(await child.exit, child.stderr).toBe(0);
  expect(child.lines).toEqual(['ok']);
}

/** Makes the directory a file system of 64 KiB; tells why that can't be. */
function mountSmall(): string | undefined {
  if (process.platform !== 'linux' || process.getuid?.() !== 0)
    return 'it takes root on Linux to mount a small file system';
  const { status, stderr } = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', directory]);
  return status === 0 ? undefined : `mount: ${String(stderr).trim()}`;
}

/** Starts what follows with process ids of its own, as in a container; it ends with `unshare`. */
const OWN_PROCESSES = ['unshare', '--pid', '--fork', '--kill-child', '--mount-proc'];

describe.each(runtimes())('on $name', (runtime) => {
  test('files', () => runTask(runtime, 'files'));

  test('commits', () => runTask(runtime, 'commits'));

  test('the checksum', () => runTask(runtime, 'checksum'));

  test('compactions', () => runTask(runtime, 'compactions'));

  test('a full disk', async ({ skip }) => {
    const reason = mountSmall();
    if (reason !== undefined) skip(reason);
    try {
      await runTask(runtime, 'full');
    } finally {
      spawnSync('umount', [directory]);
    }
  });

  test('who listens on a socket is seen, also by many at once', () => runTask(runtime, 'presence'));

  test('a directory that another process has is refused with its id, until it is killed', async () => {
    const first = start(runtime, 'lock');
    await first.waitForLine(/locked/);
    const second = start(runtime, 'lock');
    expect(await second.exit).not.toBe(0);
    expect(second.stderr).toContain(`in use by the server with process id ${first.pid}`);
    await first.stop('SIGKILL');
    await start(runtime, 'lock').waitForLine(/locked/);
  });

  test('so is one that a process of another container has, until that is killed', async ({ skip }) => {
    const { status, stderr } = spawnSync(OWN_PROCESSES[0]!, [...OWN_PROCESSES.slice(1), 'true'], { encoding: 'utf8' });
    if (status !== 0) skip(`unshare can't make a container here: ${stderr?.trim() || 'it is not installed'}`);
    const first = start({ ...runtime, command: [...OWN_PROCESSES, ...runtime.command] }, 'lock');
    await first.waitForLine(/locked/);
    const second = start(runtime, 'lock');
    expect(await second.exit).not.toBe(0);
    expect(second.stderr).toContain('in use by the server with process id 1 in another container');
    const [inside] = readFileSync(`/proc/${first.pid}/task/${first.pid}/children`, 'utf8').split(' ');
    process.kill(Number(inside), 'SIGKILL');
    await first.exit;
    await start(runtime, 'lock').waitForLine(/locked/);
    expect(readdirSync(directory).filter((name) => name.startsWith('lock'))).toHaveLength(2);
  });
});
