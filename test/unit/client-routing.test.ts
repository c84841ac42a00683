/** What the answers of several shards are together. */
import { describe, expect, test } from 'vitest';
import { ConnectionError, TimeoutError, UnknownOutcomeError } from '../../core/client/errors.ts';
import { operations } from '../../core/client/operations.ts';
import { combine, otherShards } from '../../core/client/routing.ts';

const timeout = new TimeoutError('too late');
const moved = otherShards();
const unknown = new UnknownOutcomeError(new ConnectionError('lost'));

test('numbers add up, and what all have done is done', () => {
  expect(combine(operations.count, [1, 2, 4])).toBe(7);
  expect(combine(operations.clear, [true, true])).toBe(true);
  expect(combine(operations.get, [{ of: 'one shard' }])).toEqual({ of: 'one shard' });
});

test('a read fails with the first error', () => {
  expect(combine(operations.count, [1, timeout, moved])).toBe(timeout);
});

describe('a write', () => {
  test('that nobody has done fails with the first error', () => {
    expect(combine(operations.clear, [moved, timeout])).toBe(moved);
  });

  test('that some have done has an unknown outcome', () => {
    const failed = combine(operations.clear, [true, timeout]);
    expect(failed).toBeInstanceOf(UnknownOutcomeError);
    expect(failed).toMatchObject({ cause: timeout });
  });

  test('whose outcome one does not know has an unknown outcome', () => {
    expect(combine(operations.clear, [timeout, unknown])).toBe(unknown);
    expect(combine(operations.clear, [true, unknown])).toBe(unknown);
  });
});
