/** Keys that collide in a hash without a seed cost the engine no more than others: it hashes with one that nobody knows. */
import { describe, expect, test } from 'vitest';
import { runtimes, startChild } from '../support/children.ts';

const RATIO_MAX = 3;

describe.each(runtimes())('on $name', (runtime) => {
  test('18,000 keys of one hash cost no more than random ones', async () => {
    const child = startChild(runtime, 'test/support/hash-flooding-app.mjs');
    expect(await child.exit, child.stderr).toBe(0);
    const { keys, hashes, craftedMicros, randomMicros } = JSON.parse(child.lines[0]!);
    expect({ keys, hashes }).toEqual({ keys: 18_000, hashes: 1 });
    expect(craftedMicros / randomMicros, `${craftedMicros} and ${randomMicros} µs`).toBeLessThan(RATIO_MAX);
  });
});
