/** Tokens and limits of a real server, as its operator and its clients meet them. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, test } from 'vitest';
import { connect } from '../../runtime/client.ts';
import { run, type ServerChild, startServe } from '../support/command.ts';
import { WireClient } from '../support/wire.ts';

const OLD = 'old-token-of-full-access';
const NEW = 'new-token-of-full-access';
const READER = 'a-token-that-may-read';

const folder = mkdtempSync(join(tmpdir(), 'ringkv-security-'));
afterAll(() => rmSync(folder, { recursive: true }));

let server: ServerChild | undefined;
afterEach(async () => {
  const ended = server;
  server = undefined;
  if (ended !== undefined) expect(await ended.child.stop()).toBe(0);
});

const NOT_AUTHENTICATED = { error: 'AUTH', message: 'not authenticated' };

function tokenFile(...lines: readonly string[]): string {
  const file = join(folder, 'tokens');
  writeFileSync(file, lines.join('\n'));
  return file;
}

/** Resolves once what the server has written on stderr matches. */
async function told({ child }: ServerChild, pattern: RegExp): Promise<void> {
  while (!pattern.test(child.stderr)) {
    await Promise.race([
      new Promise((resolve) => setTimeout(resolve, 20)),
      child.exit.then((code) => {
        throw new Error(`the server ended with ${code}: ${child.stderr}`);
      }),
    ]);
  }
}

describe('tokens', () => {
  test.each([
    ['in this thread', ['--transport', 'node']],
    ['in threads of two shards', ['--transport', 'node', '--shards', '2']],
  ])('rotate at SIGHUP, %s', async (_, args) => {
    const file = tokenFile('# one of each', OLD, `read-only ${READER}`);
    server = await startServe([...args, '--token-file', file]);
    const { address } = server.ready;
    const [old, reader] = await Promise.all([OLD, READER].map((token) => connect({ address, token })));
    await old!.set('k', 1);
    expect(await reader!.get('k')).toBe(1);
    await expect(reader!.set('k', 2)).rejects.toMatchObject({ code: 'AUTH', message: 'this token may only read' });
    await expect(connect({ address, token: NEW })).rejects.toMatchObject({
      code: 'AUTH',
      message: 'the token is not valid',
    });
    await expect(connect({ address })).rejects.toMatchObject({ code: 'AUTH', message: 'the server asks for a token' });

    tokenFile('three words here');
    process.kill(server.child.pid, 'SIGHUP');
    await told(server, /SIGHUP: nothing is changed, for .*tokens, line 1: expected TOKEN/);
    expect(await old!.get('k')).toBe(1);
    tokenFile(OLD, `read-only ${READER}`, READER);
    process.kill(server.child.pid, 'SIGHUP');
    await told(server, /SIGHUP: nothing is changed, for .*tokens, line 3: the same token has another right before/);
    await expect(reader!.set('k', 2)).rejects.toMatchObject({ code: 'AUTH', message: 'this token may only read' });

    tokenFile(NEW, `read-only ${READER}`);
    process.kill(server.child.pid, 'SIGHUP');
    await told(server, /SIGHUP: read anew/);
    const renewed = await connect({ address, token: NEW });
    await renewed.set('k', 3);
    expect(await reader!.get('k')).toBe(3);
    await expect(old!.get('k')).rejects.toMatchObject({ code: 'AUTH', message: 'not authenticated' });
    await Promise.all([old!, reader!, renewed].map((client) => client.close()));
    for (const secret of [OLD, NEW, READER, 'three words']) {
      expect(server.child.stderr + server.child.lines.join('\n')).not.toContain(secret);
    }
  });

  test('by RINGKV_TOKEN, for server and shell alike', async () => {
    server = await startServe(['--transport', 'node'], { env: { RINGKV_TOKEN: OLD } });
    const shell = (env: Record<string, string>) =>
      run(['shell', '--connect', server!.ready.address, 'add', 'n', '1'], { env });
    expect((await shell({ RINGKV_TOKEN: OLD })).stdout).toBe('1\n');
    expect(await shell({ RINGKV_TOKEN: NEW })).toMatchObject({ code: 1, stderr: 'ringkv: the token is not valid\n' });
    expect(await shell({})).toMatchObject({ code: 1, stderr: 'ringkv: the server asks for a token\n' });
    // As in a file: the first of several is brought.
    const several = await shell({ RINGKV_TOKEN: `# of old\r\n${OLD}\r\nread-only ${READER}\r\n` });
    expect(several).toMatchObject({ code: 0, stdout: '2\n' });
    expect(await shell({ RINGKV_TOKEN: 'two words' })).toMatchObject({
      code: 1,
      stderr: 'ringkv: RINGKV_TOKEN, line 1: expected TOKEN or read-only TOKEN, in one line each\n',
    });
    const file = tokenFile(OLD);
    const other = await run(['shell', '--connect', server.ready.address, '--token-file', file, 'add', 'n', '1']);
    expect(other.stdout).toBe('3\n');
  });

  test('are asked for where other machines come, unless everyone may', async () => {
    for (const listen of ['tcp://0.0.0.0:0', 'tcp://[::]:0', 'ws://0.0.0.0:0']) {
      const { code, stderr } = await run([
        'serve',
        '--listen',
        listen,
        ...(listen.startsWith('ws') ? [] : ['--transport', 'node']),
      ]);
      expect(code).toBe(1);
      expect(stderr).toMatch(/^ringkv: other machines can reach \S+, and no token is asked for: give --token-file or /);
    }
    server = await startServe(['--listen', 'tcp://0.0.0.0:0', '--transport', 'node', '--insecure']);
    expect(await server.child.stop()).toBe(0);
    server = await startServe(['--listen', 'tcp://0.0.0.0:0', '--transport', 'node', '--token-file', tokenFile(OLD)]);
  });

  test('that are none end the server before it starts', async () => {
    const { code, stderr } = await run(['serve', '--token-file', join(folder, 'missing')]);
    expect([code, stderr]).toEqual([1, `ringkv: can't read ${join(folder, 'missing')}: no such file\n`]);
    expect(await run(['serve'], { env: { RINGKV_TOKEN: 'short' } })).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/^ringkv: RINGKV_TOKEN, line 1: a token has 16 to 512 characters, this one 5/),
    });
    // A variable that was meant to have one: the server must not be open to all without it.
    expect(await run(['serve'], { env: { RINGKV_TOKEN: '' } })).toMatchObject({
      code: 1,
      stderr: 'ringkv: RINGKV_TOKEN holds no token\n',
    });
  });
});

test('limits by flags, told by HELLO and INFO', async () => {
  server = await startServe(
    '--transport node --max-connections 2 --max-key 10 --max-value 1k --max-depth 1 --max-operations 3 --max-scan 7'.split(
      ' ',
    ),
  );
  const { address } = server.ready;
  const [client, other] = [await WireClient.dial(address), await WireClient.dial(address)];
  expect(await client.call([32, { version: 1 }])).toMatchObject([{ maxKey: 10, access: 'full' }]);
  const third = await WireClient.dial(address);
  expect(await third.reply()).toEqual({ error: 'BUSY', message: 'too many connections; the limit is 2' });
  await third.peer.ended;
  expect(await client.call([2, 'k'.repeat(11), 1], [2, 'k', 'x'.repeat(2000)])).toMatchObject([
    { error: 'KEY', message: 'key must have 1 to 10 bytes' },
    { error: 'SIZE', message: 'value must have at most 1024 bytes' },
  ]);
  expect(await other.call([0], [0], [0], [0])).toEqual({
    error: 'FRAME',
    message: 'more than 3 operations in one frame',
  });
  await other.peer.ended;
  const expected = { refusedConnections: 1, refusedKeys: 1, refusedValues: 1, refusedOperations: 1, refusedTokens: 0 };
  expect((await client.call([34]))[0]).toMatchObject(expected);
  await Promise.all([client.close(), other.close(), third.close()]);
});

test('who brings no token gets nothing, and is closed in time', async () => {
  server = await startServe(['--transport', 'node', '--auth-timeout', '500ms'], { env: { RINGKV_TOKEN: OLD } });
  const opened = performance.now();
  const silent = await WireClient.dial(server.ready.address);
  expect(await silent.call([1, 'k'], [18])).toEqual([NOT_AUTHENTICATED, NOT_AUTHENTICATED]);
  expect(await silent.reply()).toEqual({ error: 'AUTH', message: 'not authenticated within 500 ms' });
  await silent.peer.ended;
  const tookMs = performance.now() - opened;
  expect(tookMs).toBeGreaterThan(500);
  // A second more is a matter of ticks.
  expect(tookMs).toBeLessThan(3 * 1500);
  await silent.close();
});
