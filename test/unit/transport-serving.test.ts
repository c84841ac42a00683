/** How a listener's turns end when it closes. */
import { expect, test } from 'vitest';
import { type ServedConnection, Serving } from '../../transports/serving.ts';

/** A `Serving` with one connection, whose turns leave work as `waits` says; `events` is what happened, in order. */
function serve(waits: (turns: number) => boolean) {
  const events: string[] = [];
  let turns = 0;
  const serving = new Serving({
    open: () => ({ data() {}, drain() {}, end() {}, close() {} }),
    turnEnd() {
      events.push('turn');
      return waits(++turns);
    },
    tick() {},
  });
  const { close } = serving.listener({ kind: 'memory', name: 'serving' }, () => {});
  const connection: ServedConnection = {
    framing: 'stream',
    pendingBytes: 0,
    send() {},
    pauseReading() {},
    resumeReading() {},
    end() {},
    destroy: () => serving.gone(connection),
    finish: () => events.push('finish'),
  };
  serving.opened(connection);
  return { serving, close, connection, events };
}

const immediates = () => new Promise((resolve) => setImmediate(() => setImmediate(resolve)));

test('who waits for a turn gets it before the connections are finished, and none after', async () => {
  const { serving, close, connection, events } = serve((turns) => turns < 3);
  // A turn is under way when the close comes, and the peer's end begins another.
  serving.delivered();
  const closed = close(60_000);
  await immediates();
  serving.delivered();
  await immediates();
  expect(events).toEqual(['turn', 'turn', 'turn', 'finish']);
  serving.gone(connection);
  await closed;
});

test('who never has enough of turns can not hold up the end', async () => {
  const { serving, close, connection, events } = serve(() => true);
  serving.delivered();
  const closed = close(60_000);
  await immediates();
  expect(events.at(-1)).toBe('finish');
  serving.gone(connection);
  await closed;
});
