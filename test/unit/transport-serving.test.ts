/** How a listener's turns end when it closes. */
import { expect, test } from 'vitest';
import { type ServedConnection, Serving } from '../../transports/serving.ts';

/** A `Serving` with one connection, whose turns leave work as `waits` says; `events` is what happened, in order. */
function serve(waits: (turns: number) => boolean, settled?: () => Promise<void> | undefined) {
  const events: string[] = [];
  let turns = 0;
  const serving = new Serving({
    open: () => ({ data() {}, drain() {}, end() {}, close() {} }),
    turnEnd() {
      events.push('turn');
      return waits(++turns);
    },
    tick() {},
    ...(settled === undefined ? {} : { settled }),
  });
  const { close, requestTurn } = serving.listener({ kind: 'memory', name: 'serving' }, () => {});
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
  return { serving, close, requestTurn, connection, events };
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

test('a turn that was asked for comes, once', async () => {
  const { close, requestTurn, connection, events, serving } = serve(() => false);
  requestTurn();
  requestTurn();
  expect(events).toEqual([]);
  await immediates();
  expect(events).toEqual(['turn']);
  const closed = close(60_000);
  await immediates();
  serving.gone(connection);
  await closed;
});

test('replies that wait for something else are awaited before the connections are finished', async () => {
  const waits: (() => void)[] = [];
  const { serving, close, connection, events } = serve(
    () => false,
    () => new Promise((resolve) => waits.push(resolve)),
  );
  const closed = close(60_000);
  await immediates();
  expect(events).toEqual(['turn']);
  waits[0]!();
  await immediates();
  expect(events).toEqual(['turn', 'finish']);
  serving.gone(connection);
  await closed;
});

test('also where somebody never has enough of turns', async () => {
  const waits: (() => void)[] = [];
  const { serving, close, connection, events } = serve(
    () => true,
    () => new Promise((resolve) => waits.push(resolve)),
  );
  const closed = close(60_000);
  await immediates();
  expect(events.at(-1)).toBe('turn');
  const turns = events.length;
  waits[0]!();
  await immediates();
  expect(events.slice(turns)).toEqual(['finish']);
  serving.gone(connection);
  await closed;
});

test('but no longer than the time of grace', async () => {
  const { close, events } = serve(
    () => false,
    () => new Promise(() => {}),
  );
  await close(10);
  expect(events).toEqual(['turn', 'finish']);
});

// They once had one each, and so a close took twice as long as it was told.
test('replies that are awaited and peers that do not leave have one time of grace together', async () => {
  const { close, events } = serve(
    () => false,
    () => new Promise(() => {}),
  );
  const later = new Promise<void>((resolve) => {
    setTimeout(() => {
      events.push('half as long again');
      resolve();
    }, 300);
  });
  await close(200);
  events.push('closed');
  await later;
  expect(events).toEqual(['turn', 'finish', 'closed', 'half as long again']);
});
