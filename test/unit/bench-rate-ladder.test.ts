/** The benchmark's ladder of rates: it finds where a server saturates, and the highest rate that keeps its latency. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { climb, climbThrough, rateOfRung, type Verdict } from '../../bench/suites/rate/rate-ladder.ts';

/** A server whose latency stays low up to `calm`, and that saturates above `capacity`. */
function server(calm: number, capacity: number) {
  const rates: number[] = [];
  const measure = async (rate: number): Promise<Verdict> => {
    rates.push(rate);
    return { saturated: rate > capacity, met: rate <= calm && rate <= capacity };
  };
  return { rates, measure };
}

test('rungs are preferred numbers, the same in every decade', () => {
  expect([0, 8, 16, 24, 32, 40].map(rateOfRung)).toEqual([1, 1.58, 2.51, 3.98, 6.31, 10]);
  expect(rateOfRung(208)).toBe(158_000);
});

test('finds the highest calm rate to one rung, and climbs until two rates are saturated', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.double({ min: 1e3, max: 1e7, noNaN: true }),
      fc.double({ min: 1 / 50, max: 1, noNaN: true }),
      fc.double({ min: 0.7, max: 1.5, noNaN: true }),
      async (capacity, calmShare, error) => {
        const calm = capacity * calmShare;
        const { rates, measure } = server(calm, capacity);
        const highest = (await climb(capacity * error, measure))!;
        expect(highest).toBeLessThanOrEqual(calm);
        expect(highest * 1.065).toBeGreaterThan(calm);
        expect(Math.max(...rates)).toBeGreaterThan(capacity);
        expect(Math.max(...rates)).toBeLessThan(capacity * 1.6 ** 2);
        expect(rates.length).toBeLessThan(19);
        expect(new Set(rates).size).toBe(rates.length);
      },
    ),
  );
});

test('gives up below where it is no use, and above where nothing saturates', async () => {
  const never = server(0, 1e5);
  expect(await climb(1e5, never.measure)).toBeNull();
  const always = server(1e9, 1e9);
  expect(await climb(1e5, always.measure)).toBeGreaterThan(3e5);
  expect(always.rates.length).toBeLessThan(20);
});

test('one rate that was disturbed does not end the climb', async () => {
  const calm = server(1e5, 1e5);
  let measured = 0;
  const highest = await climb(1e5, async (rate) => {
    const verdict = await calm.measure(rate);
    return measured++ === 2 ? { saturated: true, met: false } : verdict;
  });
  expect(highest).toBe(1e5);
});

test('rates that were asked for are taken from the lowest on', async () => {
  const { rates, measure } = server(250, 350);
  expect(await climbThrough([400, 100, 300, 200, 500], measure)).toBe(200);
  expect(rates).toEqual([100, 200, 300, 400, 500]);
  expect(await climbThrough([300], measure)).toBeNull();
});
