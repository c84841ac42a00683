/**
 * Random histories on one engine and on several that share its slots: of these, one answers what the one answers, all others
 * say `MOVED`, and together they hold the same state. fast-check prints the seed and the shortest history that fails.
 */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Reader, readError } from '../../core/msgpack.ts';
import { Op } from '../../core/protocol.ts';
import { divideSlots } from '../../core/slots.ts';
import { array, hex } from '../support/bytes.ts';
import { dump, elements, execute, oracle, subject } from '../support/engines.ts';
import { type Operation, operations } from '../support/operations.ts';

const KEYS = 40;

const steps = fc.array(
  fc.record({ operation: operations(KEYS), waitMs: fc.oneof({ weight: 5, arbitrary: fc.constant(0) }, fc.nat(20)) }),
  { maxLength: 200, size: 'max' },
);

describe('shards', () => {
  test('answer, and hold, what one engine does', () => {
    let moved = 0;
    const property = fc.property(steps, fc.integer({ min: 2, max: 5 }), (history, count) => {
      const whole = oracle({ redo: true });
      const shards = divideSlots(count).map((slots) => [oracle({ slots, redo: true }), subject({ slots, redo: true })]);
      let nowMs = 1_700_000_000_000;
      for (const { operation, waitMs } of history) {
        nowMs += waitMs;
        const payload = array([operation.bytes]);
        const expected = execute(whole, payload, nowMs);
        const answers = shards.map((engines) => {
          const [a, b] = engines.map((engine) => execute(engine, payload, nowMs));
          if (!operation.scans) expect(b).toEqual(a);
          return a!;
        });
        const own = answers.filter(({ reply }) => !isMoved(reply));
        moved += answers.length - own.length;
        expect([1, count]).toContain(own.length);
        if (own.length === 1) {
          expect(own[0]).toEqual(expected);
          for (const answer of answers) if (answer !== own[0]) expect(answer.redo.length).toBe(0);
        } else if (isCount(operation)) {
          const counts = own.map(({ reply }) => numberOf(reply));
          expect(counts.reduce((sum, number) => sum + number, 0)).toBe(numberOf(expected.reply));
        } else if (!operation.scans) for (const answer of own) expect(answer).toEqual(expected);
      }
      for (const at of [0, 1]) {
        const state = shards.flatMap((engines) => dump(engines[at]!, nowMs)).sort();
        expect(state).toEqual(dump(whole, nowMs).sort());
      }
    });
    fc.assert(property, { numRuns: 100 });
    expect(moved).toBeGreaterThan(1000);
  });
});

/** Whether the only result of a reply is the error MOVED. */
function isMoved(reply: Uint8Array): boolean {
  const [result] = elements(reply);
  return readError(result!, 0, result!.length)?.code === 'MOVED';
}

function isCount({ bytes }: Operation): boolean {
  const reader = new Reader(bytes);
  return reader.arrayHeader() === 1 && reader.integer() === BigInt(Op.COUNT);
}

/** The integer that is the only result of a reply. */
function numberOf(reply: Uint8Array): number {
  const [result] = elements(reply);
  const number = new Reader(result!).integer();
  if (number === undefined) throw new Error(`no integer: ${hex(reply)}`);
  return Number(number);
}
