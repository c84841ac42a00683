/** `ringkv repair` on a real directory: what it tells, that it asks, and what it leaves. */
import { execFileSync } from 'node:child_process';
import { appendFile, mkdtemp, readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { divideSlots } from '../../core/slots.ts';
import { openDataDirectory, shardDirectory } from '../../runtime/disk/data-directory.ts';
import { runtimes, startChild } from '../support/children.ts';
import { entry, run } from '../support/command.ts';
import { writeLog } from '../support/log-files.ts';
import { atTerminal, hasPseudoTerminal, whyNoTerminal } from '../support/terminal.ts';

let directory: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'ringkv-repair-'));
});

afterEach(() => rm(directory, { recursive: true }));

async function repair(...flags: string[]): Promise<{ code: number | NodeJS.Signals; output: string }> {
  const child = startChild(runtimes()[0]!, 'dist/ringkv.js', ['repair', ...flags]);
  child.stdin.end();
  const code = await child.exit;
  return { code, output: `${child.lines.join('\n')}\n${child.stderr}` };
}

test('a damaged log is told of, left alone without --yes, and cut with it', async () => {
  const slots = divideSlots(1);
  await (await openDataDirectory(directory, slots, 8192)).lock.release();
  const shard = shardDirectory(directory, slots[0]!);
  const { files } = await writeLog(50, 2000);
  for (const [name, bytes] of files) await writeFile(join(shard, name), bytes);
  expect(await repair('--data', directory)).toMatchObject({
    code: 0,
    output: expect.stringContaining('nothing is damaged'),
  });

  const damaged = join(shard, '000000000002.log');
  const bytes = await readFile(damaged);
  bytes[4096 + 300]! ^= 1;
  await writeFile(damaged, bytes);
  const asked = await repair('--data', directory);
  expect(asked.code).toBe(1);
  expect(asked.output).toContain(`${damaged} at offset `);
  expect(asked.output).toMatch(/000000000002\.log, from offset \d+ on: \d+ bytes, \d+ whole records/);
  expect(asked.output).toContain('Say --yes to do it.');
  expect(await readFile(damaged)).toEqual(bytes);
  const served = await run(['serve', '--listen', 'tcp://127.0.0.1:0', '--data', directory]);
  expect(served.code).toBe(1);
  expect(served.stderr).toMatch(/^ringkv: \S+000000000002\.log at offset \d+: .*`ringkv repair` tells .*\n$/m);

  expect((await repair('--data', directory, '--yes')).code).toBe(0);
  expect(await readdir(shard)).toContain('000000000002.broken');
  expect(await repair('--data', directory)).toMatchObject({
    code: 0,
    output: expect.stringContaining('nothing is damaged'),
  });
});

const isRoot = process.getuid?.() === 0;

test.skipIf(!isRoot)(`a full disk is told of in one line${isRoot ? '' : ' (needs root, to mount one)'}`, async () => {
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', directory]);
  try {
    const data = join(directory, 'data');
    const slots = divideSlots(1);
    await (await openDataDirectory(data, slots, 8192)).lock.release();
    const shard = shardDirectory(data, slots[0]!);
    const { files } = await writeLog(50, 2000);
    files.get('000000000002.log')![4096 + 300]! ^= 1;
    for (const [name, bytes] of files) await writeFile(join(shard, name), bytes);
    // Half of the disk is to be set aside, which is more than is free.
    const damaged = join(shard, '000000000002.log');
    await appendFile(damaged, Buffer.alloc(600_000, 1));
    const bytes = await readFile(damaged);
    const failed = await repair('--data', data, '--yes');
    expect(failed.code).toBe(1);
    expect(failed.output).toMatch(/^ringkv: the repair of \S+ has to be started again: .*(ENOSPC|os error 28).*\n$/m);
    expect(failed.output).not.toContain('    at ');
    expect(await readFile(damaged)).toEqual(bytes);
    execFileSync('mount', ['-o', 'remount,size=4m', directory]);
    expect((await repair('--data', data, '--yes')).code).toBe(0);
    expect((await repair('--data', data)).output).toContain('nothing is damaged');
  } finally {
    execFileSync('umount', ['--lazy', directory]);
  }
});

test('zeros behind the damage are not set aside', async () => {
  const slots = divideSlots(1);
  await (await openDataDirectory(directory, slots, 8192)).lock.release();
  const shard = shardDirectory(directory, slots[0]!);
  const { files } = await writeLog(50, 2000);
  files.get('000000000002.log')![4096 + 300]! ^= 1;
  for (const [name, bytes] of files) await writeFile(join(shard, name), bytes);
  await truncate(join(shard, '000000000002.log'), 10_000_000);
  expect((await repair('--data', directory, '--yes')).code).toBe(0);
  expect((await stat(join(shard, '000000000002.broken'))).size).toBeLessThan(2000);
});

test.skipIf(!hasPseudoTerminal)(`Ctrl-C and Ctrl-D at its question change nothing${whyNoTerminal}`, async () => {
  const slots = divideSlots(1);
  await (await openDataDirectory(directory, slots, 8192)).lock.release();
  const { files } = await writeLog(50, 2000);
  files.get('000000000002.log')![4096 + 300]! ^= 1;
  for (const [name, bytes] of files) await writeFile(join(shardDirectory(directory, slots[0]!), name), bytes);
  const before = await readdir(directory, { recursive: true });
  const [runtime] = runtimes();
  for (const keys of ['\u0003', '\u0004', 'no\r']) {
    const command = [...runtime!.command, entry, 'repair', '--data', directory];
    const { code, output } = atTerminal([['Type "yes": ', keys]], command);
    expect(code).toBe(1);
    expect(output.replaceAll('\r', '')).toMatch(/Type "yes": .*\n+Nothing was changed\.\n$/);
    expect(await readdir(directory, { recursive: true })).toEqual(before);
  }
});

test('what is no data directory is refused in one line', async () => {
  const { code, output } = await repair('--data', directory);
  expect(code).toBe(1);
  expect(output).toContain('no data directory');
  expect((await repair()).code).toBe(2);
});
