/** The server that is slowed on purpose uses as much more CPU time as it was told to. */
import { expect, test } from 'vitest';
import { currentRuntime } from '../../runtime/choose.ts';
import { assertDelayable, delayTurns, TURN_DELAY_VARIABLE, turnDelay } from '../../runtime/turn-delay.ts';
import type { ServerHandler } from '../../transports/transport.ts';

function handler(): ServerHandler {
  return {
    open() {
      throw new Error('nobody connects');
    },
    turnEnd: () => true,
    tick() {},
  };
}

test('turns burn the share that they are told to, of what else was used', () => {
  // A clock of CPU time that advances by a little whenever it is read, as a loop does that burns it.
  let usedMicros = 1_000_000;
  const delay = turnDelay(0.2, () => ++usedMicros);
  const startMicros = usedMicros;
  let workedMicros = 0;
  for (let turn = 0; turn < 5; turn++) {
    usedMicros += 10_000;
    workedMicros += 10_000;
    // It looks once in a millisecond.
    for (const startMs = performance.now(); performance.now() - startMs < 2; );
    delay();
  }
  expect((usedMicros - startMicros) / workedMicros).toBeCloseTo(1.2, 2);
});

test('nothing is changed when nothing is asked for, and what makes no sense is refused', () => {
  const runtime = currentRuntime();
  const untouched = handler();
  const { turnEnd } = untouched;
  delayTurns(untouched, { ...runtime, env: {} });
  expect(untouched.turnEnd).toBe(turnEnd);
  for (const text of ['0', '-1', 'much', '11']) {
    expect(() => delayTurns(handler(), { ...runtime, env: { [TURN_DELAY_VARIABLE]: text } })).toThrow(
      `${TURN_DELAY_VARIABLE} is ${text}; it must be a share above 0 and up to 10`,
    );
  }
  const slowed = handler();
  delayTurns(slowed, { ...runtime, env: { [TURN_DELAY_VARIABLE]: '0.5' } });
  expect(slowed.turnEnd()).toBe(true);
});

test('several shards are refused, for the CPU time is that of all of them', () => {
  const runtime = currentRuntime();
  assertDelayable(2, { ...runtime, env: {} });
  assertDelayable(1, { ...runtime, env: { [TURN_DELAY_VARIABLE]: '0.2' } });
  expect(() => assertDelayable(2, { ...runtime, env: { [TURN_DELAY_VARIABLE]: '0.2' } })).toThrow(
    `${TURN_DELAY_VARIABLE} takes a server of one shard; this one is to have 2`,
  );
});
