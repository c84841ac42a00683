/** The server that a program starts for itself, as far as no child process is needed to see it. */
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { type ServerOptions, startServer } from '../../runtime/server.ts';

test('a server that could not listen has left its directory alone when it says so', async () => {
  // A segment was still being prepared, and the next server on the directory took its file for a spare one.
  const data = mkdtempSync(join(tmpdir(), 'ringkv-server-'));
  const taken = createServer().listen(0, '127.0.0.1');
  await once(taken, 'listening');
  try {
    const { port } = taken.address() as AddressInfo;
    const starting = startServer({ data, transport: 'node', listen: `tcp://127.0.0.1:${port}` });
    await expect(starting).rejects.toThrow('in use');
    const before = filesOf(data);
    await sleep(200);
    expect(filesOf(data)).toEqual(before);
  } finally {
    taken.close();
    rmSync(data, { recursive: true });
  }
});

test.each([
  [{ engine: 'nope' }, 'engine is nope; it must be swiss or map'],
  [{ eviction: 'lru' }, 'eviction is lru; it must be none or clock'],
  [{ transport: 'nope' }, /^transport is nope; it must be one of memory, node, /],
  [{ data: 'nowhere', snapshotEveryMs: -1 }, 'snapshotEveryMs is -1; it must be at least 0'],
  [{ data: 'nowhere', snapshotEveryMs: Number.NaN }, 'snapshotEveryMs is NaN; it must be at least 0'],
])('what no type keeps a program from is refused: %o', async (options, message) => {
  const starting = startServer({ listen: 'tcp://127.0.0.1:0', transport: 'node', ...options } as ServerOptions);
  const error = await starting.then(
    (server) => server.close(),
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(RangeError);
  expect((error as RangeError).message).toMatch(message);
  expect(existsSync('nowhere')).toBe(false);
});

/** Each with its length. */
function filesOf(directory: string): Record<string, number> {
  const names = readdirSync(directory, { recursive: true, encoding: 'utf8' });
  return Object.fromEntries(names.map((name) => [name, statSync(join(directory, name)).size]));
}
