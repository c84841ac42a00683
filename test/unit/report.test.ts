/** Lines for an operator. */
import { afterEach, expect, test, vi } from 'vitest';
import { connect } from '../../runtime/client.ts';
import { withoutThrowing } from '../../runtime/report.ts';
import { startServer } from '../../runtime/server.ts';
import { temporaryDirectory } from '../support/data.ts';

const data = temporaryDirectory();

afterEach(() => void vi.restoreAllMocks());

test('what a report throws is told on stderr with its line, and nobody else hears of it', () => {
  const stderr = vi.spyOn(process.stderr, 'write').mockReturnValue(true);
  const lines: string[] = [];
  const report = withoutThrowing((line) => {
    lines.push(line);
    throw new Error('no pencil');
  });
  report('the disk is full');
  expect(lines).toEqual(['the disk is full']);
  expect(stderr.mock.calls.join('')).toBe(
    'ringkv: the disk is full\nringkv: the report of this has failed: Error: no pencil\n',
  );
});

test('a server goes on when its report throws', async () => {
  const stderr = vi.spyOn(process.stderr, 'write').mockReturnValue(true);
  const options = { listen: 'tcp://127.0.0.1:0', transport: 'node', data, maxLogBytes: 4 * 1024 ** 2 } as const;
  const { now } = Date;
  const clock = vi.spyOn(Date, 'now').mockImplementation(() => now() + 3_600_000);
  const first = await startServer(options);
  const writer = await connect(first.address);
  await writer.set('key', 1);
  await writer.close();
  await first.close();
  clock.mockRestore();
  // Its clock is an hour behind the log, which is reported.
  const report = (): never => {
    throw new Error('no pencil');
  };
  await using second = await startServer({ ...options, report });
  const reader = await connect(second.address);
  expect(await reader.get('key')).toBe(1);
  await reader.close();
  expect(stderr.mock.calls.join('')).toMatch(/ s ahead of the system's clock: .*\n.*no pencil\n$/);
});
